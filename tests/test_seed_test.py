"""p over seeds: 5 % where systems are equal, whatever their seeds do; small where they differ by more than seeds do."""

import numpy as np
import pytest

from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.seed_test import Trained, seed_difference, two_sided
from espnet_ext.scoring.significance import Draws

UTTERANCES = 100
METRIC = make_metric("wer", [[""]], Options())


def trainings(rng, seeds: int, seed_sd: float, mean: float = 0.3) -> list[np.ndarray]:
    """Word errors of `seeds` trainings, the WER of which differs by `seed_sd` points beside what utterances do."""
    rates = np.clip(mean + rng.normal(0, seed_sd / 100, seeds), 0, 1)
    words = np.full(UTTERANCES, 20)
    each = [rng.binomial(words, rate) for rate in rates]
    return [np.stack([errors, 0 * errors, 0 * errors, words], 1) for errors in each]


def share_below(level: float, seeds: int, seed_sd: float, once: bool = False, trials: int = 500) -> float:
    """How often two equal systems are said to differ; `once`: one of them has a single training."""
    rng, draws = np.random.default_rng(11), Draws.make(UTTERANCES, 100, 1)
    found = []
    for _ in range(trials):
        a, b = trainings(rng, seeds, seed_sd), trainings(rng, seeds, seed_sd)
        pair = [Trained.of(METRIC, a, draws, False), Trained.of(METRIC, [b[0]] * seeds if once else b, draws, once)]
        found.append(seed_difference(*pair, UTTERANCES).p)
    return float(np.mean(np.array(found) < level))


@pytest.mark.parametrize("seeds, seed_sd", [(3, 0), (3, 1), (3, 3), (2, 1), (5, 1)])
def test_equal_systems_differ_in_at_most_seven_percent_of_trials(seeds, seed_sd):
    """Resampling utterances alone says so in 20, 41 or 69 % with seeds that differ by 1, 2 or 5 points."""
    assert 0.005 <= share_below(0.05, seeds, seed_sd) <= 0.07


def test_one_training_beside_three_differs_as_seldom():
    assert 0.005 <= share_below(0.05, 3, 1, once=True) <= 0.07


@pytest.mark.parametrize("seed_sd, sure", [(0.5, True), (5, False)])
def test_a_difference_is_sure_if_seeds_differ_by_less(seed_sd, sure):
    rng, draws = np.random.default_rng(3), Draws.make(UTTERANCES, 200, 1)
    pair = [Trained.of(METRIC, trainings(rng, 3, seed_sd, mean), draws, False) for mean in (0.25, 0.33)]
    p = seed_difference(*pair, UTTERANCES).p
    assert p == seed_difference(*reversed(pair), UTTERANCES).p
    assert p < 0.01 if sure else p > 0.05


def test_where_utterances_say_nothing_it_is_welchs_test():
    from scipy.stats import ttest_ind

    a, b = [3.1, 4.0, 3.6], [4.8, 4.1, 5.9]
    still = [Trained(np.array(each), np.repeat(np.array(each)[:, None], 5, axis=1), False) for each in (a, b)]
    found, expected = seed_difference(*still, 1000), ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.df == pytest.approx(expected.df)
    assert found.difference / found.se == pytest.approx(expected.statistic)


def test_nothing_varies_so_nothing_is_said():
    same = Trained(np.full(3, 7.0), np.full((3, 5), 7.0), False)
    other = Trained(np.full(3, 8.0), np.full((3, 5), 8.0), False)
    assert seed_difference(same, other, 100) is None


def test_two_sided_is_students_t():
    assert two_sided(4.302652, 2) == two_sided(-4.302652, 2) == pytest.approx(0.05, abs=1e-6)
