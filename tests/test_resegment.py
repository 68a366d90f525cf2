"""Resegmentation finds the cuts of least edit distance, keeps every word, and leaves right segments as they are."""

import itertools
import random

import numpy as np
import pytest

from espnet_ext.scoring.resegment import cut_points, resegment, resegment_talks


def distance(a: list[str], b: list[str]) -> int:
    """Levenshtein's, the plain way."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


def cost(hypothesis: list[str], references: list[list[str]], cuts: list[int]) -> int:
    starts = [0, *cuts]
    return sum(distance(r, hypothesis[a:b]) for r, a, b in zip(references, starts, cuts))


def test_no_other_cuts_cost_less() -> None:
    draw = random.Random(1)
    for _ in range(300):
        hypothesis = draw.choices("abc", k=draw.randint(0, 6))
        references = [draw.choices("abc", k=draw.randint(0, 4)) for _ in range(draw.randint(1, 3))]
        cuts = cut_points(hypothesis, references)
        assert cuts == sorted(cuts) and cuts[-1] == len(hypothesis) and len(cuts) == len(references)
        places = itertools.combinations_with_replacement(range(len(hypothesis) + 1), len(references) - 1)
        least = min(cost(hypothesis, references, [*inner, len(hypothesis)]) for inner in places)
        assert cost(hypothesis, references, cuts) == least, (hypothesis, references, cuts)


@pytest.mark.parametrize(
    ("hypotheses", "references", "lang", "expected"),
    [
        (["a b c d", "e f"], ["a b", "c d e", "f"], "en", ["a b", "c d e", "f"]),
        (["a x b c"], ["a b", "c"], "en", ["a x b", "c"]),
        (["a b uh c"], ["a b", "c"], "en", ["a b uh", "c"]),  # what belongs to none goes to the one before
        (["Hello World. it is"], ["hello, world", "It is!"], "en", ["Hello World.", "it is"]),
        (["a b"], ["a b", "c d"], "en", ["a b", ""]),
        ([], ["a", "b"], "en", ["", ""]),
        (["", "a"], ["", "a"], "en", ["", "a"]),
        (["a a a a"], ["a a", "a a"], "en", ["a a", "a a"]),
        (["今天天气", "很好我们走吧"], ["今天天气很好", "我们走吧"], "zh", ["今天天气很好", "我们走吧"]),
        (["我用 AI 写", "代码"], ["我用AI", "写代码"], "zh", ["我用 AI", "写代码"]),
    ],
)
def test_table(hypotheses: list[str], references: list[str], lang: str, expected: list[str]) -> None:
    assert resegment(hypotheses, references, lang) == expected


def test_talks_do_not_mix_and_a_silent_one_is_empty() -> None:
    hypotheses = {"t1_00001": "a b c", "t1_00002": "d", "t2_00001": "e"}
    references = {"t1_00001": "a", "t1_00002": "b c d", "t2_00001": "e", "t3_00001": "f"}
    found = resegment_talks(hypotheses, references, "en")
    assert found == {"t1_00001": "a", "t1_00002": "b c d", "t2_00001": "e", "t3_00001": ""}
    with pytest.raises(ValueError, match="utterance t9_00001: there is no reference t9_"):
        resegment_talks({"t9_00001": "a"}, references, "en")


def test_a_talk_of_thousands_of_words_is_cut_where_it_was() -> None:
    """Right up to the errors, which are a fifth of the words, and with no table of N x M in memory."""
    random_state = np.random.default_rng(0)
    words = [f"w{i}" for i in random_state.integers(3000, size=3000)]
    references = [" ".join(words[i : i + 20]) for i in range(0, 3000, 20)]
    noisy = [word if random_state.random() > 0.2 else "x" for word in words]
    hypotheses = [" ".join(noisy[i : i + 33]) for i in range(0, 3000, 33)]
    found = resegment(hypotheses, references, "en")
    assert " ".join(found).split() == noisy
    assert sum(abs(len(piece.split()) - 20) > 2 for piece in found) < 8
