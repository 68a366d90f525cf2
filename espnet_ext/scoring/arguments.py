"""The options of all commands that read results: the systems, their folders and the languages."""

import argparse
from pathlib import Path


def result_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that scoring and the report share."""
    parser = argparse.ArgumentParser(f"python -m espnet_ext.{command}", description=description)
    parser.add_argument("exp", type=Path, help="directory of the systems")
    parser.add_argument("--systems", type=str.split, required=True, help='systems, such as "asr mt pipeline e2e"')
    parser.add_argument("--test_sets", type=str.split, required=True, help='test sets, such as "dev test"')
    more = "more test sets, for the systems that are decoded on them"
    parser.add_argument("--task_sets", type=str.split, default=[], help=more)
    parser.add_argument("--data", type=Path, default=Path("data"), help="directory of the test sets")
    parser.add_argument("--src_lang", required=True, help="language of the speech")
    parser.add_argument("--tgt_lang", required=True, help="language of the translations")
    parser.add_argument("--allow_missing", action="store_true", help="leave out systems that are not decoded yet")
    parser.add_argument(
        "--seeds", type=seed_list, default=[], help='seeds, such as "1 2 3": seed 1 is in EXP, seed 2 in EXP/seed2, ...'
    )
    return parser


def seed_list(text: str) -> list[int]:
    """Different whole numbers."""
    words = text.split()
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise argparse.ArgumentTypeError(f"{text!r}: expected different whole numbers, such as '1 2 3'")
    return [int(word) for word in words]
