"""CoVoST 2 on Common Voice v4: CORPUS/<source>/{clips/*.mp3,validated.tsv,covost_v2.<source>_<target>.tsv}."""

import sys
from collections.abc import Iterable
from pathlib import Path

from espnet_ext.corpora.common_voice import AGAIN, clip, read_tsv, speaker_of
from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance

SETS = {"train": ("train", "train_covost"), "dev": ("dev",), "test": ("test",)}  # and the splits that make them up
SPOKEN = ("client_id", "path", "sentence")  # columns of validated.tsv
SHOWN = 3


def read_sets(corpus: Path, source: str, target: str, names: Iterable[str] = SETS) -> dict[str, list[Utterance]]:
    """The sets of one direction: what both tables have."""
    folder = require(corpus / source, "give --corpus the folder that holds those of the languages")
    pairs = require(folder / f"covost_v2.{source}_{target}.tsv", "there is no such direction, or it is not unpacked")
    said = {stem(row["path"]): row for row in read_tsv(require(folder / "validated.tsv", AGAIN), SPOKEN)}
    rows = [row for row in read_tsv(pairs, ("path", "translation", "split")) if row["path"]]
    lost = [row["path"] for row in rows if stem(row["path"]) not in said]
    if lost:
        some = " ".join(lost[:SHOWN]) + (" ..." if len(lost) > SHOWN else "")
        print(f"{pairs}: {len(lost)} of {len(rows)} left out, not in validated.tsv: {some}", file=sys.stderr)
    found: dict[str, list[Utterance]] = {name: [] for name in names}
    of_split = {split: name for name in found for split in SETS[name]}
    for row in rows:
        name, key = of_split.get(row["split"]), stem(row["path"])
        if name and key in said:
            texts = {source: said[key]["sentence"], target: row["translation"]}
            found[name].append(Utterance(key, speaker_of(said[key]["client_id"]), texts, clip(folder, row["path"])))
    return found


def stem(path: str) -> str:
    """Of a clip; some tables leave out the ending."""
    return path.removesuffix(".mp3")
