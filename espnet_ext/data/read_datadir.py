"""Read a checked data directory: its files, its utterances and where their audio lies."""

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from espnet_ext.data import audio
from espnet_ext.infra.files import read_table

TABLES = ("wav.scp", "segments", "utt2spk", "utt2dur", "utt2task")
TEXTS = ("text.", "reference.")  # of utterances, or of a talk that its references cut otherwise


@dataclass(frozen=True, slots=True)
class Span:
    """The audio of one utterance: a file, or the part of it between two times in seconds."""

    utterance: str
    path: str
    start: float | None = None
    end: float | None = None


def tables(folder: str | Path) -> list[Path]:
    """The files of the contract that a data directory has."""
    folder = Path(folder)
    found = [folder / name for name in TABLES if (folder / name).exists()]
    return found + texts(folder)


def texts(folder: str | Path) -> list[Path]:
    """The files of texts that a data directory has."""
    return [path for prefix in TEXTS for path in sorted(Path(folder).glob(f"{prefix}*"))]


def talk_of(key: str) -> str:
    """The talk of an utterance `<talk>_<number>` or a reference `<talk>_r<number>`, where they are cut otherwise."""
    return key.rpartition("_")[0]


def spans(folder: str | Path) -> list[Span]:
    """The audio of each utterance, in the order of ids; none for a text-only set."""
    folder = Path(folder)
    if not (folder / "wav.scp").exists():
        return []
    recordings = dict(read_table(folder / "wav.scp"))
    if not (folder / "segments").exists():
        return [Span(key, path) for key, path in recordings.items()]
    found = []
    for utterance, rest in read_table(folder / "segments"):
        recording, start, end = rest.split()
        found.append(Span(utterance, recordings[recording], float(start), float(end)))
    return found


def seconds(folder: str | Path, wanted: list[Span]) -> list[float]:
    """How long each utterance is: from utt2dur, from its times, or else from the header of its file."""
    durations = Path(folder) / "utt2dur"
    if durations.exists():
        known = {key: float(value) for key, value in read_table(durations)}
        return [known[span.utterance] for span in wanted]
    return [
        audio.info(span.path).seconds if span.start is None or span.end is None else span.end - span.start
        for span in wanted
    ]


def fingerprints(paths: Iterable[str]) -> dict[str, str]:
    """Size and time of each audio file: an output is made again when its audio has changed under the same name."""
    distinct = sorted(set(paths))
    with ThreadPoolExecutor(16) as pool:  # a network file system answers slowly, but many at once
        return dict(zip(distinct, pool.map(_fingerprint, distinct), strict=True))


def _fingerprint(path: str) -> str:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # a name that holds NUL is no name
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def digest(values: Iterable[object]) -> str:
    """One hash over many values, for stamps."""
    total = hashlib.sha256()
    for value in values:
        total.update(f"{value}\n".encode())
    return total.hexdigest()


def split(items: int, most: int = 256, least: int = 250) -> list[range]:
    """Shards of consecutive items: their number follows from the data alone, so the output does not depend on nj."""
    count = max(1, min(most, -(-items // least)))
    return [range(k * items // count, (k + 1) * items // count) for k in range(count)]
