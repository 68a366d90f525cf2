"""The options of `local/data.py` in recipes with text of two languages."""

import argparse
from collections.abc import Sequence
from pathlib import Path


def text_parser(description: str | None, languages: Sequence[str], src: str, tgt: str) -> argparse.ArgumentParser:
    """A parser of the folders and of the pair of languages."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path, help="folder for the data directories")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of the unpacked corpus")
    parser.add_argument("--src_lang", choices=languages, default=src, help=f"language to translate from ({src})")
    parser.add_argument("--tgt_lang", choices=languages, default=tgt, help=f"language to translate into ({tgt})")
    return parser


def add_text_sets(parser: argparse.ArgumentParser, sets: Sequence[str]) -> None:
    """Which sets to write; and --nj, which st.sh gives to every recipe."""
    parser.add_argument("--sets", nargs="*", default=sets, help=f"sets to prepare beside train ({' '.join(sets)})")
    parser.add_argument("--nj", type=int, default=1, help="not used: there is no audio")


def two_languages(args: argparse.Namespace) -> tuple[str, str]:
    """The pair, which must be one."""
    if args.src_lang == args.tgt_lang:
        raise ValueError(f"--src_lang and --tgt_lang are both {args.src_lang}; give two languages")
    return args.src_lang, args.tgt_lang
