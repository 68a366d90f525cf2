"""p of two systems: sacreBLEU's numbers, slow references, known answers, and 5 % where they are equal."""

import random

import numpy as np
import pytest
from scipy.stats import norm

from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.significance import Draws, Randomisation, compare_systems, confidence, sacrebleu_p
from tests.support.fake_results import WORDS, damaged, sentence


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(3)
    references = [sentence("de", [rng.randrange(30) for _ in range(rng.randint(2, 15))]) for _ in range(80)]
    chances = {"a": 0.20, "b": 0.24, "c": 0.45}
    systems = {s: [damaged(text, chance, WORDS["de"], rng) for text in references] for s, chance in chances.items()}
    systems["b"][5] = ""
    return references, systems


@pytest.mark.parametrize("name, theirs", [("bleu", "BLEU"), ("chrf", "chrF2"), ("ter", "TER")])
def test_equals_sacrebleu_paired_bootstrap(corpus, name, theirs, monkeypatch):
    from sacrebleu.metrics import BLEU, CHRF, TER
    from sacrebleu.significance import PairedTest

    monkeypatch.setenv("SACREBLEU_SEED", "4321")
    references, systems = corpus
    metric = {"bleu": BLEU, "chrf": CHRF, "ter": TER}[name](references=[references])
    signatures, results = PairedTest(list(systems.items()), {name: metric}, None, test_type="bs", n_samples=200)()
    ours = make_metric(name, [references], Options())
    statistics = {system: ours.statistics(texts) for system, texts in systems.items()}
    compared = compare_systems(ours, statistics, Draws.make(len(references), 200, 4321))
    assert compared["signature"] == signatures[theirs].format()
    for system, result in zip(results["System"], results[theirs], strict=True):
        row = compared["systems"][system]
        assert row["score"] == pytest.approx(result.score, abs=1e-9)
        assert (row["mean"], row["ci"]) == pytest.approx((result.mean, result.ci), abs=1e-5)  # sacreBLEU's are float32
        if system != "a":  # the baseline
            assert compared["p_paired_bs"]["a"][system] == result.p_value == compared["p_paired_bs"][system]["a"]


@pytest.mark.parametrize("name, theirs", [("bleu", "BLEU"), ("chrf", "chrF2"), ("ter", "TER")])
def test_p_is_sacrebleu_approximate_randomisation(corpus, name, theirs, monkeypatch):
    """But differences as large as the actual one count, too; TER's whole numbers make such."""
    from sacrebleu.metrics import BLEU, CHRF, TER
    from sacrebleu.significance import PairedTest

    monkeypatch.setenv("SACREBLEU_SEED", "4321")
    references, systems = corpus
    metric = {"bleu": BLEU, "chrf": CHRF, "ter": TER}[name](references=[references])
    _, results = PairedTest(list(systems.items()), {name: metric}, None, test_type="ar", n_samples=200)()
    ours = make_metric(name, [references], Options())
    statistics = {system: ours.statistics(texts) for system, texts in systems.items()}
    draws = Draws.make(len(references), 200, 4321)
    compared = compare_systems(ours, statistics, draws)
    for system, result in zip("bc", results[theirs][1:], strict=True):
        moved_RK = draws.exchanged_RN @ (statistics["a"] - statistics[system])
        totals = statistics["a"].sum(0) - moved_RK, statistics[system].sum(0) + moved_RK
        actual = abs(ours.score(statistics["a"].sum(0)) - ours.score(statistics[system].sum(0)))
        equal = np.isclose(np.abs(ours.scores(totals[0]) - ours.scores(totals[1])), actual, rtol=0, atol=1e-9)
        assert name == "ter" or not equal.any()
        assert compared["p"]["a"][system] == pytest.approx(result.p_value + equal.sum() / 201, abs=1e-12)


@pytest.mark.parametrize("name", ["bleu", "chrf", "ter", "wer"])
def test_scores_of_many_corpora_are_those_of_each(corpus, name):
    references, systems = corpus
    metric = make_metric(name, [references], Options())
    counts_NK = np.concatenate([metric.statistics(texts) for texts in systems.values()])
    rng = np.random.default_rng(4)
    parts = [counts_NK[rng.integers(len(counts_NK), size=size)].sum(0) for size in (0, 1, 1, 1, 2, 2, 3, 5, 9, 80)]
    nothing_right = [row for row in counts_NK if metric.score(row) in (0, 100)][:20]
    totals_RK = np.array([*parts, *counts_NK, *nothing_right])
    assert metric.scores(totals_RK) == pytest.approx([metric.score(total_K) for total_K in totals_RK], abs=1e-9)


def slow_word_error_p(errors_a, errors_b, words, samples, seed):
    """The definition, one utterance at a time."""
    exchanges = np.random.default_rng(seed).integers(2, size=(samples, len(words)), dtype=bool)
    rate = 100 / sum(words)
    actual = rate * abs(sum(errors_a) - sum(errors_b))
    at_least = 0
    for exchange in exchanges:
        pairs = [(b, a) if turned else (a, b) for a, b, turned in zip(errors_a, errors_b, exchange, strict=True)]
        at_least += rate * abs(sum(a for a, _ in pairs) - sum(b for _, b in pairs)) >= actual - 1e-9
    return (at_least + 1) / (samples + 1)


