"""Paired bootstrap: sacreBLEU's numbers for its metrics, the same definition for word errors, known answers."""

import random

import numpy as np
import pytest
from scipy.stats import norm

from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.significance import Resampling, compare_systems, confidence, p_value
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
    compared = compare_systems(ours, statistics, Resampling.draw(len(references), 200, 4321))
    assert compared["signature"] == signatures[theirs].format()
    for system, result in zip(results["System"], results[theirs], strict=True):
        row = compared["systems"][system]
        assert row["score"] == pytest.approx(result.score, abs=1e-9)
        assert (row["mean"], row["ci"]) == pytest.approx((result.mean, result.ci), abs=1e-5)  # sacreBLEU's are float32
        if system != "a":  # the baseline
            assert compared["p"]["a"][system] == result.p_value == compared["p"][system]["a"]


def slow_word_error_p(errors_a, errors_b, words, samples, seed):
    """The definition, one utterance at a time."""
    picks = np.random.default_rng(seed).choice(len(words), size=(samples, len(words)), replace=True)
    differences = []
    for resample in picks:
        total = sum(words[i] for i in resample)
        rates = [100 * sum(errors[i] for i in resample) / total for errors in (errors_a, errors_b)]
        differences.append(abs(rates[0] - rates[1]))
    actual = abs(100 * (sum(errors_a) - sum(errors_b)) / sum(words))
    mean = sum(differences) / samples
    return (sum(d - mean > actual for d in differences) + 1) / (samples + 1)


def test_word_errors_equal_a_slow_reference():
    rng = np.random.default_rng(0)
    words = rng.integers(1, 20, 60)
    errors_a = rng.binomial(words, 0.2)
    errors_b = rng.binomial(words, 0.23)
    statistics = {
        name: np.stack([errors, 0 * errors, 0 * errors, words], 1)
        for name, errors in (("a", errors_a), ("b", errors_b))
    }
    metric = make_metric("wer", [[""]], Options())
    compared = compare_systems(metric, statistics, Resampling.draw(60, 300, 5))
    expected = slow_word_error_p(errors_a.tolist(), errors_b.tolist(), words.tolist(), 300, 5)
    assert 0.01 < expected < 0.9
    assert compared["p"]["a"]["b"] == expected


@pytest.mark.parametrize("p", [0.05, 0.01])
def test_known_answer_of_a_synthetic_pair(p):
    """Differences of mean m and deviation s over N utterances: a resampled difference is Normal(m, s / sqrt N), and the
    chance that it exceeds m by m again is p = P(Z > m sqrt(N) / s), where few differences change their sign."""
    utterances, words = 1000, 10
    half = np.repeat([1.0, -1.0], utterances // 2)
    errors = 3 + half + norm.isf(p) / np.sqrt(utterances)  # s = 1, m as p wants it
    a = np.stack([errors, 0 * half, 0 * half, 0 * half + words], 1)
    b = np.stack([0 * half + 3, 0 * half, 0 * half, 0 * half + words], 1)
    metric = make_metric("wer", [[""]], Options())
    compared = compare_systems(metric, {"a": a, "b": b}, Resampling.draw(utterances, 4000, 9))
    assert compared["p"]["a"]["b"] == pytest.approx(p, rel=0.25)


def test_the_same_output_twice_is_no_evidence():
    statistics = np.array([[1.0, 0, 0, 5], [0, 1, 0, 7]])
    compared = compare_systems(
        make_metric("wer", [[""]], Options()), {"a": statistics, "b": statistics}, Resampling.draw(2, 50, 1)
    )
    assert compared["p"]["a"]["b"] == 1.0


def test_equal_scores_from_different_outputs_are_not_significant():
    a, b = np.zeros((50, 4)), np.zeros((50, 4))
    a[:, 3] = b[:, 3] = 10
    a[:25, 0] = b[25:, 0] = 1
    compared = compare_systems(make_metric("wer", [[""]], Options()), {"a": a, "b": b}, Resampling.draw(50, 500, 1))
    assert compared["p"]["a"]["b"] > 0.3


def test_every_system_meets_every_other_and_p_is_symmetric(corpus):
    references, systems = corpus
    metric = make_metric("wer", [references], Options())
    statistics = {name: metric.statistics(texts) for name, texts in systems.items()}
    p = compare_systems(metric, statistics, Resampling.draw(len(references), 300, 12345))["p"]
    assert {(a, b) for a in p for b in p[a]} == {(a, b) for a in "abc" for b in "abc" if a != b}
    assert all(p[a][b] == p[b][a] for a in p for b in p[a])
    assert p["a"]["c"] < 0.01 and p["b"]["c"] < 0.01 and p["a"]["c"] < p["a"]["b"]


def test_interval_holds_the_middle_95_percent():
    scores = np.random.default_rng(2).permutation(np.arange(1000.0))
    assert confidence(scores) == {"mean": 499.5, "ci": 474.5, "low": 25.0, "high": 974.0}


def test_p_counts_only_larger_deviations():
    a, b = np.array([3.0, 1.0, 1.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0])  # differences 3, 0, 0, 0: mean 0.75
    assert p_value(a, b, 2.0) == 2 / 5  # 2.25 > 2
    assert p_value(a, b, 2.25) == 1 / 5  # equal is not larger


def test_resamples_repeat_with_the_seed_and_keep_the_number_of_utterances():
    first, again, other = (Resampling.draw(30, 20, seed).counts_RN for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert (first.sum(1) == 30).all()
