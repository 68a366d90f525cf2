#!/usr/bin/env python3
"""English into German from many corpora: translation of speech, its recognition, translation of text."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

import sources

from espnet_ext.corpora import text_pairs
from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance, update_data_dir
from espnet_ext.data.write_text import update_text_dir
from espnet_ext.infra.arguments import at_least_one

MERGED = {  # what trains or validates is of several corpora; test sets are a corpus's own
    "st_train": "speech with transcript and translation",
    "asr_train": "speech with transcript alone",
    "mt_train": "text of both languages",
    "st_dev": "speech with transcript and translation to validate on",
    "asr_dev": "speech with transcript to validate on",
    "mt_dev": "text of both languages to validate on",
}
ALL_AT_ONCE = ("st_train", "asr_train")  # of the others the first corpus that has one


def place(corpus: Path, name: str) -> Path:
    remedy = f"link or unpack {name} there, or leave it out: --data_args '--corpora ...' without {name}"
    return require(corpus / name, remedy)


def gather(corpus: Path, names: Sequence[str]) -> dict[str, list[Utterance]]:
    """Every set but mt_train by its name, from those corpora that the user has."""
    sets: dict[str, list[Utterance]] = {}
    for name in names:
        for part, utterances in sources.READERS[name](place(corpus, name)).items():
            if part in ALL_AT_ONCE and part in sets:
                sets[part] += utterances
            else:
                sets.setdefault(part, utterances)
    sources.hold_out(sets)
    for part in ("st_train", "asr_train"):
        if part in sets:
            sets[part] = sources.without_talks_of_tests(sets[part], sets)
    return sets


def say_what_is_missing(sets: set[str]) -> None:
    for name, what in MERGED.items():
        if name not in sets:
            task = name.partition("_")[0]
            print(
                f"no corpus gives {name} ({what}): name another set by --set, such as tasks.{task}.set=st_train, "
                f"or leave the task out by --set tasks.{task}=null",
                file=sys.stderr,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help=f"folder that holds {' '.join(sources.READERS)}")
    parser.add_argument("--corpora", nargs="+", choices=sources.READERS, default=list(sources.READERS), help="all")
    parser.add_argument("--src_lang", choices=["en"], default="en", help="language of the speech (en)")
    parser.add_argument("--tgt_lang", choices=["de"], default="de", help="language of the translations (de)")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        sets = gather(args.corpus, args.corpora)
        for name, utterances in sets.items():
            shortest = sources.SHORTEST if name.endswith("_train") else sources.SHORTEST_TEST
            speech = "en" if utterances[0].audio else None
            update_data_dir(args.data / name, utterances, nj=args.nj, shortest=shortest, speech=speech)
        pairs = [
            each
            for name in args.corpora
            if name in sources.PAIRS
            for each in sources.PAIRS[name](place(args.corpus, name))
        ]
        if pairs:
            everything = text_pairs.together(pairs)
            update_text_dir(args.data / "mt_train", everything, everything.paths)
        say_what_is_missing({*sets, *(["mt_train"] if pairs else [])})
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
