#!/usr/bin/env python3
"""TED talks as IWSLT gives them: CORPUS/train/iwslt-corpus, CORPUS/<set>/IWSLT.<set>; or both in CORPUS/en-<l>."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import iwslt
from espnet_ext.corpora.iwslt_evaluation import EvaluationSet
from espnet_ext.data import write_datadir
from espnet_ext.data.about import refresh
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.files import write_table

SETS = ("dev2010", "tst2010", "tst2013", "tst2014", "tst2015")
HELD_OUT = 2000  # utterances to validate on, but not over a tenth of all


def write_evaluation_set(folder: Path, found: EvaluationSet, nj: int) -> None:
    write_datadir.update_data_dir(folder, found.utterances, nj=nj, speech="en")
    for lang, rows in found.references.items():
        write_table(folder / f"reference.{lang}", rows)
    refresh(folder)
    if found.empty:
        shown = " ".join(found.empty[:3])
        print(f"{folder}: {len(found.empty)} references dropped, empty in some language: {shown}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the unpacked corpus")
    parser.add_argument("--src_lang", choices=["en"], default="en", help="language of the talks (en)")
    parser.add_argument("--tgt_lang", choices=iwslt.LANGUAGES, required=True, help="language of the translations")
    parser.add_argument("--sets", nargs="*", default=SETS, help=f"evaluation sets to prepare ({' '.join(SETS)})")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        everything = iwslt.read_train(args.corpus, args.tgt_lang)
        train, dev = iwslt.hold_out(everything, min(HELD_OUT, len(everything) // 10))
        for name, part in (("train", train), ("dev", dev)):
            options = {"nj": args.nj, "shortest": iwslt.SHORTEST, "speech": args.src_lang}
            write_datadir.update_data_dir(args.data / name, part, **options)
        for name in args.sets:
            found = iwslt.read_evaluation_set(args.corpus, name, args.tgt_lang)
            write_evaluation_set(args.data / name, found, args.nj)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
