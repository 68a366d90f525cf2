"""Memory-mapped text and token ids: millions of lines open at once and cost a worker next to nothing."""

import argparse
import fcntl
import hashlib
import json
import mmap
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data.subwords import Subwords
from espnet_ext.files import Stamp, atomic_folder, write_json

CHUNK = 20_000  # lines handled at a time


class Lines(Sequence[str]):
    """The lines of one memory-mapped file by position, through the offsets of their ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = np.memmap(path.with_suffix(".ends"), dtype="<i8", mode="r").view(np.ndarray)
        with open(path, "rb") as stream:
            # an empty file cannot be mapped
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        if not -len(self) <= i < len(self):
            raise IndexError(f"{self._path}: no line {i} of {len(self)}")
        i %= len(self)
        return self._bytes[self._ends[i] : self._ends[i + 1]].decode()

    def __reduce__(self) -> tuple[Any, ...]:
        return Lines, (self._path,)


class TextIndex:
    """The text of one language of a set by position, in the order of ids."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        if not (self.folder / "meta.json").exists():
            raise FileNotFoundError(f"{folder}: no text index here; python -m espnet_ext.data.text makes it")
        self.keys = Lines(self.folder / "keys.bin")
        self._text = Lines(self.folder / "text.bin")

    def __len__(self) -> int:
        return len(self._text)

    def __getitem__(self, i: int) -> str:
        return self._text[i]

    def __reduce__(self) -> tuple[Any, ...]:
        return TextIndex, (self.folder,)

    def key(self, i: int) -> str:
        return self.keys[i]

    @cached_property
    def keys_digest(self) -> str:
        """Equal for sets with the same ids in the same order (see `digest_keys`)."""
        return json.loads((self.folder / "meta.json").read_text())["keys"]


class TokenIndex:
    """The token ids of a text index under one sub-word model; made when first needed, next to the text."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self._dtype = json.loads((self.folder / "meta.json").read_text())["dtype"]
        self._ends = np.memmap(self.folder / "ids.ends", dtype="<i8", mode="r").view(np.ndarray)
        empty = not (self.folder / "ids.bin").stat().st_size
        ids = np.zeros(0, self._dtype) if empty else np.memmap(self.folder / "ids.bin", dtype=self._dtype, mode="r")
        self._ids = ids.view(np.ndarray)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i: int) -> np.ndarray:
        return self._ids[self._ends[i] : self._ends[i + 1]].astype(np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenIndex, (self.folder,)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each line."""
        return np.diff(self._ends).astype(np.int32)

    @staticmethod
    def open(text: TextIndex, subwords: Subwords) -> "TokenIndex":
        """The tokens of `text`, encoded now if they are not there yet."""
        # The key is in the name, so that systems with different models of one name do not undo each other's work.
        name = f"{text.folder.name.replace('text.', 'tokens.', 1)}.{subwords.name}.{subwords.key}"
        folder = text.folder.with_name(name)
        stamp = Stamp(folder, [text.folder / "meta.json", subwords.folder / "model.spm"])
        with _one_at_a_time(folder):  # every rank of a training comes here at once
            if not stamp.is_current(say=False):
                _encode_all(folder, text, subwords)
                stamp.write()
        return TokenIndex(folder)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with open(folder.with_name(f".{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Writer:
    """Writes items one after the other to NAME.bin and where each ends to NAME.ends."""

    def __init__(self, folder: Path, name: str) -> None:
        self._data = open(folder / f"{name}.bin", "wb")  # noqa: SIM115  closed on exit
        self._ends = open(folder / f"{name}.ends", "wb")  # noqa: SIM115
        self._end = 0
        self._ends.write(np.zeros(1, "<i8").tobytes())

    def write(self, data: bytes, lengths: Sequence[int]) -> None:
        ends = self._end + np.cumsum(lengths, dtype="<i8")
        self._end = int(ends[-1])
        self._data.write(data)
        self._ends.write(ends.tobytes())

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._data.close()
        self._ends.close()


def _encode_all(folder: Path, text: TextIndex, subwords: Subwords) -> None:
    dtype = "<u2" if subwords.size <= 1 << 16 else "<i4"
    with atomic_folder(folder) as temporary:
        with _Writer(temporary, "ids") as ids:
            for start in range(0, len(text), CHUNK):
                tokens = subwords.encode_all([text[i] for i in range(start, min(start + CHUNK, len(text)))])
                flat = np.fromiter((t for line in tokens for t in line), dtype)
                ids.write(flat.tobytes(), [len(line) for line in tokens])
        write_json(temporary / "meta.json", {"dtype": dtype, "tokens": subwords.size, "lines": len(text)})


def digest_keys(keys: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode() + b"\n")
    return digest.hexdigest()


def build(table: Path, folder: Path) -> None:
    """Index a table of `id text` lines that was checked before; memory does not grow with its size."""
    keys_digest, text_digest, lines = hashlib.sha256(), hashlib.sha256(), 0
    with (
        atomic_folder(folder) as temporary,
        open(table, "rb") as stream,
        _Writer(temporary, "keys") as keys,
        _Writer(temporary, "text") as text,
    ):
        while chunk := list(islice(stream, CHUNK)):
            pairs = [line.rstrip(b"\n").partition(b" ") for line in chunk]
            names, texts = [pair[0] for pair in pairs], [pair[2] for pair in pairs]
            keys.write(b"".join(names), [len(name) for name in names])
            text.write(b"".join(texts), [len(t) for t in texts])
            keys_digest.update(b"".join(name + b"\n" for name in names))
            text_digest.update(b"".join(chunk))
            lines += len(chunk)
        meta = {"lines": lines, "keys": keys_digest.hexdigest(), "text": text_digest.hexdigest()}
        write_json(temporary / "meta.json", meta)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.text", description=__doc__)
    parser.add_argument("data", type=Path, help="data directory with text.<lang> files")
    parser.add_argument("dump", type=Path, help="dump directory; each language goes to DUMP/text.<lang>")
    args = parser.parse_args(arguments)
    tables = sorted(path for path in args.data.glob("text.*") if path.is_file())
    if not tables:
        sys.exit(f"error: {args.data}: no text.<lang> here; nothing to index")
    for table in tables:
        stamp = Stamp(args.dump / table.name, [table])
        if not stamp.is_current():
            build(table, args.dump / table.name)
            stamp.write()


if __name__ == "__main__":
    main()
