#!/usr/bin/env python3
"""WMT15 German-English: CORPUS with europarl-v7, commoncrawl and news-commentary-v10 .de-en, and newstest sets."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from collections.abc import Iterator

from espnet_ext.corpora import text_pairs, wmt
from espnet_ext.corpora.arguments import add_text_sets, text_parser, two_languages
from espnet_ext.data.write_datadir import Utterance, update_data_dir
from espnet_ext.data.write_text import update_text_dir

LANGUAGES = ("de", "en")
TRAINING = ("commoncrawl", "europarl-v7", "news-commentary-v10")  # sorted, as their ids are
SETS = ("newstest2014", "newstest2015")


def read_train(corpus: Path, langs: tuple[str, str]) -> Iterator[Utterance]:
    for name in TRAINING:
        yield from text_pairs.read_corpus(corpus, [name], langs)


def training_files(corpus: Path) -> list[Path]:
    found = [path for name in TRAINING for place in ("", "*/") for path in corpus.glob(f"{place}{name}.*")]
    return sorted(path for path in found if path.is_file())


def main() -> None:
    parser = text_parser(__doc__, LANGUAGES, "de", "en")
    add_text_sets(parser, SETS)
    args = parser.parse_args()
    try:
        langs = two_languages(args)
        update_text_dir(args.data / "train", read_train(args.corpus, langs), training_files(args.corpus))
        for name in args.sets:
            update_data_dir(args.data / name, wmt.read_set(args.corpus, name, langs))
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
