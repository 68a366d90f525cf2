#!/usr/bin/env python3
"""NIST Chinese-English: CORPUS/train.zh-en.{zh,en}, and for each set its SGML or XML files, or <set>.{cn,en0,...}."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import nist, text_pairs
from espnet_ext.data.write_datadir import update_data_dir
from espnet_ext.data.write_text import update_text_dir

LANGUAGES = ("zh", "en")
SETS = ("nist02", "nist05", "nist06", "nist08")


def write_set(folder: Path, corpus: Path, langs: tuple[str, str]) -> None:
    utterances, left_out = nist.read_set(corpus, folder.name, langs)
    update_data_dir(folder, utterances)
    for reason, count in left_out.items():
        print(f"{folder}: {count} documents left out, with {reason}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the unpacked corpus")
    parser.add_argument("--src_lang", choices=LANGUAGES, default="zh", help="language to translate from (zh)")
    parser.add_argument("--tgt_lang", choices=LANGUAGES, default="en", help="language to translate into (en)")
    parser.add_argument("--sets", nargs="*", default=SETS, help=f"sets beside train ({' '.join(SETS)})")
    parser.add_argument("--nj", type=int, default=1, help="not used: there is no audio to look at")
    args = parser.parse_args()
    langs = args.src_lang, args.tgt_lang
    try:
        if args.src_lang == args.tgt_lang:
            raise ValueError(f"--src_lang and --tgt_lang are both {args.src_lang}; give two languages")
        files = sorted(path for place in ("", "*/") for path in args.corpus.glob(f"{place}train.*") if path.is_file())
        update_text_dir(args.data / "train", text_pairs.read_corpus(args.corpus, ["train"], langs), files)
        for name in args.sets:
            write_set(args.data / name, args.corpus, langs)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
