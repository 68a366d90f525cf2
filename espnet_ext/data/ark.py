"""Compressed Kaldi archives of features and quick random access to them; the only module that knows kaldiio.

Where kaldiio is not installed, omniio (MIT licence) stands in: it has the same functions and writes the same bytes.
"""

import os
import zlib
from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

try:
    from kaldiio import save_ark
    from kaldiio.matio import read_kaldi as read_object
except ModuleNotFoundError:
    from omniio.kaldi import read_object, save_ark

INDEX = "feats.index.npy"  # where each utterance lies: opens at once where a feats.scp of a million lines does not
CHECKSUM = "crc32"  # of a matrix, in the index; indices that were made without it are read too
AUTOMATIC = 1  # Kaldi's choice: one byte a value (method 2), two bytes for matrices of 8 frames or fewer


class Place(NamedTuple):
    """Where a matrix lies in its archive, and the checksum of its bytes."""

    offset: int
    size: int
    checksum: int


def write_matrix(stream: IO[bytes], key: str, feats_TF: np.ndarray) -> Place:
    """Append one compressed matrix to an archive; returns where it is."""
    entry = BytesIO()
    save_ark(entry, {key: np.ascontiguousarray(feats_TF, np.float32)}, compression_method=AUTOMATIC)
    name = key.encode() + b" "
    start, data = stream.tell() + len(name), entry.getvalue().removeprefix(name)
    stream.write(name + data)
    return Place(start, len(data), zlib.crc32(data))


def index_rows(ids: Sequence[str], frames: Sequence[int], shard: int, places: Sequence[Place]) -> np.ndarray:
    """The rows of the index for one shard's utterances."""
    names = [name.encode() for name in ids]
    width = max(map(len, names), default=1)
    numbers = [("frames", "<i4"), ("shard", "<i4"), ("offset", "<i8"), ("size", "<i8"), (CHECKSUM, "<u4")]
    rows = np.zeros(len(names), np.dtype([("id", f"S{width}"), *numbers]))
    rows["id"], rows["frames"], rows["shard"] = names, frames, shard
    rows["offset"], rows["size"], rows[CHECKSUM] = np.array(places, np.int64).reshape(-1, 3).T
    return rows


def is_whole(archive: Path, index: np.ndarray) -> bool:
    """Whether every byte of an archive's matrices is as it was written, by the rows of its index."""
    if CHECKSUM not in (index.dtype.names or ()):
        return False
    data = archive.read_bytes()
    rows = zip(*(index[name].tolist() for name in ("offset", "size", CHECKSUM)), strict=True)
    return all(zlib.crc32(data[start : start + size]) == checksum for start, size, checksum in rows)


def archive_name(shard: int) -> str:
    return f"feats.{shard}.ark"


class FeatureReader:
    """The features of a dump directory by position in the order of ids; cheap to open, to pickle and to fork."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        path = self.folder / INDEX
        if not path.exists():
            raise FileNotFoundError(f"{path}: not there; make it with python -m espnet_ext.data.features")
        self._index = np.load(path, mmap_mode="r")
        self._fields = self._index.dtype.names or ()
        self._archives: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._index)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance."""
        return np.ascontiguousarray(self._index["frames"])

    @cached_property
    def keys(self) -> list[str]:
        """All utterance ids, sorted as bytes; at a million utterances better kept out of loader workers."""
        return [name.decode() for name in self._index["id"].tolist()]

    def key(self, i: int) -> str:
        return self._index["id"][i].decode()

    def position(self, key: str) -> int:
        """Where an utterance is in the order of ids; raises KeyError if it has no features."""
        name, low, high = key.encode(), 0, len(self._index)
        ids = self._index["id"]
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if ids[middle] < name else (low, middle)
        if low == len(ids) or ids[low] != name:
            raise KeyError(f"{self.folder}: no features for utterance {key}")
        return low

    def read(self, i: int) -> np.ndarray:
        """The features of utterance i as float32 (frames, bins)."""
        row = self._index[i]
        shard, size = int(row["shard"]), int(row["size"])
        if shard not in self._archives:
            self._archives[shard] = os.open(self.folder / archive_name(shard), os.O_RDONLY)
        # pread has no file position, so threads and forked workers can share the descriptor
        data = os.pread(self._archives[shard], size, int(row["offset"]))
        if len(data) != size or (CHECKSUM in self._fields and zlib.crc32(data) != row[CHECKSUM]):
            found = "is damaged at" if len(data) == size else "ends inside"
            remedy = "delete this file and make the features again (stage 4)"
            raise OSError(f"{self.folder / archive_name(shard)}: {found} {row['id'].decode()}; {remedy}")
        return np.asarray(read_object(BytesIO(data)), np.float32)

    __getitem__ = read

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]

    def __del__(self) -> None:
        for descriptor in getattr(self, "_archives", {}).values():
            os.close(descriptor)
