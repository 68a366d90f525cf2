"""Common Voice: <language>/{clips/*.mp3,train.tsv,dev.tsv,test.tsv,validated.tsv} of `client_id path sentence ...`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

AGAIN = "unpack the corpus again"
ESCAPES = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}


def read_set(folder: Path, name: str, lang: str) -> list[Utterance]:
    """The clips of one table; `folder` is that of the language, or holds it."""
    place = folder / lang if (folder / lang).is_dir() else folder
    path = require(place / f"{name}.tsv", f"give the folder that holds clips and {name}.tsv")
    return [
        Utterance(
            Path(row["path"]).stem or f"{name}-row-{number}",  # of a cut row: its text is empty, so it is dropped
            speaker_of(row["client_id"]),
            {lang: row["sentence"]},
            clip(place, row["path"]),
        )
        for number, row in enumerate(read_tsv(path, ("client_id", "path", "sentence")), 1)
    ]


def speaker_of(client: str) -> str:
    """A client's id is a hash of 128 characters, of which 16 are enough to tell clients apart."""
    return client[:16] or "nobody"


def clip(place: Path, name: str) -> Path:
    """Some releases leave out the ending."""
    return place / "clips" / (name if name.endswith(".mp3") else f"{name}.mp3")


def read_tsv(path: Path, needed: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows by their head, what a row lacks as empty; quotes mean nothing, `\\t` is a tab within a value."""
    lines = read_lines(path, AGAIN)
    head = next(lines, "").split("\t")
    missing = [name for name in needed if name not in head]
    if missing:
        raise ValueError(f"{path}: its head has no {', '.join(missing)}; found {' '.join(head)[:100]!r}; {AGAIN}")
    for line in lines:
        yield dict.fromkeys(head, "") | {
            name: _plain(value) for name, value in zip(head, line.split("\t"), strict=False)
        }


def _plain(value: str) -> str:
    if "\\" not in value:
        return value
    parts, place = [], 0
    while place < len(value):
        pair = value[place : place + 2]
        parts.append(ESCAPES.get(pair, pair[:1]))
        place += 2 if pair in ESCAPES else 1
    return "".join(parts)