def as_statistics(errors, words):
    return np.stack([errors, 0 * errors, 0 * errors, 0 * errors + words], 1)


def test_word_errors_equal_a_slow_reference():
    rng = np.random.default_rng(0)
    words = rng.integers(1, 20, 60)
    errors_a = rng.binomial(words, 0.2)
    errors_b = rng.binomial(words, 0.21)
    statistics = {"a": as_statistics(errors_a, words), "b": as_statistics(errors_b, words)}
    metric = make_metric("wer", [[""]], Options())
    compared = compare_systems(metric, statistics, Draws.make(60, 300, 5))
    expected = slow_word_error_p(errors_a.tolist(), errors_b.tolist(), words.tolist(), 300, 5)
    assert 0.01 < expected < 0.9
    assert compared["p"]["a"]["b"] == expected


@pytest.mark.parametrize("p", [0.05, 0.01])
def test_known_answer_of_a_synthetic_pair(p):
    """Differences of mean m and deviation s over N utterances: exchanged at random their mean is Normal(0, sqrt((s^2 +
    m^2) / N)), and the chance that it is m away from 0 is p = 2 P(Z > m sqrt(N) / sqrt(s^2 + m^2))."""
    utterances, words = 1000, 10
    half = np.repeat([1.0, -1.0], utterances // 2)
    errors = 3 + half + norm.isf(p / 2) / np.sqrt(utterances)  # s = 1, m as p wants it
    statistics = {"a": as_statistics(errors, words), "b": as_statistics(0 * half + 3, words)}
    metric = make_metric("wer", [[""]], Options())
    compared = compare_systems(metric, statistics, Draws.make(utterances, 4000, 9))
    assert compared["p"]["a"]["b"] == pytest.approx(p, rel=0.25)


@pytest.mark.parametrize("utterances", [30, 200])
def test_equal_systems_differ_in_five_percent_of_trials(utterances):
    """sacreBLEU's paired bootstrap says so about twice as often."""
    rng, metric, trials = np.random.default_rng(8), make_metric("wer", [[""]], Options()), 1000
    draws = Draws.make(utterances, 199, 1)
    found = []
    for _ in range(trials):
        words, hard = rng.integers(3, 20, utterances), rng.beta(1, 4, utterances)
        pair = {name: as_statistics(rng.binomial(words, hard), words) for name in "ab"}
        found.append(Randomisation(metric, pair, draws).p("a", "b"))
    # One share of 5 % in 1,000 trials has a standard deviation of 0.7 %.
    assert 0.03 <= np.mean(np.array(found) < 0.05) <= 0.07
    assert 0.4 <= np.mean(np.array(found) < 0.5) <= 0.55  # equal differences count, so rather too few


def test_the_same_output_twice_is_no_evidence():
    statistics = np.array([[1.0, 0, 0, 5], [0, 1, 0, 7]])
    compared = compare_systems(
        make_metric("wer", [[""]], Options()), {"a": statistics, "b": statistics}, Draws.make(2, 50, 1)
    )
    assert compared["p"]["a"]["b"] == 1.0


def test_equal_scores_from_different_outputs_are_not_significant():
    a, b = np.zeros((50, 4)), np.zeros((50, 4))
    a[:, 3] = b[:, 3] = 10
    a[:25, 0] = b[25:, 0] = 1
    compared = compare_systems(make_metric("wer", [[""]], Options()), {"a": a, "b": b}, Draws.make(50, 500, 1))
    assert compared["p"]["a"]["b"] > 0.3


def test_every_system_meets_every_other_and_p_is_symmetric(corpus):
    references, systems = corpus
    metric = make_metric("wer", [references], Options())
    statistics = {name: metric.statistics(texts) for name, texts in systems.items()}
    p = compare_systems(metric, statistics, Draws.make(len(references), 300, 12345))["p"]
    assert {(a, b) for a in p for b in p[a]} == {(a, b) for a in "abc" for b in "abc" if a != b}
    assert all(p[a][b] == p[b][a] for a in p for b in p[a])
    assert p["a"]["c"] < 0.01 and p["b"]["c"] < 0.01 and p["a"]["c"] < p["a"]["b"]


def test_interval_holds_the_middle_95_percent():
    scores = np.random.default_rng(2).permutation(np.arange(1000.0))
    assert confidence(scores) == {"mean": 499.5, "ci": 474.5, "low": 25.0, "high": 974.0}


def test_p_counts_only_larger_deviations():
    a, b = np.array([3.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])  # differences 3, 0, 0, 0: mean 0.75
    assert sacrebleu_p(a, b, 2.0) == 2 / 5  # 2.25 > 2
    assert sacrebleu_p(a, b, 2.25) == 1 / 5  # equal is not larger


def test_resamples_repeat_with_the_seed_and_keep_the_number_of_utterances():
    first, again, other = (Draws.make(30, 20, seed).counts_RN for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert (first.sum(1) == 30).all()
