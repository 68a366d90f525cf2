"""Parallel text: a file for each language, plain or .gz, whose lines belong together by their number."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

AGAIN = "unpack the corpus again, or convert the file"


def find(path: Path, remedy: str) -> Path:
    """The file, or the one of that name with .gz."""
    packed = path.with_name(f"{path.name}.gz")
    return packed if packed.exists() and not path.exists() else require(path, remedy)


def read_pairs(texts: Mapping[str, Path], prefix: str) -> Iterator[Utterance]:
    """Each line with its translation, as `<prefix>-<number of the line>`; one at a time, since there are millions."""
    streams = {lang: read_lines(path, AGAIN) for lang, path in texts.items()}
    number = 0
    while True:
        found = {lang: next(stream, None) for lang, stream in streams.items()}
        if None in found.values():
            break
        number += 1
        key = f"{prefix}-{number:08d}"
        yield Utterance(key, key, found)  # type: ignore[arg-type]
    if any(line is not None for line in found.values()):
        counts = {lang: number + (found[lang] is not None) + sum(1 for _ in stream) for lang, stream in streams.items()}
        shown = " and ".join(f"{texts[lang]} has {count} lines" for lang, count in counts.items())
        raise ValueError(f"{shown}; line i of one is the translation of line i of the other, so {AGAIN}")
