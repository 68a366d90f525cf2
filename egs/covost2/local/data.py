#!/usr/bin/env python3
"""CoVoST 2 on Common Voice v4: CORPUS/<language>/{clips,validated.tsv,covost_v2.<source>_<target>.tsv}.

With --hours also asr_train, asr_dev and asr_test: speech of the target language, for recognition with little of it.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import common_voice, covost2
from espnet_ext.data import subset
from espnet_ext.data.write_datadir import update_data_dir
from espnet_ext.infra.arguments import at_least_one

SPOKEN = ("train", "dev", "test")  # tables of Common Voice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder that holds en, de, ...")
    parser.add_argument("--src_lang", default="en", help="language of the speech (en)")
    parser.add_argument("--tgt_lang", required=True, help="language of the translations, such as de or zh-CN")
    parser.add_argument("--hours", type=float, help="of speech of the target language that is to be learned from")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        for name, found in covost2.read_sets(args.corpus, args.src_lang, args.tgt_lang).items():
            update_data_dir(args.data / name, found, nj=args.nj, speech=args.src_lang)
        if args.hours is not None:
            for name in SPOKEN:
                found = common_voice.read_set(args.corpus, name, args.tgt_lang)
                place = args.data / ("asr_all" if name == "train" else f"asr_{name}")
                update_data_dir(place, found, nj=args.nj, speech=args.tgt_lang)
            part = ["--hours", str(args.hours), "--nj", str(args.nj)]
            subset.main([str(args.data / "asr_all"), str(args.data / "asr_train"), *part])
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
