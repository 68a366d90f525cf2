"""Latency as metrics like any other: counts per utterance, whose sums give the score of the corpus.

Shapes: N utterances, K counts of one metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from espnet_ext.infra.languages import count_units
from espnet_ext.scoring.latency import LAGS, lag

COMPARED_WITH = {  # the length of the even writer
    "al": "reference",
    "al_hyp": "hypothesis",
    "laal": "longer",
    "yaal": "longer",
    "dal": "hypothesis",
    "ap": "reference",
}
SUBWORD = ("al_hyp", "cw")  # also counted in sub-words, as arXiv 1911.03154 does; they need no reference
MOST = 0.9  # of the utterances: more that are alike make a policy degenerate


@dataclass(frozen=True)
class Writing:
    """How one utterance was written: source units, and how many of them had been read before each target unit."""

    source: int
    read: list[int]


class Lateness:
    """The mean of one of LAGS over the utterances; those that have no such figure are left out."""

    def __init__(self, name: str, unit: str, reference_lengths: Sequence[float], references: int = 1) -> None:
        self.name, self.unit, self.reference_lengths, self.references = name, unit, reference_lengths, references

    def statistics(self, hypotheses: Sequence[Writing]) -> np.ndarray:
        found = [
            lag(self.name, writing.read, writing.source, length)
            for writing, length in zip(hypotheses, self.reference_lengths, strict=True)
        ]
        return np.array([(0.0, 0.0) if value is None else (value, 1.0) for value in found])

    def score(self, total_K: np.ndarray) -> float:
        return float(total_K[0] / max(total_K[1], 1.0))

    def scores(self, totals_RK: np.ndarray) -> np.ndarray:
        return totals_RK[:, 0] / np.maximum(totals_RK[:, 1], 1.0)

    def sentence_scores(self, statistics_NK: np.ndarray) -> list[float]:
        return [self.score(counts_K) for counts_K in statistics_NK]

    def details(self, total_K: np.ndarray) -> dict[str, Any]:
        return {"counted": int(total_K[1])}

    def signature(self, **resampling: int) -> str:
        length = {"length": COMPARED_WITH[self.name]} if self.name in COMPARED_WITH else {}
        pairs = {"nrefs": self.references, **resampling, "unit": self.unit, **length, "empty": "counted"}
        return "|".join(f"{key}:{value}" for key, value in pairs.items()) + "|definition:simuleval-1.1.4"


class LengthRatio(Lateness):
    """Target units over reference units, of the whole corpus."""

    def statistics(self, hypotheses: Sequence[Writing]) -> np.ndarray:
        rows = zip(hypotheses, self.reference_lengths, strict=True)
        return np.array([(len(writing.read), length) for writing, length in rows], dtype=np.float64)

    def details(self, total_K: np.ndarray) -> dict[str, Any]:
        return {"hypothesis_units": int(total_K[0]), "reference_units": int(total_K[1])}


def mean_lengths(references: Sequence[Sequence[str]], unit: str) -> list[float]:
    """The length of each utterance's reference: the mean of several, so that none of them is preferred."""
    return [sum(count_units(text, unit) for text in texts) / len(texts) for texts in zip(*references, strict=True)]


def make_latency_metrics(unit: str, reference_lengths: Sequence[float], references: int = 1) -> dict[str, Lateness]:
    """The figures in units of the text: words, or characters where they are not spaced."""
    metrics = {name: Lateness(name, unit, reference_lengths, references) for name in LAGS}
    return metrics | {"length_ratio": LengthRatio("length_ratio", unit, reference_lengths, references)}


def make_subword_metrics(count: int) -> dict[str, Lateness]:
    return {f"subword_{name}": Lateness(name, "subword", [0] * count) for name in SUBWORD}


def warnings(writings: Sequence[Writing]) -> list[str]:
    """What makes the figures of a policy worthless, as far as the delays show it."""
    long = [writing for writing in writings if writing.source > 1]
    cases = {
        "write nothing at all": [not w.read for w in long],
        "write everything after the source has ended: that is no simultaneous translation": [
            bool(w.read) and w.read[0] >= w.source for w in long
        ],
        "write everything at the first reading, without the rest of the source": [
            bool(w.read) and w.read[-1] == w.read[0] < w.source for w in long
        ],
    }
    return [
        f"{sum(found)} of {len(long)} utterances {what}"
        for what, found in cases.items()
        if sum(found) > MOST * len(long)
    ]
