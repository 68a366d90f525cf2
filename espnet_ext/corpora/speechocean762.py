"""speechocean762: {train,test}/{wav.scp,text,utt2spk} parted by tabs, and WAVE/SPEAKER<id>/<utterance>.WAV."""

from pathlib import Path

from espnet_ext.data.leaks import plain
from espnet_ext.data.segment_yaml import read_lines, require
from espnet_ext.data.write_datadir import Utterance

AGAIN = "unpack the corpus again"


def read_set(corpus: Path, name: str) -> list[Utterance]:
    """The utterances of train or test; texts are in capitals, as the corpus has them."""
    folder = require(corpus / name, "give the folder that holds train, test and WAVE")
    tables = {table: _rows(require(folder / table, AGAIN)) for table in ("wav.scp", "text", "utt2spk")}
    for table, rows in tables.items():
        if rows.keys() != tables["text"].keys():
            other = min(rows.keys() ^ tables["text"].keys())
            raise ValueError(f"{folder}: utterance {other} is in only one of text and {table}; {AGAIN}")
    audio, texts, speakers = tables.values()
    return [Utterance(key, speakers[key], {"en": texts[key]}, corpus / audio[key]) for key in texts]


def without_seen(test: list[Utterance], train: list[Utterance]) -> list[Utterance]:
    """The utterances whose text does not occur in the training part; 52 texts do."""
    seen = {plain(utterance.texts["en"]) for utterance in train}
    return [utterance for utterance in test if plain(utterance.texts["en"]) not in seen]


def _rows(path: Path) -> dict[str, str]:
    return {key: value for key, _, value in (line.partition("\t") for line in read_lines(path)) if key}
