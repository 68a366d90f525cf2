"""TED-LIUM 3: legacy/{train,dev,test}/{sph,stm}; a line of STM is `talk channel speaker start end <label> words`."""

import re
from collections.abc import Iterator
from pathlib import Path

from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

SETS = ("train", "dev", "test")
AGAIN = "unpack the corpus again"
NOT_SCORED = "ignore_time_segment_in_scoring"
MARKS = re.compile(r"\(\d+\)|<[^>\s]*>|\{[^}\s]*\}|\[[^\]\s]*\]|\([^()\s]*\)$")  # variants, <sil>, {NOISE}, (utterance)
SUFFIX = re.compile(r"(?<=\w) ('(?:s|t|d|m|re|ll|ve))\b")  # it 's


def read_set(corpus: Path, name: str) -> list[Utterance]:
    """The utterances of one set, numbered by time within a talk."""
    place = corpus / "TEDLIUM_release-3" if (corpus / "TEDLIUM_release-3").is_dir() else corpus
    folder = require(place / "legacy" / name, "give the folder that holds legacy/train, legacy/dev and legacy/test")
    found: list[Utterance] = []
    for path in sorted(require(folder / "stm", AGAIN).glob("*.stm")):
        audio = folder / "sph" / f"{path.stem}.sph"
        segments = sorted(_segments(path), key=lambda segment: segment[1:3])
        for number, (speaker, start, end, text) in enumerate(segments, 1):
            found.append(Utterance(f"{path.stem}_{number:05d}", speaker, {"en": text}, audio, start, end))
    if not found:
        raise ValueError(f"{folder / 'stm'}: no utterance in its *.stm; {AGAIN}")
    return found


def plain(words: str) -> str:
    """The words that were said: without marks of noise, silence and pronunciation; a suffix joined to its word."""
    return SUFFIX.sub(r"\1", " ".join(MARKS.sub(" ", words.strip()).split()))


def _segments(path: Path) -> Iterator[tuple[str, float, float, str]]:
    for number, line in enumerate(read_lines(path, AGAIN), 1):
        if not line.strip() or line.startswith(";;") or NOT_SCORED in line:
            continue
        try:
            _, _, speaker, start, end, *rest = line.split(maxsplit=5)
            times = float(start), float(end)
        except ValueError:
            shown = f"found {line[:80]!r}"
            raise ValueError(
                f"{path}:{number}: expected `talk channel speaker start end words`, {shown}; {AGAIN}"
            ) from None
        yield speaker, *times, plain(" ".join(rest))  # of a line without words: an empty text, which is dropped
