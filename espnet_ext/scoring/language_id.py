"""In which language a text is: its character n-grams under texts of known languages, by Bayes' rule."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

LONGEST = 4  # characters of an n-gram; the space before and after a word is one of them
SMOOTHING = 0.3  # added to every count
MOST_LETTERS = 500_000  # of a language; more hardly changes its n-grams


class LanguageId:
    """Knows the languages of the texts it is given; each is as likely as the others beforehand."""

    def __init__(self, texts: Mapping[str, Iterable[str]]) -> None:
        if len(texts) < 2:
            raise ValueError(f"language id: texts of at least two languages are needed, not of {[*texts]}")
        counts = {lang: _count(lines) for lang, lines in texts.items()}
        if empty := [lang for lang, counted in counts.items() if not counted]:
            raise ValueError(f"language id: the text of {', '.join(empty)} has no letters; give some sentences of it")
        self.languages = tuple(counts)
        known = set().union(*counts.values())
        totals = {lang: math.log(counted.total() + SMOOTHING * len(known)) for lang, counted in counts.items()}
        self.log_probs = {
            gram: [math.log(counts[lang][gram] + SMOOTHING) - totals[lang] for lang in counts] for gram in known
        }

    def posterior(self, text: str) -> dict[str, float]:
        """The probability of each language; all are equal where the text holds nothing that was seen before."""
        sums = [0.0] * len(self.languages)
        for gram, times in _ngrams(text).items():
            for i, value in enumerate(self.log_probs.get(gram, ())):  # what no text has speaks for none
                sums[i] += times * value
        highest = max(sums)
        weights = [math.exp(value - highest) for value in sums]
        return {lang: weight / sum(weights) for lang, weight in zip(self.languages, weights, strict=True)}

    def best(self, text: str) -> str | None:
        """The likeliest language, or None where nothing speaks for one rather than another."""
        found = self.posterior(text)
        first, second = sorted(found, key=lambda lang: -found[lang])[:2]
        return first if found[first] > found[second] else None


def _count(lines: Iterable[str]) -> Counter[str]:
    counted: Counter[str] = Counter()
    letters = 0
    for line in lines:
        counted.update(_ngrams(line))
        letters += len(line)
        if letters > MOST_LETTERS:
            break
    return counted


def _ngrams(text: str) -> Counter[str]:
    """All n-grams of the words; digits and punctuation belong to no language."""
    letters = "".join(char if char.isalpha() or char == "'" else " " for char in text.casefold())
    padded = f" {' '.join(letters.split())} "
    grams = Counter(padded[i : i + n] for n in range(1, LONGEST + 1) for i in range(len(padded) - n + 1))
    return Counter({gram: times for gram, times in grams.items() if not gram.isspace()})
