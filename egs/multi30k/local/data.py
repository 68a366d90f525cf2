#!/usr/bin/env python3
"""Multi30k: CORPUS/<set>.<language>, or a clone of multi30k/dataset, which has them in data/task1/raw as .gz files."""

import argparse
import gzip
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.data.write_datadir import Utterance, update_data_dir

LANGUAGES = ("en", "de", "fr")
SETS = ("train", "val", "test_2016_flickr")
CLONE = Path("data") / "task1" / "raw"


def read_lines(corpus: Path, name: str) -> list[str]:
    """The lines of `name`, plain or compressed, wherever in the corpus it is."""
    for folder in (corpus, corpus / CLONE):
        for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
            if path.exists():
                with opener(path, "rt", encoding="utf-8", newline="\n") as stream:
                    return [line.rstrip("\r\n") for line in stream]
    raise ValueError(
        f"{corpus}: neither {name} nor {CLONE / name}.gz is there; give --corpus the folder of the text files, "
        "or a clone of the repository multi30k/dataset"
    )


def read_set(corpus: Path, name: str, languages: tuple[str, str]) -> list[Utterance]:
    texts = {lang: read_lines(corpus, f"{name}.{lang}") for lang in languages}
    sizes = {lang: len(lines) for lang, lines in texts.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{corpus}: {name} has different numbers of lines: {sizes}; copy the files again")
    ids = [f"{name}-{number:05d}" for number in range(1, sizes[languages[0]] + 1)]
    return [Utterance(key, key, {lang: texts[lang][i] for lang in languages}) for i, key in enumerate(ids)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--src_lang", choices=LANGUAGES, default="en", help="language to translate from (en)")
    parser.add_argument("--tgt_lang", choices=LANGUAGES, default="de", help="language to translate into (de)")
    parser.add_argument("--sets", nargs="*", default=SETS, help=f"sets to prepare ({' '.join(SETS)})")
    parser.add_argument("--nj", type=int, default=1, help="not used: there is no audio to look at")
    args = parser.parse_args()
    try:
        if args.src_lang == args.tgt_lang:
            raise ValueError(f"--src_lang and --tgt_lang are both {args.src_lang}; give two languages")
        for name in args.sets:
            update_data_dir(args.data / name, read_set(args.corpus, name, (args.src_lang, args.tgt_lang)))
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
