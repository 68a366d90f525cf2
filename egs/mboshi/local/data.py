#!/usr/bin/env python3
"""Mboshi-French parallel corpus: CORPUS/full_corpus_newsplit/{train,dev}/<utterance>.{wav,mb,fr}."""

import argparse
import hashlib
import html
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.data import segment_yaml, write_datadir
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.scoring.metrics import without_punctuation

LANGUAGES = ("mb", "fr")
TUNE = 300  # utterances of the training part to make choices on
AGAIN = "clone the corpus again"

Utterances = list[write_datadir.Utterance]


def plain(text: str, lang: str) -> str:
    """The text without entities; French detokenised. What is written in capitals or with accents stays so."""
    text = unicodedata.normalize("NFC", html.unescape(text))
    if lang == "fr":
        text = re.sub(r"(?<=\w)\s*'\s*(?=\w)", "'", text)  # m' a, qu 'il
        text = re.sub(r"\s+([,.])", r"\1", text)
        text = re.sub(r"([,.])(?=[^\W\d])", r"\1 ", text)  # paraboles,c'est
    return " ".join(text.split())


def read_part(folder: Path) -> Utterances:
    """Every recording that has both texts; the speaker is the id up to the first `_`."""
    segment_yaml.require(folder, "give --corpus the folder that holds full_corpus_newsplit")
    found = []
    for wav in sorted(folder.glob("*.wav")):
        files = {lang: segment_yaml.require(wav.with_suffix(f".{lang}"), AGAIN) for lang in LANGUAGES}
        texts = {lang: plain(" ".join(segment_yaml.read_lines(path)), lang) for lang, path in files.items()}
        found.append(write_datadir.Utterance(wav.stem, wav.stem.partition("_")[0], texts, wav))
    if not found:
        raise ValueError(f"{folder}: no *.wav in it; {AGAIN}")
    return found


def alike(text: str) -> str:
    """What is equal for sentences that differ in case and punctuation only."""
    return without_punctuation(text).lower()


def part_for_choices(utterances: Utterances, wanted: int) -> set[str]:
    """Ids of utterances whose sentence, French and Mboshi, occurs nowhere else; always the same, in no order."""
    counts = Counter((lang, alike(text)) for u in utterances for lang, text in u.texts.items())
    alone = [u.id for u in utterances if all(counts[lang, alike(text)] == 1 for lang, text in u.texts.items())]
    return set(sorted(alone, key=lambda key: hashlib.sha256(key.encode()).digest())[:wanted])


def unseen(dev: Utterances, train: Utterances) -> Utterances:
    """The utterances whose French does not occur in the training part."""
    seen = {alike(utterance.texts["fr"]) for utterance in train}
    return [utterance for utterance in dev if alike(utterance.texts["fr"]) not in seen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds full_corpus_newsplit")
    parser.add_argument("--src_lang", choices=["mb"], default="mb", help="language of the speech (mb)")
    parser.add_argument("--tgt_lang", choices=["fr"], default="fr", help="language of the translations (fr)")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        corpus = args.corpus / "full_corpus_newsplit"
        everything, dev = read_part(corpus / "train"), read_part(corpus / "dev")
        tune = part_for_choices(everything, min(TUNE, len(everything) // 10))
        sets = {
            "train": [utterance for utterance in everything if utterance.id not in tune],
            "tune": [utterance for utterance in everything if utterance.id in tune],
            "dev": dev,
            "dev_unseen": unseen(dev, everything),
        }
        for name, utterances in sets.items():
            write_datadir.update_data_dir(args.data / name, utterances, nj=args.nj, speech=args.src_lang)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
