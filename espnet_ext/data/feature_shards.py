"""The features of one shard of a set: an archive and, written last, the record that says that it is whole."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from threadpoolctl import threadpool_limits

from espnet_ext.data import fbank
from espnet_ext.data.ark import archive_name, index_rows, is_whole, write_matrix
from espnet_ext.data.audio import AudioError, AudioReader
from espnet_ext.data.read_datadir import Span
from espnet_ext.infra.files import atomic_open

RECORDS = ".shards"


@dataclass
class Record:
    """What a finished shard holds; `key` says what it was made from."""

    key: str
    index: np.ndarray  # rows of the index of ark.FeatureReader
    count: int
    sum: np.ndarray
    sum_square: np.ndarray
    dropped: list[str]  # utterances without a frame

    @staticmethod
    def path(dump: Path, shard: int) -> Path:
        return dump / RECORDS / f"{shard}.npz"

    @classmethod
    def load(cls, dump: Path, shard: int) -> "Record":
        with np.load(cls.path(dump, shard)) as arrays:
            plain = json.loads(str(arrays["plain"]))
            return cls(**plain, index=arrays["index"], sum=arrays["sum"], sum_square=arrays["sum_square"])

    def save(self, dump: Path, shard: int) -> None:
        plain = json.dumps({"key": self.key, "count": self.count, "dropped": self.dropped})
        with atomic_open(self.path(dump, shard), "wb") as stream:
            np.savez(stream, plain=plain, index=self.index, sum=self.sum, sum_square=self.sum_square)


def is_finished(dump: Path, shard: int, key: str) -> bool:
    """Whether the shard is whole and was made from what `key` stands for."""
    try:
        record = Record.load(dump, shard)
        return record.key == key and is_whole(dump / archive_name(shard), record.index)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):  # missing or damaged
        return False


def compute_shard(shard: int, dump: Path, key: str, rate: int, num_mel: int, wanted: list[Span]) -> None:
    """Write the archive of one shard and its record."""
    Record.path(dump, shard).unlink(missing_ok=True)  # the old record must not speak for the new archive
    ids, frames, places, dropped = [], [], [], []
    total, total_square = np.zeros(num_mel), np.zeros(num_mel)
    # One thread: the processes fill the cores, and a sum must not depend on how many threads share it.
    with threadpool_limits(1), atomic_open(dump / archive_name(shard), "wb") as stream, AudioReader(rate) as reader:
        for span in wanted:
            with _named(span.utterance):
                feats_TF = fbank.compute(reader.read(span.path, span.start, span.end), rate, num_mel)
                if not np.isfinite(feats_TF).all():
                    remedy = "mend it, or drop the utterance in local/data.py"
                    raise AudioError("not finite", span.path, "holds NaN, infinite or too large values", remedy)
            if not len(feats_TF):
                dropped.append(span.utterance)
                continue
            places.append(write_matrix(stream, span.utterance, feats_TF))
            ids.append(span.utterance)
            frames.append(len(feats_TF))
            exact_TF = feats_TF.astype(np.float64)
            total += exact_TF.sum(axis=0)
            total_square += np.square(exact_TF).sum(axis=0)
    index = index_rows(ids, frames, shard, places)
    Record(key, index, sum(frames), total, total_square, dropped).save(dump, shard)


@contextmanager
def _named(utterance: str) -> Iterator[None]:
    """Say which utterance could not be read."""
    try:
        yield
    except (AudioError, soundfile.SoundFileError, OSError) as error:
        raise ValueError(f"utterance {utterance}: {error}") from error
