#!/usr/bin/env python3
"""IWSLT16 German-English, text: CORPUS/{de-en,en-de}/{train.tags.*, IWSLT16.TED.<set>.*.xml}."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import iwslt_text
from espnet_ext.data.write_datadir import update_data_dir
from espnet_ext.data.write_text import update_text_dir

LANGUAGES = ("de", "en")
SETS = ("tst2013", "tst2014")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the unpacked corpus")
    parser.add_argument("--src_lang", choices=LANGUAGES, default="de", help="language to translate from (de)")
    parser.add_argument("--tgt_lang", choices=LANGUAGES, default="en", help="language to translate into (en)")
    parser.add_argument("--sets", nargs="*", default=SETS, help=f"sets beside train ({' '.join(SETS)})")
    parser.add_argument("--nj", type=int, default=1, help="not used: there is no audio to look at")
    args = parser.parse_args()
    langs = args.src_lang, args.tgt_lang
    try:
        if args.src_lang == args.tgt_lang:
            raise ValueError(f"--src_lang and --tgt_lang are both {args.src_lang}; give two languages")
        files = iwslt_text.training_files(args.corpus, langs)
        update_text_dir(args.data / "train", iwslt_text.read_train(files), files.values())
        for name in args.sets:
            update_data_dir(args.data / name, iwslt_text.read_set(args.corpus, name, langs))
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
