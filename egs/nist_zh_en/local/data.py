#!/usr/bin/env python3
"""NIST Chinese-English: CORPUS/train.zh-en.{zh,en}, and for each set its SGML or XML files, or <set>.{cn,en0,...}."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import nist, text_pairs
from espnet_ext.corpora.arguments import add_text_sets, text_parser, two_languages
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
    parser = text_parser(__doc__, LANGUAGES, "zh", "en")
    add_text_sets(parser, SETS)
    args = parser.parse_args()
    try:
        langs = two_languages(args)
        files = sorted(path for place in ("", "*/") for path in args.corpus.glob(f"{place}train.*") if path.is_file())
        update_text_dir(args.data / "train", text_pairs.read_corpus(args.corpus, ["train"], langs), files)
        for name in args.sets:
            write_set(args.data / name, args.corpus, langs)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
