"""Kinds of values that the options of several commands take."""

import argparse


def at_least_one(text: str) -> int:
    """A whole number from 1 on, for argparse's `type`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 on")
    return int(text)
