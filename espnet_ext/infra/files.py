"""Files that are whole or absent."""

import errno
import functools
import json
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
BROKEN = NO_ROOM | {errno.EIO, errno.EROFS}
TEMPORARY = re.compile(r"\..+\.(\d+)@(.+)\.(tmp|old)")  # of a process on a host
HOST = socket.gethostname()


class FileError(OSError):
    """A file cannot be written, or is in use; the message names it and says what to do."""


def cannot_write(path: Path, error: Exception) -> FileError:
    """The one message for a full disk, a read-only folder and the like."""
    if isinstance(error, FileError):
        return error
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    remedy = "give another folder, or see that this one may be written to"
    if getattr(error, "errno", None) in NO_ROOM or _is_short_write(error):
        free = shutil.disk_usage(next(folder for folder in path.absolute().parents if folder.exists())).free / 1e6
        remedy = f"make room on this disk ({free:.0f} MB free) and run the same command again"
    return FileError(f"{path}: could not be written: {reason}; {remedy}")


def _is_short_write(error: Exception) -> bool:
    """Whether an error is what numpy or torch, which know no error numbers, say of a full disk."""
    return re.search(r"requested and \d+ written|unexpected pos|failed writing", str(error)) is not None


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Name the file whose writing failed; what fails for another reason passes through."""
    try:
        yield
    except OSError as error:
        if error.errno in BROKEN or _is_short_write(error):
            raise cannot_write(path, error) from error
        raise


def _temporary(path: Path, end: str = "tmp") -> Path:
    """A neighbour of `path` that is this process's own; its folder is made, and cleared of what killed ones left."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path.parent.absolute(), os.getpid())
    except OSError as error:
        raise cannot_write(path, error) from error
    return path.with_name(f".{path.name}.{os.getpid()}@{HOST}.{end}")


@functools.lru_cache(maxsize=1024)
def _clear(folder: Path, _process: int) -> None:
    """Remove the temporary files of processes that have ended; once in a process, since a folder may be large."""
    for entry in os.scandir(folder):
        found = TEMPORARY.fullmatch(entry.name)
        if found and found[2] == HOST and not _is_alive(int(found[1])):
            _remove(Path(entry.path))


def _is_alive(process: int) -> bool:
    """A zombie, which has ended but nobody has waited for, is not."""
    import psutil

    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def atomic_open(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing; it takes that name only if all went well."""
    path = Path(path)
    temporary = _temporary(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        stream = open(temporary, mode, **text)  # type: ignore[call-overload]  # noqa: SIM115  closed below
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with _writing(path):
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A temporary neighbour of the folder `path` to fill; it replaces `path` only if all went well."""
    path = Path(path)
    temporary, old = _temporary(path), _temporary(path, "old")
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        temporary.mkdir()
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        with _writing(path):
            yield temporary
            if path.exists():
                path.rename(old)
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    with atomic_open(path) as stream:
        json.dump(value, stream, indent=2, ensure_ascii=False)
        stream.write("\n")


def read_table(path: str | Path) -> Iterator[tuple[str, str]]:
    """The (id, rest of the line) pairs of a Kaldi-style text file that was checked before."""
    with open(path, encoding="utf-8", newline="\n") as stream:
        for line in stream:
            key, _, value = line.rstrip("\n").partition(" ")
            yield key, value


def write_table(path: str | Path, rows: Iterable[tuple[str, str]]) -> int:
    """Write `id value` lines sorted by id; returns their number."""
    ordered = sorted(rows)
    with atomic_open(path) as stream:
        stream.writelines(f"{key} {value}\n" for key, value in ordered)
    return len(ordered)
