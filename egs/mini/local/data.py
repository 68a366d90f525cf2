#!/usr/bin/env python3
"""The mini corpus: speech made on the spot, with transcripts and translations from a small grammar."""

import argparse
import hashlib
import random
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

import chinese
import english
import french
import german
import japanese
from grammar import Generator

from espnet_ext.data import write_datadir
from espnet_ext.data.synthesis import Utterance, synthesise
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.stamps import Stamp
from espnet_ext.voices.sound import NOISES

# Knobs of difficulty. Those of the sentences are on top of grammar.py.
SNR_DB = (20.0, 30.0)  # drawn evenly for each utterance
RATE_JITTER, PITCH_JITTER = 12, 6  # around each speaker's own, either way
WORDS = (3, 13)  # shortest and longest English sentence
SIZES = {  # sentences in each set; mt_train holds the train set and as many more as it takes
    "full": {"test": 300, "dev": 300, "train": 3000, "test_de": 100, "dev_de": 100, "train_de": 600, "mt_train": 20000},
    "tiny": {"test": 20, "dev": 20, "train": 80, "test_de": 10, "dev_de": 10, "train_de": 20, "mt_train": 500},
}
LANGUAGES = {"en": english, "de": german, "fr": french, "zh": chinese, "ja": japanese}
ACCENTS = ("en-US", "en", "en-GB-x-rp", "en-US-nyc")
VARIANTS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7")


Said = tuple[str, str, Utterance]  # id, speaker, and what to synthesise


@dataclass(frozen=True)
class Speaker:
    name: str
    voice: str
    words_per_minute: int
    pitch: int


def _speakers(language: str, accents: tuple[str, ...], count: int) -> list[Speaker]:
    """Voices that differ in accent, timbre, rate and pitch."""
    return [
        Speaker(
            f"{language}{i + 1:02d}",
            f"gmw/{accents[i % len(accents)]}+{VARIANTS[i * 5 % len(VARIANTS)]}",
            145 + i * 17 % 48,
            30 + i * 13 % 42,
        )
        for i in range(count)
    ]


SPEAKERS = {"en": _speakers("en", ACCENTS, 12), "de": _speakers("de", ("de",), 8)}


def make_texts(sizes: dict[str, int], seed: int) -> dict[str, list[dict[str, str]]]:
    """The sentences of each set in all languages; no sentence of any language occurs twice in the corpus."""
    generator = Generator(seed)
    seen: dict[str, set[str]] = {language: set() for language in LANGUAGES}

    def draw() -> dict[str, str]:
        while True:
            meaning = generator.sentence()
            texts = {language: module.sentence(meaning) for language, module in LANGUAGES.items()}
            if not WORDS[0] <= len(texts["en"].split()) <= WORDS[1]:
                continue
            if all(text not in seen[language] for language, text in texts.items()):
                for language, text in texts.items():
                    seen[language].add(text)
                return texts

    sets = {name: [draw() for _ in range(count)] for name, count in sizes.items() if name != "mt_train"}
    more = sizes["mt_train"] - sizes["train"]
    return sets | {"mt_train": sets["train"] + [draw() for _ in range(more)]}


def say(name: str, number: int, text: str, language: str, folder: Path, seed: int) -> Said:
    """How a sentence is to be said. The name of its WAV holds a hash of all that the sound depends on."""
    draw = random.Random(f"{seed} {name} {number}")
    speaker = draw.choice(SPEAKERS[language])
    key = f"{speaker.name}-{name}-{number:05d}"
    utterance = Utterance(
        path="",
        text=text,
        voice=speaker.voice,
        words_per_minute=speaker.words_per_minute + draw.randint(-RATE_JITTER, RATE_JITTER),
        pitch=speaker.pitch + draw.randint(-PITCH_JITTER, PITCH_JITTER),
        snr_db=round(draw.uniform(*SNR_DB), 1),
        noise=draw.choice(sorted(NOISES)),
        seed=f"{seed} {key}",
    )
    digest = hashlib.sha256(repr(utterance).encode()).hexdigest()[:8]
    return key, speaker.name, replace(utterance, path=str(folder / name / f"{key}-{digest}.wav"))


def spoken(name: str) -> str:
    """The language of a set's speech."""
    return "de" if name.endswith("_de") else "en"


def data_dir(name: str, texts: list[dict[str, str]], said: list[Said]) -> list[write_datadir.Utterance]:
    """What write_data_dir takes; German speech has only its transcript, as a low-resource corpus does."""
    if not said:
        return [write_datadir.Utterance(f"mt-{i:05d}", "text", text) for i, text in enumerate(texts)]
    languages = ["de"] if name.endswith("_de") else list(LANGUAGES)
    return [
        write_datadir.Utterance(key, speaker, {language: text[language] for language in languages}, utterance.path)
        for text, (key, speaker, utterance) in zip(texts, said, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument(
        "--size", choices=SIZES, default="full", help="full: 3,600 English utterances (default); tiny: 120"
    )
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="seed of sentences and sound (default: 1)")
    parser.add_argument("--downloads", type=Path, help="folder for the audio (default: downloads beside DATA)")
    args = parser.parse_args()
    audio = (args.downloads or args.data.resolve().parent / "downloads").resolve() / "wav"
    sets = make_texts(SIZES[args.size], args.seed)
    said = {}
    for name, texts in sets.items():
        language = spoken(name)
        if name != "mt_train":
            said[name] = [say(name, i, t[language], language, audio, args.seed) for i, t in enumerate(texts)]
    utterances = [utterance for group in said.values() for _, _, utterance in group]
    made = synthesise(utterances, nj=args.nj, log_dir=audio.parent / "log")
    print(f"{audio}: {made} of {len(utterances)} utterances synthesised, the others were there")
    sources = [path for path in Path(__file__).parent.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    for name, texts in sets.items():
        stamp = Stamp(args.data / name, sources, parts=(), size=args.size, seed=args.seed, audio=audio)
        if made or not stamp.is_current():
            with stamp.making():
                rows = data_dir(name, texts, said.get(name, []))
                write_datadir.write_data_dir(args.data / name, rows, nj=args.nj, speech=spoken(name))


if __name__ == "__main__":
    main()
