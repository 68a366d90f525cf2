"""Files that are whole or absent, and stamps that say what an output was made from."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

HASHED_WHOLE = 64 << 20  # larger inputs are known by size and time, not by content


@contextmanager
def atomic_open(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of `path` for writing; it takes that name only if all went well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(temporary, mode, **text) as stream:  # type: ignore[call-overload]
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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir()
    try:
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


class Stamp:
    """What an output folder or file was made from: its input files and its settings."""

    def __init__(self, output: str | Path, inputs: Iterable[str | Path], **settings: Any) -> None:
        self.output = Path(output)
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
        for path in sorted(Path(p) for p in inputs):
            digest.update(f"\0{path.name}\0".encode())
            status = path.stat()
            if status.st_size > HASHED_WHOLE:
                digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
            else:
                digest.update(path.read_bytes())
        self.key = digest.hexdigest()
        self.path = self.output.with_name(f".{self.output.name}.made_from")

    def is_current(self, say: bool = True) -> bool:
        """Whether the finished output was made from just this; says so, since the caller will skip."""
        current = self.output.exists() and self.path.exists() and self.path.read_text() == self.key
        if current and say:
            print(f"{self.output}: inputs have not changed, skipped", file=sys.stderr)
        return current

    def write(self) -> None:
        """Record that the output is finished."""
        with atomic_open(self.path) as stream:
            stream.write(self.key)
