"""Europarl-ST v1.1: <src>/audios/<speech>.m4a, and <src>/<tgt>/<set>/ with segments.{lst,<src>,<tgt>} and speakers."""

from pathlib import Path

from espnet_ext.data.segment_yaml import read_lines, require
from espnet_ext.data.write_datadir import Utterance

SETS = ("train", "dev", "test", "train-noisy")
AGAIN = "unpack the corpus again"


def read_set(corpus: Path, name: str, src: str, tgt: str) -> list[Utterance]:
    """One set: line i of segments.lst is line i of both texts; ids number the segments of a speech in their order."""
    source = require(corpus / src, f"give the folder that holds {src}/{tgt}")
    folder = require(source / tgt / name, AGAIN)
    rows = [line.split() for line in read_lines(require(folder / "segments.lst", AGAIN)) if line.strip()]
    texts = {lang: read_lines(require(folder / f"segments.{lang}", AGAIN)) for lang in (src, tgt)}
    for lang, lines in texts.items():
        if len(lines) != len(rows):
            raise ValueError(f"{folder}: segments.lst has {len(rows)} lines and segments.{lang} {len(lines)}; {AGAIN}")
    speakers = _speakers(folder)
    found, counts = [], dict[str, int]()
    for i, row in enumerate(rows):
        try:
            speech, start, end = row[0], float(row[1]), float(row[2])
        except (IndexError, ValueError):
            shown = f"found {' '.join(row)[:60]!r}"
            raise ValueError(
                f"{folder / 'segments.lst'}:{i + 1}: expected `speech start end`, {shown}; {AGAIN}"
            ) from None
        counts[speech] = counts.get(speech, 0) + 1
        audio, said = source / "audios" / f"{speech}.m4a", {lang: texts[lang][i] for lang in texts}
        key = f"{speech}_{counts[speech]:05d}"
        found.append(Utterance(key, speakers.get(speech, speech), said, audio, start, end))
    return found


def _speakers(folder: Path) -> dict[str, str]:
    """Who gave each speech, where the set says so: speakers.lst runs with speeches.lst, not with the segments."""
    files = [folder / "speeches.lst", folder / "speakers.lst"]
    if not all(path.exists() for path in files):
        return {}
    speeches, speakers = ([line.strip() for line in read_lines(path) if line.strip()] for path in files)
    if len(speeches) != len(speakers):
        raise ValueError(f"{folder}: speeches.lst has {len(speeches)} lines and speakers.lst {len(speakers)}; {AGAIN}")
    return {speech: "_".join(speaker.split()) for speech, speaker in zip(speeches, speakers, strict=True)}
