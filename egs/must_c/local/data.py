#!/usr/bin/env python3
"""MuST-C: TED talks in English and one of ten languages, as CORPUS/en-<l>/data/<set>/{txt,wav}."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import must_c
from espnet_ext.data import write_datadir
from espnet_ext.infra.arguments import at_least_one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds en-de, en-es, ...")
    parser.add_argument("--src_lang", choices=["en"], default="en", help="language of the talks (en)")
    parser.add_argument("--tgt_lang", choices=must_c.LANGUAGES, required=True, help="language of the translations")
    parser.add_argument("--sets", nargs="+", choices=must_c.SETS, default=must_c.SETS, help="sets to prepare (all)")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        for name in args.sets:
            utterances = must_c.read_set(args.corpus, name, args.tgt_lang)
            shortest = must_c.SHORTEST if name == "train" else write_datadir.SHORTEST
            options = {"nj": args.nj, "shortest": shortest, "speech": args.src_lang}
            write_datadir.update_data_dir(args.data / name, utterances, **options)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
