#!/usr/bin/env python3
"""Multi30k: CORPUS/<set>.<language>, or a clone of multi30k/dataset, which has them in data/task1/raw as .gz files."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/data.py

import spoken

from espnet_ext.corpora.arguments import text_parser, two_languages
from espnet_ext.data.write_datadir import Utterance, update_data_dir
from espnet_ext.infra import lines
from espnet_ext.infra.arguments import at_least_one, not_negative
from espnet_ext.infra.jobs import JobError
from espnet_ext.voices.speak import speak

RECIPE = Path(__file__).resolve().parents[1]
LANGUAGES = ("en", "de", "fr")
SETS = ("train", "val", "test_2016_flickr")
CLONE = Path("data") / "task1" / "raw"


def read_corpus(corpus: Path, name: str) -> list[str]:
    """The lines of `name`, plain or compressed, wherever in the corpus it is."""
    for folder in (corpus, corpus / CLONE):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                return list(lines.read_lines(path, "copy the file again"))
    raise ValueError(
        f"{corpus}: neither {name} nor {CLONE / name}.gz is there; give --corpus the folder of the text files, "
        "or a clone of the repository multi30k/dataset"
    )


def read_texts(corpus: Path, name: str, languages: tuple[str, str]) -> dict[str, list[str]]:
    texts = {lang: read_corpus(corpus, f"{name}.{lang}") for lang in languages}
    sizes = {lang: len(sentences) for lang, sentences in texts.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"{corpus}: {name} has different numbers of lines: {sizes}; copy the files again")
    return texts


def read_set(corpus: Path, name: str, languages: tuple[str, str]) -> list[Utterance]:
    texts = read_texts(corpus, name, languages)
    ids = [f"{name}-{number:05d}" for number in range(1, len(texts[languages[0]]) + 1)]
    return [Utterance(key, key, {lang: texts[lang][i] for lang in languages}) for i, key in enumerate(ids)]


def speak_set(args: argparse.Namespace, name: str) -> None:
    """Data directory spoken_<set>: the captions of a set, read aloud on the spot."""
    texts = read_texts(args.corpus, name, (args.src_lang, args.tgt_lang))
    english = texts[args.src_lang]
    numbers = spoken.chosen(len(english), args.spoken, args.seed) if name == "train" else list(range(len(english)))
    audio = (args.downloads or RECIPE / "downloads").resolve() / "spoken"
    said = spoken.lines_of(name, english, numbers, args.natural, audio, args.seed)
    made = speak(said, nj=args.nj, log_dir=audio / "log")
    print(f"{audio / name}: {made} of {len(said)} captions spoken, the others were there, or have no word")
    update_data_dir(args.data / f"spoken_{name}", spoken.utterances(said, numbers, texts), nj=args.nj, speech="en")


def main() -> None:
    parser = text_parser(__doc__, LANGUAGES, "en", "de")
    parser.add_argument("--sets", nargs="*", default=SETS, help=f"sets to prepare ({' '.join(SETS)})")
    parser.add_argument("--spoken", choices=spoken.SIZES, help="also speak the English, of training 10,000 or all")
    parser.add_argument("--natural", type=not_negative, default=0.0, metavar="HOURS", help="of training by Kokoro (0)")
    parser.add_argument("--seed", type=int, default=1, help="seed of voices and sound (1)")
    parser.add_argument("--downloads", type=Path, help="folder for the audio (downloads, in the recipe's folder)")
    parser.add_argument("--nj", type=at_least_one, default=2, help="parallel processes that speak (2)")
    args = parser.parse_args()
    try:
        langs = two_languages(args)
        if args.spoken and args.src_lang != "en":
            raise ValueError(f"--spoken speaks English, and --src_lang is {args.src_lang}; leave one of them out")
        for name in args.sets:
            update_data_dir(args.data / name, read_set(args.corpus, name, langs))
            if args.spoken:
                speak_set(args, name)
    except (ValueError, JobError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")


if __name__ == "__main__":
    main()
