"""Which machine translations are good enough to be learnt from, and why the others are not."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from espnet_ext.infra.languages import without_region
from espnet_ext.scoring.language_id import LanguageId

SURE = 0.5  # a text is in another language if that one is more probable


@dataclass(frozen=True)
class Label:
    """A translation of one utterance's transcript."""

    utterance: str
    system: int  # counted from 1
    rank: int  # among this system's translations of the utterance, counted from 1
    source: str
    text: str
    score: float  # log-probability a token, the end included
    cut: bool  # it ends at the limit of length, not by itself


@dataclass(frozen=True)
class LabelFilter:
    """What makes a label bad; None: not asked."""

    most_off: float | None  # length ratio beside the usual one of the whole set, as a factor either way
    min_score: float | None
    languages: LanguageId | None
    target: str

    def verdicts(self, labels: list[Label]) -> list[str | None]:
        """Why each label is left out, or None where it is kept; the labels of an utterance come in a row."""
        usual = usual_ratio(labels)
        found: list[str | None] = []
        seen: set[tuple[str, str]] = set()
        for label in labels:
            verdict = self.judge(label, usual)
            if verdict is None and (label.utterance, label.text) in seen:
                verdict = "double: another label of the utterance is the same"
            if verdict is None:
                seen.add((label.utterance, label.text))
            found.append(verdict)
        return found

    def judge(self, label: Label, usual: float) -> str | None:
        """What is wrong with one label: a reason, a colon and what was found."""
        if not letters(label.text):
            return "empty: the system wrote nothing"
        if label.cut:
            return "cut: it reached the longest length"
        if self.min_score is not None and label.score < self.min_score:
            return f"score: {label.score:.2f} is below {self.min_score:g}"
        ratio = letters(label.text) / max(1, letters(label.source))
        if self.most_off is not None and not usual / self.most_off <= ratio <= usual * self.most_off:
            return f"length: {ratio:.2f} characters for one of the transcript; {usual:.2f} is usual"
        if self.languages is not None:
            probable = self.languages.posterior(label.text)
            best = max(probable, key=lambda lang: probable[lang])
            if without_region(best) != without_region(self.target) and probable[best] > SURE:
                return f"language: it is in {best} (probability {probable[best]:.2f})"
        return None


def usual_ratio(labels: Iterable[Label]) -> float:
    """The median number of characters of a label for one of its transcript: languages differ in it."""
    ratios = [letters(label.text) / max(1, letters(label.source)) for label in labels if letters(label.text)]
    return statistics.median(ratios) if ratios else 1.0


def letters(text: str) -> int:
    """Characters that are no spaces, which counts alike with and without words."""
    return len("".join(text.split()))
