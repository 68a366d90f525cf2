#!/usr/bin/env python3
"""Text for three tasks: Europarl v7 En-De, SETIMES2 En-Tr, Europarl v8 with SETIMES2 En-Ro; sets of WMT beside them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

from espnet_ext.corpora import text_pairs, wmt
from espnet_ext.data.write_datadir import update_data_dir
from espnet_ext.data.write_text import update_text_dir
from espnet_ext.infra.arguments import at_least_one

SETIMES = ("SETIMES2", "SETIMES")  # OPUS has named its files either way
# of each language: training corpora, each under the names that it goes by; dev and test sets of WMT
SOURCES: dict[str, tuple[Sequence[Sequence[str]], Sequence[str], Sequence[str]]] = {
    "de": ([["europarl-v7"]], ["dev2006", "nc-dev2007"], ["devtest2006", "test2006", "nc-devtest2007"]),
    "tr": ([SETIMES], ["newsdev2016"], ["newstest2017"]),
    "ro": ([["europarl-v8"], SETIMES], ["newsdev2016"], ["newstest2016"]),
}


def prepare(data: Path, corpus: Path, lang: str, without: Sequence[str]) -> None:
    """Write train, dev and test of English with a language."""
    training, *tests = SOURCES[lang]
    langs = ("en", lang)
    for part, names in zip(("dev", "test"), tests, strict=True):
        wanted = [name for name in names if name not in without]
        if not wanted:
            raise ValueError(f"--without leaves nothing of {' '.join(names)} for {part}_{lang}; keep one of them")
        utterances = [utterance for name in wanted for utterance in wmt.read_set(corpus, name, langs)]
        update_data_dir(data / f"{part}_{lang}", utterances)
    pairs = text_pairs.together(text_pairs.read_corpus(corpus, names, langs) for names in training)
    update_text_dir(data / f"train_{lang}", pairs, pairs.paths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the unpacked corpora, dev/ and test/")
    parser.add_argument("--src_lang", help="not used: the sets say their languages")
    parser.add_argument("--tgt_lang", help="not used: the sets say their languages")
    parser.add_argument("--langs", nargs="+", choices=SOURCES, default=list(SOURCES), help="languages to prepare (all)")
    parser.add_argument("--without", nargs="+", default=[], help="sets of WMT to do without, such as test2006")
    parser.add_argument("--nj", type=at_least_one, default=1, help="not used: there is no audio")
    args = parser.parse_args()
    try:
        for lang in args.langs:
            prepare(args.data, args.corpus, lang, args.without)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
