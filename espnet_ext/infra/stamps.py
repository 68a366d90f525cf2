"""Stamps: beside each output, what it was made from; or, while it is made, by whom."""

import errno
import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from espnet_ext.infra.files import HOST, FileError, cannot_write

HASHED_WHOLE = 64 << 20  # larger inputs are known by size and time, not by content
HASHED_PART = 4 << 20  # larger files of an output are known by size: their readers find a damage
HELD = "made by process"


class Stamp:
    """What an output folder or file was made from: its input files and its settings.

    `parts` are patterns of the files, in the output's folder, that must be as they were when it was finished; an
    output is its own part if none are named.
    """

    def __init__(
        self, output: str | Path, inputs: Iterable[str | Path], *, parts: Iterable[str] | None = None, **settings: Any
    ) -> None:
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
        self.parts = list(parts) if parts is not None else None

    def is_current(self, say: bool = True) -> bool:
        """Whether the output is whole and was made from just this; says so, since the caller will skip."""
        if not (self.output.exists() and self.path.exists()):
            return False
        key, *parts = self.path.read_text(encoding="utf-8").split("\n")
        if key != self.key:
            return False
        for part in parts:
            state, _, name = part.partition(" ")
            if _state(self.output.parent / name) != state:
                print(f"{self.output.parent / name}: changed since it was made, so it is made again", file=sys.stderr)
                return False
        if say:
            print(f"{self.output}: inputs have not changed, skipped", file=sys.stderr)
        return True

    @contextmanager
    def making(self) -> Iterator[None]:
        """Hold the output while it is made; a run that ends before the last line leaves it without a stamp."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            stream = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115  closed below
        except OSError as error:
            raise cannot_write(self.path, error) from error
        with stream:
            self._hold(stream)
            yield
            files = (path for pattern in self._patterns() for path in self.output.parent.glob(pattern))
            names = sorted({str(path.relative_to(self.output.parent)) for path in files if path.is_file()})
            states = (f"{_state(self.output.parent / name)} {name}" for name in names)
            self._say(stream, "\n".join([self.key, *states]))

    def _hold(self, stream: IO[str]) -> None:
        """Lock the stamp, which ends with this process however it ends, and put its name there."""
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock, which forked workers would keep
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                said = self.path.read_text(encoding="utf-8")
                holder = said if said.startswith(HELD) else "made by another process"
                raise FileError(f"{self.output}: is being {holder}; wait until it ends, or end it") from None
        # elsewhere: a file system without locks
        begun = time.strftime("%F %T")
        self._say(stream, f"{HELD} {os.getpid()} on {HOST} since {begun} ({' '.join(sys.argv)[:200]!r})")

    def _say(self, stream: IO[str], text: str) -> None:
        """Replace what the stamp says; anything but the whole of it counts as no stamp."""
        try:
            stream.truncate(0)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _patterns(self) -> list[str]:
        if self.parts is not None:
            return self.parts
        return [f"{self.output.name}/[!.]*" if self.output.is_dir() else self.output.name]


def _state(path: Path) -> str:
    """Size and content of a file of an output, in one word."""
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    content = "" if size > HASHED_PART else hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return f"{size}-{content}"
