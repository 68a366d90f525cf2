"""Text index: text and token ids in files that open at once and are read by position, also with millions of lines."""

import argparse
import fcntl
import hashlib
import json
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data import about, read_datadir
from espnet_ext.data.subwords import Subwords
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import atomic_folder, write_json
from espnet_ext.infra.stamps import Stamp

CHUNK = 20_000  # lines handled at a time
OFFSETS = struct.Struct("<qq")


class Records:
    """Byte strings of one file by position, found through the offsets of their ends and read in place.

    It is read, not mapped: every page of a map that a worker touches counts as that worker's memory (678 MB after
    random access to 5 million pairs), while the page cache that serves pread is the system's and shared by all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = open(path, "rb", buffering=0)  # noqa: SIM115  open as long as this lives
        self._ends = open(path.with_suffix(".ends"), "rb", buffering=0)  # noqa: SIM115
        self._count = os.stat(self._ends.fileno()).st_size // 8 - 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, i: int) -> bytes:
        if not -self._count <= i < self._count:
            raise IndexError(f"{self.path}: no line {i} of {self._count}")
        start, end = OFFSETS.unpack(os.pread(self._ends.fileno(), 16, i % self._count * 8))
        # pread has no file position, so threads and forked workers can share the descriptor
        record = os.pread(self._data.fileno(), end - start, start)
        if len(record) != end - start:
            raise OSError(f"{self.path}: ends inside line {i}; delete {self.path.parent} and run its stage again")
        return record

    @property
    def lengths(self) -> np.ndarray:
        """The bytes of each."""
        return np.diff(np.memmap(self.path.with_suffix(".ends"), dtype="<i8", mode="r")).view(np.ndarray)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)


class Lines(Sequence[str]):
    """Records as text."""

    def __init__(self, path: Path) -> None:
        self._records = Records(path)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return self._records[i].decode()


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
        self._dtype = np.dtype(json.loads((self.folder / "meta.json").read_text())["dtype"])
        self._ids = Records(self.folder / "ids.bin")

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, i: int) -> np.ndarray:
        return np.frombuffer(self._ids[i], self._dtype).astype(np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        return TokenIndex, (self.folder,)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each line."""
        return (self._ids.lengths // self._dtype.itemsize).astype(np.int32)

    @staticmethod
    def open(text: TextIndex, subwords: Subwords) -> "TokenIndex":
        """The tokens of `text`, encoded now if they are not there yet."""
        # The key is in the name, so that systems with different models of one name do not undo each other's work.
        name = f"{text.folder.name.replace('text.', 'tokens.', 1)}.{subwords.name}.{subwords.key}"
        folder = text.folder.with_name(name)
        stamp = Stamp(folder, [text.folder / "meta.json", subwords.folder / "model.spm"])
        with _one_at_a_time(folder):  # every rank of a training comes here at once
            if not stamp.is_current(say=False):
                with stamp.making():
                    _encode_all(folder, text, subwords)
        return TokenIndex(folder)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    with open(folder.with_name(f".{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Writer:
    """Writes records one after the other, and where each ends."""

    def __init__(self, path: Path) -> None:
        self._data = open(path, "wb")  # noqa: SIM115  closed on exit
        self._ends = open(path.with_suffix(".ends"), "wb")  # noqa: SIM115
        self._end = 0
        self._ends.write(np.zeros(1, "<i8").tobytes())

    def write(self, data: bytes, lengths: Sequence[int]) -> None:
        """Append records given as all their bytes and the length of each."""
        ends = self._end + np.cumsum(lengths, dtype="<i8")
        self._end += len(data)
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
        with _Writer(temporary / "ids.bin") as ids:
            for start in range(0, len(text), CHUNK):
                tokens = subwords.encode_all([text[i] for i in range(start, min(start + CHUNK, len(text)))])
                flat = np.fromiter(chain.from_iterable(tokens), dtype)
                ids.write(flat.tobytes(), [len(line) * flat.itemsize for line in tokens])
        write_json(temporary / "meta.json", {"dtype": dtype, "tokens": subwords.size, "lines": len(text)})


def digest_keys(keys: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        digest.update(key.encode() + b"\n")
    return digest.hexdigest()


def build(table: Path, folder: Path) -> int:
    """Index a table of `id text` lines that was checked before, without holding it; returns how many there are."""
    keys_digest, text_digest, lines = hashlib.sha256(), hashlib.sha256(), 0
    with (
        atomic_folder(folder) as temporary,
        open(table, "rb") as stream,
        _Writer(temporary / "keys.bin") as keys,
        _Writer(temporary / "text.bin") as text,
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
        meta |= {"references": True} if table.name.startswith("reference.") else {}
        write_json(temporary / "meta.json", meta)
    return lines


def update(table: Path, folder: Path) -> None:
    """`build`, unless the index was made from just this table."""
    stamp = Stamp(folder, [table])
    if not stamp.is_current():
        with stamp.making():
            lines = build(table, folder)
        print(f"{folder}: {lines:,} lines", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.text", description=__doc__)
    parser.add_argument("data", type=Path, help="data directory with text.<lang> files")
    parser.add_argument("dump", type=Path, help="dump directory; each language goes to DUMP/text.<lang>")
    args = parser.parse_args(arguments)
    tables = read_datadir.texts(args.data)
    if not tables and (args.data / "wav.scp").exists():
        about.hand_on(args.data, args.dump)
        print(f"{args.data}: no text.<lang> here, so nothing to index: this set can only be decoded", file=sys.stderr)
        return
    if not tables:
        sys.exit(f"error: {args.data}: no text.<lang> here; nothing to index")
    with one_line_errors("text index", ValueError):
        for table in tables:
            update(table, args.dump / table.name.replace("reference.", "text.", 1))
        about.hand_on(args.data, args.dump)


if __name__ == "__main__":
    main()
