#!/usr/bin/env python3
"""IWSLT16 German-English, text: CORPUS/{de-en,en-de}/{train.tags.*, IWSLT16.TED.<set>.*.xml}."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import iwslt_text
from espnet_ext.corpora.arguments import add_text_sets, text_parser, two_languages
from espnet_ext.data.write_datadir import update_data_dir
from espnet_ext.data.write_text import update_text_dir

LANGUAGES = ("de", "en")
SETS = ("tst2013", "tst2014")


def main() -> None:
    parser = text_parser(__doc__, LANGUAGES, "de", "en")
    add_text_sets(parser, SETS)
    args = parser.parse_args()
    try:
        langs = two_languages(args)
        files = iwslt_text.training_files(args.corpus, langs)
        update_text_dir(args.data / "train", iwslt_text.read_train(files), files.values())
        for name in args.sets:
            update_data_dir(args.data / name, iwslt_text.read_set(args.corpus, name, langs))
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
