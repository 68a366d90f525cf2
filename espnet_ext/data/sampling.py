"""Sub-word regularisation with its own random numbers: SentencePiece's cannot be set back to a seed."""

import math
import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

Scores = dict[str, tuple[int, float]]  # piece -> id, score
UNKNOWN_PENALTY = 10.0  # SentencePiece's: an unknown character scores this much below the worst piece


def words_of(normalized: str) -> list[str]:
    """Cut SentencePiece's normalised text before each space mark: no piece goes across one."""
    return re.findall("▁[^▁]*|[^▁]+", normalized)


def merge_unknown(ids: list[int], unk: int) -> list[int]:
    """One unknown token for a run of unknown characters, as SentencePiece has it."""
    return [token for i, token in enumerate(ids) if token != unk or i == 0 or ids[i - 1] != unk]


class UnigramSampler:
    """Draws segmentations by probability ** alpha: forward sums over the lattice, then a backward walk."""

    def __init__(self, scores: Scores, unk: int) -> None:
        self._scores = scores
        self._unknown = (unk, min((s for _, s in scores.values()), default=0.0) - UNKNOWN_PENALTY)
        self._longest = max(map(len, scores), default=1)
        self._lattice = lru_cache(maxsize=10_000)(self._make_lattice)

    def sample(self, normalized: str, seed: int | Sequence[int], alpha: float) -> list[int]:
        draws = iter(np.random.default_rng(seed).random(len(normalized)).tolist())
        ids: list[int] = []
        for word in words_of(normalized):
            ids.extend(self._walk(word, alpha, draws))
        return merge_unknown(ids, self._unknown[0])

    def _walk(self, word: str, alpha: float, draws: Iterator[float]) -> list[int]:
        lattice = self._lattice(word, alpha)
        ids, end = [], len(word)
        while end:
            starts, tokens, shares = lattice[end]
            choice = min(bisect(shares, next(draws)), len(starts) - 1)
            ids.append(tokens[choice])
            end = starts[choice]
        return ids[::-1]

    def _make_lattice(self, word: str, alpha: float) -> list[tuple[list[int], list[int], list[float]]]:
        """For each end position the pieces that end there: their starts, ids and cumulated shares."""
        forward = [0.0]
        lattice: list[tuple[list[int], list[int], list[float]]] = [([], [], [])]
        for end in range(1, len(word) + 1):
            starts, tokens, weights = [], [], []
            for start in range(max(0, end - self._longest), end):
                found = self._scores.get(word[start:end]) or (self._unknown if start == end - 1 else None)
                if found:
                    starts.append(start)
                    tokens.append(found[0])
                    weights.append(forward[start] + alpha * found[1])
            top = max(weights)
            cumulated = np.cumsum([math.exp(w - top) for w in weights]).tolist()
            forward.append(top + math.log(cumulated[-1]))
            lattice.append((starts, tokens, [c / cumulated[-1] for c in cumulated]))
        return lattice


class BpeSampler:
    """BPE-dropout (Provilkov et al. 2020): before each merge every candidate is left out with probability alpha."""

    def __init__(self, scores: Scores, unk: int) -> None:
        self._scores = scores
        self._unk = unk

    def sample(self, normalized: str, seed: int | Sequence[int], alpha: float) -> list[int]:
        random = np.random.default_rng(seed)
        ids: list[int] = []
        for word in words_of(normalized):
            ids.extend(self._merge(list(word), alpha, random))
        return merge_unknown(ids, self._unk)

    def _merge(self, symbols: list[str], alpha: float, random: np.random.Generator) -> list[int]:
        while True:
            pairs = [(self._scores.get(a + b), i) for i, (a, b) in enumerate(pairwise(symbols))]
            candidates = [(-found[1], i) for found, i in pairs if found]
            keep = random.random(len(candidates)) >= alpha
            kept = [c for c, k in zip(candidates, keep, strict=True) if k]
            if not kept:
                return [self._scores.get(symbol, (self._unk, 0.0))[0] for symbol in symbols]
            i = min(kept)[1]
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
