#!/usr/bin/env python3
"""MuST-C v1, v2 and v3: TED talks in English with translations, as CORPUS/en-<l>/data/<set>/{txt,wav}."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.data import segment_yaml, write_datadir
from espnet_ext.infra.arguments import at_least_one

LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "ro", "ru", "ja", "zh")  # v1 has the first eight, v2 and v3 de ja zh
SETS = ("train", "dev", "tst-COMMON", "tst-HE")
SHORTEST = 0.2  # seconds; in training, less is a cut-off word. A test set keeps all that features can be made of.


def read_set(pair: Path, name: str, lang: str) -> list[write_datadir.Utterance]:
    """One set: entry i of the yaml is line i of both texts."""
    folder = segment_yaml.require(pair / "data" / name, "leave this set out with --sets, or unpack the corpus again")
    text = folder / "txt"
    files = {
        key: segment_yaml.require(text / f"{name}.{key}", "unpack the corpus again") for key in ("yaml", "en", lang)
    }
    return segment_yaml.read_utterances(files["yaml"], {"en": files["en"], lang: files[lang]}, folder / "wav")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds en-de, en-es, ...")
    parser.add_argument("--src_lang", choices=["en"], default="en", help="language of the talks (en)")
    parser.add_argument("--tgt_lang", choices=LANGUAGES, required=True, help="language of the translations")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS, help=f"sets to prepare ({' '.join(SETS)})")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        pair = segment_yaml.require(args.corpus / f"en-{args.tgt_lang}", "give --corpus the folder that holds it")
        for name in args.sets:
            utterances = read_set(pair, name, args.tgt_lang)
            shortest = SHORTEST if name == "train" else write_datadir.SHORTEST
            write_datadir.update_data_dir(args.data / name, utterances, nj=args.nj, shortest=shortest)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
