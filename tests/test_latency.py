"""Latency: SimulEval's figures, cases by hand, empty outputs, degenerate policies."""

import numpy as np
import pytest

from espnet_ext.scoring.latency import LAGS, lag
from espnet_ext.scoring.latency_metrics import Writing, make_latency_metrics, make_subword_metrics, warnings

# d, X, R, (AL, AL without --use-ref-len, LAAL, DAL, AP, ATD, StartOffset) of SimulEval 1.1.4, text to text
NAMES = ("al", "al_hyp", "laal", "dal", "ap", "atd", "initial")
SIMULEVAL = [
    ([1, 2, 3, 4], 4, 4, (1.0, 1.0, 1.0, 1.0, 0.625, 1.0, 1)),
    ([4, 4, 4], 4, 3, (4.0, 4.0, 4.0, 4.0, 1.0, 4.0, 4)),
    ([3, 4, 5, 5, 5], 5, 4, (2.75, 3.0, 3.0, 3.0, 1.1, 3.0, 3)),
    ([1], 1, 1, (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1)),
    ([2, 2, 5, 5, 7, 7, 7], 7, 9, (2.644444444, 2.2, 2.644444444, 2.714285714, 0.555555556, 2.714285714, 2)),
    ([1, 1, 1, 1, 1, 1], 6, 3, (-4.0, -1.5, -1.5, 1.0, 0.333333333, 3.5, 1)),
    ([6], 6, 12, (6.0, 6.0, 6.0, 6.0, 0.083333333, 6.0, 6)),
    ([3, 3, 3, 4, 8], 8, 2, (-3.8, 1.0, 1.0, 3.0, 1.3125, 3.2, 3)),
    ([1, 2, 2, 2, 2, 9, 9], 9, 7, (-0.214285714, -0.214285714, -0.214285714, 1.448979592, 0.428571429, 3.571428571, 1)),
    ([5, 6], 10, 5, (4.5, 3.0, 4.5, 5.0, 0.22, 5.0, 5)),
    ([1, 4, 6, 8, 10], 10, 12, (4.133333333, 1.8, 4.133333333, 1.8, 0.241666667, 3.8, 1)),
    ([6, 8, 15], 15, 2, (2.166666667, 4.666666667, 4.666666667, 6.0, 0.966666667, 8.666666667, 6)),
    (
        [1, 2, 2, 2, 3, 4, 5, 6, 7],
        7,
        2,
        (-10.444444444, 0.444444444, 0.444444444, 1.197530864, 2.285714286, 2.444444444, 1),
    ),
    (
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 3],
        3,
        13,
        (-0.019230769, -0.019230769, -0.019230769, 1.0, 0.461538462, 6.615384615, 1),
    ),
    ([2, 2, 6, 6], 6, 9, (2.666666667, 1.833333333, 2.666666667, 2.5, 0.296296296, 3.0, 2)),
    (
        [1, 3, 3, 5, 6, 7, 15],
        15,
        5,
        (-3.285714286, -0.714285714, -0.714285714, 1.163265306, 0.533333333, 2.857142857, 1),
    ),
    ([1, 5, 5, 5, 6], 6, 14, (3.542857143, 2.0, 3.542857143, 3.24, 0.261904762, 3.4, 1)),
    ([1, 2, 2, 2, 2], 2, 6, (1.333333333, 1.3, 1.333333333, 1.48, 0.75, 2.2, 1)),
    ([1, 5, 12], 12, 1, (-6.0, 2.0, 2.0, 2.0, 1.5, 5.0, 1)),
    ([6, 7, 7, 9, 10, 13, 14], 14, 1, (-32.571428571, 3.428571429, 3.428571429, 6.0, 4.714285714, 6.571428571, 6)),
]


