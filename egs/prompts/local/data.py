#!/usr/bin/env python3
"""Sentences that people said in many languages, from Debian packages: prompts of Asterisk, stamps of Tux Paint."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

import packages
import phone
import rules
import stamps
from prompt import Prompt
from split import split

from espnet_ext.corpora import speechocean762
from espnet_ext.data.write_datadir import Utterance, update_data_dir
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.files import atomic_open

PARTS = {"phone": phone, "stamps": stamps}
DOWNLOADS = Path("downloads")


def read_part(name: str, given: Path | None) -> list[Prompt]:
    """The prompts of a part, with the part's name before each key."""
    part = PARTS[name]
    prompts = part.read(packages.unpacked(given, part.PACKAGES, DOWNLOADS))
    return [replace(prompt, key=f"{name}-{prompt.key.replace('/', '.')}") for prompt in prompts]


def utterances_of(prompts: Sequence[Prompt], lang: str, targets: Sequence[str], unsure: set[str]) -> list[Utterance]:
    """What was said in a language, with texts in others; a missing or unsure one is empty, and the writer counts it."""
    found = []
    for prompt in prompts:
        if lang in prompt.audio:
            texts = {other: prompt.texts.get(other, "") for other in dict.fromkeys((lang, *targets))}
            if prompt.key in unsure:
                texts[lang] = ""
            found.append(Utterance(f"{lang}-{prompt.key}", prompt.speakers[lang], texts, prompt.audio[lang]))
    return found


def write_marks(path: Path, marks: Sequence[rules.Mark], prompts: dict[str, Prompt]) -> None:
    """A line for each text that a rule found fault with, with the English beside it, to look at."""
    with atomic_open(path) as stream:
        for key, lang, reason, text in sorted(marks):
            stream.write(f"{key}\t{lang}\t{reason}\t{prompts[key].texts.get('en', '')}\t{text}\n")
    print(f"{path}: {len(marks)} texts", file=sys.stderr)


def prepare(data: Path, parts: dict[str, list[Prompt]], nj: int) -> None:
    """Write a set <part>_<language>_{train,dev,test} for each spoken language, and the marked texts to look at."""
    everything = {prompt.key: prompt for prompts in parts.values() for prompt in prompts}
    damaged = [mark for name in parts for mark in rules.damaged(parts[name], PARTS[name].LANGUAGES)]
    loose = [mark for name in parts for mark in rules.loose(parts[name], PARTS[name].LANGUAGES)]
    write_marks(data / "damaged.txt", damaged, everything)
    write_marks(data / "loose.txt", loose, everything)
    sets = split(list(everything.values()), only_training={mark[0] for mark in damaged + loose})
    for name, prompts in parts.items():
        for lang in PARTS[name].SPOKEN:
            unsure = {key for key, other, _, _ in damaged if other == lang}
            for part in ("train", "dev", "test"):
                chosen = [prompt for prompt in prompts if sets[prompt.key] == part]
                found = utterances_of(chosen, lang, PARTS[name].TARGETS, unsure)
                update_data_dir(data / f"{name}_{lang}_{part}", found, nj=nj, speech=lang)


def prepare_read_speech(data: Path, corpus: Path, nj: int) -> None:
    """English of many speakers beside the one of the prompts; a tenth of the training speakers validates."""
    train, test = (
        [replace(u, texts={"en": u.texts["en"].lower()}) for u in speechocean762.read_set(corpus, name)]
        for name in ("train", "test")
    )
    fresh = speechocean762.without_seen(test, train)
    print(f"{len(test) - len(fresh)} test utterances left out, whose text occurs in training", file=sys.stderr)
    speakers = sorted({u.speaker for u in train}, key=lambda speaker: hashlib.sha256(speaker.encode()).digest())
    held = set(speakers[: -(-len(speakers) // 10)])
    sets = {"train": [u for u in train if u.speaker not in held], "dev": [u for u in train if u.speaker in held]}
    for name, utterances in (sets | {"test": fresh}).items():
        update_data_dir(data / f"read_en_{name}", utterances, nj=nj, speech="en")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument(
        "--corpus", type=Path, help="folder with the .deb files or with usr/share; else apt-get fetches"
    )
    parser.add_argument("--src_lang", help="not used: the sets say their languages")
    parser.add_argument("--tgt_lang", help="not used: the sets say their languages")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="parts to prepare (both)")
    parser.add_argument("--read_speech", type=Path, help="folder of speechocean762, for more English to recognise")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (2)")
    args = parser.parse_args()
    try:
        prepare(args.data, {name: read_part(name, args.corpus) for name in args.parts}, args.nj)
        if args.read_speech:
            prepare_read_speech(args.data, args.read_speech, args.nj)
    except ValueError as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
