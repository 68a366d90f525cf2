"""What a translation is worth while it grows: smoothed sentence BLEU of every beginning, and lag."""

import math
from collections import Counter
from collections.abc import Sequence

ORDERS = 4


def prefix_bleu(hypothesis: Sequence[int], reference: Sequence[int]) -> list[float]:
    """BLEU, from 0 to 1, of the first 0, 1, ... tokens; orders from 2 on have 1 added to both counts (Lin and Och)."""
    left = [Counter(ngrams(reference, n)) for n in range(1, ORDERS + 1)]
    matches = [0] * ORDERS
    found = [0.0]
    for length in range(1, len(hypothesis) + 1):
        for n in range(1, min(ORDERS, length) + 1):
            gram = tuple(hypothesis[length - n : length])
            if left[n - 1][gram] > 0:
                left[n - 1][gram] -= 1  # a match counts once
                matches[n - 1] += 1
        found.append(bleu(matches, length, len(reference)))
    return found


def ngrams(tokens: Sequence[int], n: int) -> list[tuple[int, ...]]:
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def bleu(matches: Sequence[int], length: int, reference_length: int) -> float:
    """From the matches of each order; a text shorter than the order has no such n-gram, and only the one added."""
    if not matches[0]:
        return 0.0
    logs = math.log(matches[0] / length)
    for n in range(2, ORDERS + 1):
        logs += math.log((matches[n - 1] + 1) / (max(length - n + 1, 0) + 1))
    return math.exp(logs / ORDERS + min(0.0, 1 - reference_length / length))