@pytest.mark.parametrize(("read", "source", "reference", "expected"), SIMULEVAL)
def test_the_figures_are_those_of_simuleval(read, source, reference, expected) -> None:
    assert [lag(name, read, source, reference) for name in NAMES] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "read", "source", "reference", "expected"),
    [
        ("al", [1, 2, 3], 3, 3, 1.0),  # wait-1, as long as the source: one behind
        ("al", [2, 3, 3], 3, 3, (2 + (3 - 1)) / 2),  # tau = 2
        ("al", [1, 2], 4, 2, (1 + (2 - 2)) / 2),  # the source is never read to its end: tau is the last
        ("al", [5, 6], 4, 2, 5.0),  # more than the source was needed
        ("al_hyp", [2, 3, 3, 3], 3, 1, (2 + (3 - 3 / 4)) / 2),
        ("laal", [1, 1, 1], 2, 2, (1 + (1 - 2 / 3) + (1 - 4 / 3)) / 3),
        ("yaal", [2, 3, 3], 3, 3, 2.0),  # only the first was written early
        ("yaal", [1, 2, 4], 4, 8, (1 + (2 - 0.5)) / 2),
        ("yaal", [4, 4], 4, 2, None),
        ("dal", [2, 2, 2], 3, 3, (2 + (3 - 1) + (4 - 2)) / 3),  # each takes a time of 1
        ("ap", [1, 2, 3], 3, 3, 6 / 9),
        ("cw", [2, 2, 5, 6], 6, 4, 2.0),  # three times something was written
        ("atd", [1, 2, 3], 3, 3, 1.0),
        ("atd", [2, 2], 2, 2, ((3 - 1) + (4 - 2)) / 2),
        ("initial", [3, 4], 5, 2, 3.0),
    ],
)
def test_cases_by_hand(name: str, read: list[int], source: int, reference: int, expected: float | None) -> None:
    assert lag(name, read, source, reference) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("name", LAGS)
def test_who_writes_nothing_has_waited_for_everything(name: str) -> None:
    expected = {"ap": 1.0, "yaal": None}.get(name, 5.0)
    assert lag(name, [], 5, 3) == expected


def test_an_empty_output_stays_in_the_mean() -> None:
    metric = make_latency_metrics("word", [2, 2])["al"]
    counts_NK = metric.statistics([Writing(2, [1, 2]), Writing(2, [])])
    assert metric.score(counts_NK.sum(0)) == pytest.approx((1.0 + 2.0) / 2)
    assert metric.details(counts_NK.sum(0)) == {"counted": 2}


def test_yaal_is_the_mean_of_those_that_have_one() -> None:
    metric = make_latency_metrics("word", [3, 2])["yaal"]
    counts_NK = metric.statistics([Writing(3, [2, 3, 3]), Writing(4, [4, 4])])
    assert (metric.score(counts_NK.sum(0)), metric.details(counts_NK.sum(0))) == (2.0, {"counted": 1})


def test_the_length_ratio_is_that_of_the_corpus() -> None:
    metric = make_latency_metrics("word", [2, 6])["length_ratio"]
    assert metric.score(metric.statistics([Writing(2, [1, 2]), Writing(5, [])]).sum(0)) == 2 / 8


def test_a_signature_says_unit_and_length() -> None:
    metrics = make_latency_metrics("word", [1]) | make_subword_metrics(1)
    ending = "|definition:simuleval-1.1.4"
    assert metrics["al"].signature(bs=10, seed=1) == (
        "nrefs:1|bs:10|seed:1|unit:word|length:reference|empty:counted" + ending
    )
    assert metrics["subword_cw"].signature() == "nrefs:1|unit:subword|empty:counted" + ending


@pytest.mark.parametrize(
    ("read", "said"),
    [([3, 3], "after the source has ended"), ([1, 1], "at the first reading"), ([], "nothing at all"), ([1, 2], None)],
)
def test_a_degenerate_policy_is_told(read: list[int], said: str | None) -> None:
    found = warnings([Writing(3, read)] * 20 + [Writing(1, [1])])
    assert found == [] if said is None else (len(found) == 1 and said in found[0] and found[0].startswith("20 of 20"))


def test_statistics_have_two_counts() -> None:
    for metric in make_latency_metrics("word", [2]).values():
        assert isinstance(metric.statistics([Writing(2, [1])]), np.ndarray)
        assert metric.statistics([Writing(2, [1])]).shape == (1, 2)
