"""Cut what was said in a talk where its references are cut, with the least edit distance, as mwerSegmenter does.

Shapes: N units (words or characters) of the hypothesis, M of all references of the talk.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from espnet_ext.data.read_datadir import talk_of
from espnet_ext.data.text import TextIndex
from espnet_ext.infra.languages import is_spaced
from espnet_ext.scoring.metrics import without_punctuation


def as_references_are_cut(hypotheses: dict[str, str], dump: Path, lang: str | None) -> dict[str, str]:
    """Hypotheses by utterance, or by reference in a set that has reference.<lang> instead of text.<lang>."""
    folder = dump / f"text.{lang}"
    if not (folder / "meta.json").exists() or not json.loads((folder / "meta.json").read_text()).get("references"):
        return hypotheses
    index = TextIndex(folder)
    references = {index.key(i): index[i] for i in range(len(index))}
    if hypotheses.keys() == references.keys():  # a translator of text, which read the sentences of the references
        return hypotheses
    return resegment_talks(hypotheses, references, str(lang))


def resegment_talks(hypotheses: Mapping[str, str], references: Mapping[str, str], lang: str) -> dict[str, str]:
    """Hypotheses of a set by utterance as hypotheses by reference; both are in the order of their ids."""
    talks: dict[str, tuple[list[str], list[str]]] = {}
    for key in references:
        talks.setdefault(talk_of(key), ([], []))[1].append(key)
    for key, text in hypotheses.items():
        if talk_of(key) not in talks:
            raise ValueError(f"utterance {key}: there is no reference {talk_of(key)}_...; prepare the test set again")
        talks[talk_of(key)][0].append(text)
    found: dict[str, str] = {}
    for texts, keys in talks.values():
        found |= dict(zip(keys, resegment(texts, [references[key] for key in keys], lang), strict=True))
    return found


def resegment(hypotheses: Sequence[str], references: Sequence[str], lang: str) -> list[str]:
    """The text of all hypotheses of a talk, in as many pieces as there are references."""
    unspaced = not is_spaced(lang)
    unit = re.compile(r"\S" if unspaced else r"\S+")
    text = ("" if unspaced else " ").join(hypotheses)
    places = [match.span() for match in unit.finditer(text)]
    said = [_comparable(text[start:end]) for start, end in places]
    wanted = [[_comparable(word) for word in unit.findall(reference)] for reference in references]
    cuts = cut_points(said, wanted)
    pieces = (places[start:end] for start, end in zip([0, *cuts], cuts))
    return [text[piece[0][0] : piece[-1][1]] if piece else "" for piece in pieces]


def _comparable(word: str) -> str:
    """Case and punctuation at a word are no reason to cut elsewhere; a mark by itself remains a word."""
    return (without_punctuation(word) or word).lower()


def cut_points(hypothesis: Sequence[str], references: Sequence[Sequence[str]]) -> list[int]:
    """Where each reference's part of the hypothesis ends, so that the sum of the edit distances is the least.

    Row by row of the usual table, whose row i holds the distances of the first i words of all references to the first 0
    to N of the hypothesis. Beside each distance goes the column in which its path left the last row of the reference
    before; these columns, kept for each reference, lead back from the end. Words that belong to no reference word go to
    the reference before them, if that costs the same.
    """
    known = {word: i for i, word in enumerate(dict.fromkeys(hypothesis))}
    said_N = np.array([known[word] for word in hypothesis], np.int64)
    columns = np.arange(len(hypothesis) + 1)
    distance, origins = columns.copy(), []
    for reference in references:
        origin = columns.copy()
        for word in reference:
            distance, origin = _next_row(distance, origin, said_N != known.get(word, -1), columns)
        origins.append(origin)
    cuts, column = [], len(hypothesis)
    for origin in reversed(origins):
        cuts.append(column)
        column = int(origin[column])
    return cuts[::-1]


def _next_row(
    distance: np.ndarray, origin: np.ndarray, differs_N: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The row of one more reference word: substitution or match, else deletion, else insertions from the left."""
    below, diagonal = distance + 1, distance[:-1] + differs_N
    take_diagonal = np.concatenate([[False], diagonal <= below[1:]])
    row = below
    row[1:] = np.minimum(row[1:], diagonal)
    origin = np.where(take_diagonal, np.concatenate([[0], origin[:-1]]), origin)
    # An insertion adds 1 a column, so that the best start of a run of them is a running minimum of row - column.
    slack = row - columns
    least = np.minimum.accumulate(slack)
    start = np.maximum.accumulate(np.where(slack == least, columns, 0))
    return least + columns, origin[start]
