"""The words of the mini corpus, from the tables in words/, whose first lines explain their columns.

Within a table the first rows are the most frequent.
"""

from dataclasses import dataclass
from pathlib import Path

PARTICLES = {"look": "for", "come": "back", "throw": "away", "turn": "off"}  # English words after the verb


@dataclass(frozen=True)
class Word:
    """A row of a table: the forms in each language, then what it is or takes, then its marks."""

    en: list[str]
    de: list[str]
    fr: list[str]
    zh: list[str]
    ja: list[str]
    tags: list[str]
    marks: list[str]


def _rows(name: str) -> list[list[str]]:
    lines = (Path(__file__).parent / "words" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.split("|")] for line in lines if not line.startswith("#")]


def _words(name: str) -> dict[str, Word]:
    """The words of a table by English base form; a missing plural or other form is "-"."""
    rows = ([cell.split() for cell in row] + [[], []] for row in _rows(name))
    return {cells[0][0]: Word(*cells[:7]) for cells in rows}


def _phrases(name: str) -> dict[str, list[str]]:
    return {row[0]: row for row in _rows(name)}


NOUN, VERB, ADJECTIVE = _words("nouns"), _words("verbs"), _words("adjectives")
PLACE, TIME, MANNER = _phrases("places"), _phrases("times"), _phrases("manners")
PRONOUN, NUMBER = _phrases("pronouns"), _phrases("numbers")
