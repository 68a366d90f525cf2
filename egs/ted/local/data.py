#!/usr/bin/env python3
"""TED talks as IWSLT gives them: CORPUS/train/iwslt-corpus, CORPUS/<set>/IWSLT.<set>; or both in CORPUS/en-<l>."""

import argparse
import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

import iwslt

from espnet_ext.data import segment_yaml, write_datadir
from espnet_ext.data.read_datadir import talk_of
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.files import write_table

LANGUAGES = ("de", "fr", "zh", "ja")
SETS = ("dev2010", "tst2010", "tst2013", "tst2014", "tst2015")
SHORTEST = 0.2  # seconds; in training, less is a cut-off word
HELD_OUT = 2000  # utterances to validate on, but not over a tenth of all

Utterances = list[write_datadir.Utterance]


def read_train(corpus: Path, lang: str) -> Utterances:
    folder = segment_yaml.require(
        corpus / "train" / "iwslt-corpus", "give --corpus the folder that holds train and the sets"
    )
    parallel = folder / "parallel"
    files = {end: segment_yaml.require(parallel / f"train.{end}", iwslt.AGAIN) for end in ("yaml", "en", lang)}
    return segment_yaml.read_utterances(files["yaml"], {"en": files["en"], lang: files[lang]}, folder / "wav")


def hold_out(utterances: Utterances, wanted: int) -> tuple[Utterances, Utterances]:
    """(train, dev): whole talks, always the same ones, whose utterances just come to `wanted`."""
    by_talk: dict[str, Utterances] = {}
    for utterance in utterances:
        by_talk.setdefault(talk_of(utterance.id), []).append(utterance)
    if len(by_talk) < 2:
        raise ValueError(f"the training part has {len(by_talk)} talk; two are needed, one of them to validate on")
    order = sorted(by_talk, key=lambda talk: hashlib.sha256(talk.encode()).digest())
    dev: Utterances = []
    while len(order) > 1 and len(dev) < max(1, wanted):
        dev += by_talk[order.pop(0)]
    return [utterance for talk in order for utterance in by_talk[talk]], dev


def write_evaluation_set(folder: Path, found: iwslt.EvaluationSet, nj: int) -> None:
    write_datadir.update_data_dir(folder, found.utterances, nj=nj)
    for lang, rows in found.references.items():
        write_table(folder / f"reference.{lang}", rows)
    if found.empty:
        shown = " ".join(found.empty[:3])
        print(f"{folder}: {len(found.empty)} references dropped, empty in some language: {shown}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the unpacked corpus")
    parser.add_argument("--src_lang", choices=["en"], default="en", help="language of the talks (en)")
    parser.add_argument("--tgt_lang", choices=LANGUAGES, required=True, help="language of the translations")
    parser.add_argument("--sets", nargs="*", default=SETS, help=f"evaluation sets to prepare ({' '.join(SETS)})")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    pair = f"en-{args.tgt_lang}"
    corpus = args.corpus / pair if (args.corpus / pair).is_dir() else args.corpus
    try:
        everything = read_train(corpus, args.tgt_lang)
        train, dev = hold_out(everything, min(HELD_OUT, len(everything) // 10))
        for name, part in (("train", train), ("dev", dev)):
            write_datadir.update_data_dir(args.data / name, part, nj=args.nj, shortest=SHORTEST)
        for name in args.sets:
            folder = segment_yaml.require(
                corpus / name / f"IWSLT.{name}", "leave this set out with --sets, or unpack it"
            )
            found = iwslt.read_evaluation_set(folder, f"IWSLT.TED.{name}.{pair}", ["en", args.tgt_lang])
            write_evaluation_set(args.data / name, found, args.nj)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
