"""Do two systems differ, whatever the seed and the utterances? A t-test whose variance is a sum (docs/sweeps.md).

Shapes: S seeds, N utterances, R resamples of the test set.
"""

import math
from dataclasses import dataclass

import numpy as np

from espnet_ext.scoring.metrics import Metric
from espnet_ext.scoring.significance import Draws

TEST = "t-test over seeds and utterances, two-sided"


@dataclass
class Trained:
    """Scores of a system's trainings, and how they vary with the utterances."""

    scores_S: np.ndarray
    resampled_SR: np.ndarray
    one_training: bool  # that serves all seeds

    @classmethod
    def of(cls, metric: Metric, statistics: list[np.ndarray], draws: Draws, wrote_the_same: bool) -> "Trained":
        """`statistics` are the (N, K) of each seed; what was written alike may have been written at other times."""
        one_training = wrote_the_same and all(np.array_equal(counts_NK, statistics[0]) for counts_NK in statistics[1:])
        scores_S = np.array([metric.score(counts_NK.sum(0)) for counts_NK in statistics])
        drawn = statistics[:1] if one_training else statistics
        resampled_SR = np.array([draws.scores(metric, counts_NK) for counts_NK in drawn])
        return cls(scores_S, np.sort(resampled_SR, axis=0), one_training)  # in any order of seeds

    @property
    def mean(self) -> float:
        return math.fsum(self.scores_S) / len(self.scores_S)

    @property
    def sd(self) -> float:
        return float(self.scores_S.std(ddof=1))

    @property
    def trainings(self) -> int:
        return 1 if self.one_training else len(self.scores_S)

    @property
    def seed_variance(self) -> float:
        """Of one training's score on this test set."""
        return self.sd**2

    @property
    def noise_variance(self) -> float:
        """The part of it that comes from the utterances, which seeds suit differently."""
        return float((self.resampled_SR - self.resampled_SR.mean(0)).var(1, ddof=1).sum() / (self.trainings - 1))


@dataclass(frozen=True)
class Difference:
    """Of two means: what it is, its standard error with the degrees of freedom, and p that chance alone makes it."""

    difference: float
    se: float
    df: float
    p: float


def seed_difference(a: Trained, b: Trained, utterances: int) -> Difference | None:
    """Of a less b; none where both have one training, or nothing varies, as that says nothing of another seed."""
    several = [system for system in (a, b) if not system.one_training]
    if not several:
        return None
    difference = a.mean - b.mean
    of_utterances = float((a.resampled_SR.mean(0) - b.resampled_SR.mean(0)).var(ddof=1))
    # One training is taken to vary as those of the other system do.
    shares = (
        [sum(1 / system.trainings for system in (a, b))] if len(several) == 1 else [1 / s.trainings for s in several]
    )
    of_seeds = [share * s.seed_variance for share, s in zip(shares, several, strict=True)]
    counted_twice = sum(share * s.noise_variance for share, s in zip(shares, several, strict=True))
    variance = of_utterances + max(0.0, sum(of_seeds) - counted_twice)
    if variance == 0:
        return None
    # Welch and Satterthwaite: a sum of variances, each known by so many degrees of freedom.
    unsure = of_utterances**2 / max(utterances - 1, 1)
    unsure += sum(v**2 / (s.trainings - 1) for v, s in zip(of_seeds, several, strict=True))
    se, df = math.sqrt(variance), variance**2 / unsure
    return Difference(difference, se, df, two_sided(difference / se, df))


def two_sided(t: float, freedom: float) -> float:
    """The chance of a t at least so far from 0."""
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(t)))
