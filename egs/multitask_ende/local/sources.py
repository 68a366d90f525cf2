"""What each corpus gives to the sets of the recipe; all are read by the readers that other recipes use."""

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from espnet_ext.corpora import (
    common_voice,
    europarl_st,
    iwslt,
    librispeech,
    must_c,
    opensubtitles,
    tedlium,
    text_pairs,
    wmt,
)
from espnet_ext.data import write_datadir
from espnet_ext.data.write_datadir import Utterance

PAIR = ("en", "de")
SHORTEST, SHORTEST_TEST = must_c.SHORTEST, write_datadir.SHORTEST
HELD_OUT = 2000  # utterances to validate on, but not over a tenth of all, where no corpus has a set for it
TALK = re.compile(r"^ted_(\d+)_\d+$")  # of MuST-C and of IWSLT, whose talks have the same numbers
WMT_TRAINING = (["commoncrawl"], ["europarl-v9", "europarl-v7"], ["news-commentary-v14", "news-commentary-v10"])

Sets = dict[str, list[Utterance]]


def named(utterances: Iterable[Utterance], corpus: str) -> list[Utterance]:
    """With the corpus before each id, so that sets of several corpora can be told apart."""
    return [replace(u, id=f"{corpus}-{u.id}") for u in utterances]


def lower(utterances: Iterable[Utterance]) -> list[Utterance]:
    """In small letters, where a corpus has nothing but capitals."""
    return [replace(u, texts={lang: text.lower() for lang, text in u.texts.items()}) for u in utterances]


def read_must_c(folder: Path) -> Sets:
    parts = {"st_train": "train", "st_dev": "dev", "must_c_tst-COMMON": "tst-COMMON"}
    return {part: named(must_c.read_set(folder, name, "de"), "mustc") for part, name in parts.items()}


def read_europarl_st(folder: Path) -> Sets:
    parts = {"st_train": "train", "st_dev": "dev", "europarl_st_test": "test"}
    return {part: named(europarl_st.read_set(folder, name, *PAIR), "europarlst") for part, name in parts.items()}


def read_iwslt(folder: Path) -> Sets:
    return {"st_train": named(iwslt.read_train(folder, "de"), "iwslt")}


def read_tedlium(folder: Path) -> Sets:
    parts = {"asr_train": "train", "asr_dev": "dev", "tedlium_test": "test"}
    return {part: named(tedlium.read_set(folder, name), "tedlium") for part, name in parts.items()}


def read_librispeech(folder: Path) -> Sets:
    train = chain.from_iterable(librispeech.read_set(folder, name) for name in librispeech.training_sets(folder))
    sets = {"asr_train": train, "asr_dev": librispeech.read_set(folder, "dev-clean")}
    sets["librispeech_test-clean"] = librispeech.read_set(folder, "test-clean")
    return {part: named(lower(utterances), "librispeech") for part, utterances in sets.items()}


def read_common_voice(folder: Path) -> Sets:
    parts = {"asr_train": "train", "asr_dev": "dev", "common_voice_test": "test"}
    return {part: named(common_voice.read_set(folder, name, "en"), "commonvoice") for part, name in parts.items()}


def read_wmt(folder: Path) -> Sets:
    parts = {"mt_dev": "newstest2013", "newstest2014": "newstest2014"}
    return {part: wmt.read_set(folder, name, PAIR) for part, name in parts.items()}


def pairs_of_wmt(folder: Path) -> list[text_pairs.Pairs]:
    return [text_pairs.read_corpus(folder, names, PAIR) for names in WMT_TRAINING]


def pairs_of_opensubtitles(folder: Path) -> list[text_pairs.Pairs]:
    return [opensubtitles.read_corpus(folder, PAIR)]


READERS: dict[str, Callable[[Path], Sets]] = {
    "must_c": read_must_c,
    "europarl_st": read_europarl_st,
    "iwslt": read_iwslt,
    "tedlium": read_tedlium,
    "librispeech": read_librispeech,
    "common_voice": read_common_voice,
    "wmt": read_wmt,
    "opensubtitles": lambda folder: {},
}
# Text to train on, which is read line by line and not held in memory: there are 27 million pairs.
PAIRS = {"wmt": pairs_of_wmt, "opensubtitles": pairs_of_opensubtitles}


def hold_out(sets: Sets) -> None:
    """Validate on whole talks of the training part, where no corpus has a set for it (IWSLT alone)."""
    if "st_train" in sets and "st_dev" not in sets:
        everything = sets["st_train"]
        sets["st_train"], sets["st_dev"] = iwslt.hold_out(everything, min(HELD_OUT, len(everything) // 10))


def without_talks_of_tests(train: list[Utterance], sets: Sets) -> list[Utterance]:
    """Without talks that another corpus has for its dev or test set: MuST-C and IWSLT cut the same recordings."""
    held = {talk_of(u) for part, found in sets.items() if not part.endswith("_train") for u in found} - {None}
    kept = [u for u in train if talk_of(u) not in held]
    if len(kept) < len(train):
        print(
            f"{len(train) - len(kept)} training utterances left out: their talks are in a dev or test set",
            file=sys.stderr,
        )
    return kept


def talk_of(utterance: Utterance) -> str | None:
    """The number of a TED talk; None of what is none."""
    found = TALK.match(utterance.id.partition("-")[2])
    return found[1] if found else None
