"""Hypotheses and references as lists in the same order; anything missing, extra or double is refused."""

import re
import sys
from pathlib import Path

from espnet_ext.infra.files import read_table

SHOWN = 3  # ids named in a message
TEXT_FILES = ("text.*", "reference.*")


class ScoringError(ValueError):
    """Something that the user can put right; the message says how."""


def with_references(data: Path, test_sets: list[str]) -> list[str]:
    """The test sets that can be scored; of a blind one, which has no text at all, that is said."""
    blind = [
        name
        for name in test_sets
        if (data / name).is_dir() and not any(path for kind in TEXT_FILES for path in (data / name).glob(kind))
    ]
    for name in blind:
        print(f"{data / name}: has no references: its outputs are not scored", file=sys.stderr)
    return [name for name in test_sets if name not in blind]


def read_references(folder: Path, lang: str) -> tuple[list[str], list[list[str]]]:
    """Ids and references of `text.<lang>` and, where there are several, `text.<lang>.1`, `text.<lang>.2`, ...

    They are called `reference.<lang>` where they are cut otherwise than the utterances.
    """
    first, *others = reference_files(folder, lang)
    if not first.exists():
        raise ScoringError(f"{first} does not exist: check the language and the test set, or prepare the data")
    rows = _unique(first, "correct the data directory with: python -m espnet_ext.data.check")
    ids = list(rows)
    if not ids:
        raise ScoringError(f"{first} is empty: prepare the data again")
    references = [list(rows.values())]
    for path in others:
        more = read_exactly(path, ids, "give every utterance of text.<lang> a line, which may be empty")
        references.append(more)
    return ids, references


def reference_files(folder: Path, lang: str) -> list[Path]:
    name = f"reference.{lang}" if (folder / f"reference.{lang}").exists() else f"text.{lang}"
    numbered = [p for p in folder.glob(f"{name}.*") if re.fullmatch(r"\d+", p.name.rpartition(".")[2])]
    return [folder / name, *sorted(numbered, key=lambda p: int(p.name.rpartition(".")[2]))]


def read_hypotheses(path: Path, ids: list[str]) -> list[str]:
    """The hypotheses of `path` in the order of `ids`; an empty one stays, a lost one is an error."""
    return read_exactly(path, ids, "decode this test set again: a part of it gets no score")


def read_exactly(path: Path, ids: list[str], remedy: str) -> list[str]:
    rows = _unique(path, remedy)
    missing = [key for key in ids if key not in rows]
    known = set(ids)
    extra = [key for key in rows if key not in known]
    for name, keys in (("missing", missing), ("unexpected", extra)):
        if keys:
            raise ScoringError(f"{path}: {len(keys)} {name} of {len(ids)} utterances ({_some(keys)}); {remedy}")
    return [rows[key] for key in ids]


def _unique(path: Path, remedy: str) -> dict[str, str]:
    rows: dict[str, str] = {}
    double = []
    for key, text in read_table(path):
        if key in rows:
            double.append(key)
        rows[key] = text
    if double:
        raise ScoringError(f"{path}: {len(double)} duplicate ids ({_some(double)}); {remedy}")
    return rows


def _some(keys: list[str]) -> str:
    return ", ".join(repr(key) for key in keys[:SHOWN]) + (", ..." if len(keys) > SHOWN else "")
