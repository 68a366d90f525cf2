"""Do two systems differ? p by paired approximate randomisation, two-sided; intervals by bootstrap (docs/scoring.md).

Both are drawn once and used for every pair, so all systems are compared on the same utterances.
Shapes: N utterances, K counts, R exchanges or resamples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from espnet_ext.scoring.metrics import Metric

TEST = "paired approximate randomisation, two-sided"
SAID = ("se", "utterances")  # of a comparison beside scores and p; a file of before something was added is made again
ROUNDING = 1e-9  # score differences closer than this are equal


@dataclass
class Draws:
    """What chance does to a test set: how often each utterance occurs, and for which ones two systems are exchanged."""

    counts_RN: np.ndarray
    exchanged_RN: np.ndarray
    seed: int

    @classmethod
    def make(cls, utterances: int, samples: int, seed: int) -> "Draws":
        """Both as sacreBLEU draws them for its paired bootstrap and its approximate randomisation."""
        picks_RN = np.random.default_rng(seed).choice(utterances, size=(samples, utterances), replace=True)
        flat = picks_RN + np.arange(samples)[:, None] * utterances
        counts = np.bincount(flat.ravel(), minlength=samples * utterances)
        exchanged_RN = np.random.default_rng(seed).integers(2, size=(samples, utterances), dtype=bool)
        return cls(counts.reshape(samples, utterances).astype(np.float64), exchanged_RN.astype(np.float64), seed)

    def scores(self, metric: Metric, statistics_NK: np.ndarray) -> np.ndarray:
        """(R,) scores of the resampled test set."""
        # The sums are whole numbers, so exact; sacreBLEU goes on in float32, and so do we for equal p-values.
        totals_RK = (self.counts_RN @ statistics_NK).astype(np.float32)
        return np.array([metric.score(total_K) for total_K in totals_RK])

    def signature(self, metric: Metric) -> str:
        return metric.signature(bs=len(self.counts_RN), seed=self.seed)


def confidence(scores_R: np.ndarray) -> dict[str, float]:
    """Mean and 95 % interval of the resampled scores; `ci` is sacreBLEU's: half of the interval's width."""
    ordered = np.sort(scores_R)
    cut = len(ordered) // 40
    low, high = float(ordered[cut]), float(ordered[len(ordered) - cut - 1])
    return {"mean": float(scores_R.mean()), "ci": 0.5 * (high - low), "low": low, "high": high}


class Randomisation:
    """Exchanges two systems' outputs at random: where the systems are equal, no exchange changes the difference."""

    def __init__(self, metric: Metric, statistics: dict[str, np.ndarray], draws: Draws) -> None:
        self.metric = metric
        self.totals_K = {name: counts_NK.sum(0) for name, counts_NK in statistics.items()}
        self.exchanged_RK = {name: draws.exchanged_RN @ counts_NK for name, counts_NK in statistics.items()}

    def p(self, a: str, b: str) -> float:
        """The share of exchanges that make the difference at least as large as it is, the actual one included."""
        moved_RK = self.exchanged_RK[a] - self.exchanged_RK[b]
        actual = abs(self.differences(self.totals_K[a][None], self.totals_K[b][None])[0])
        differences_R = np.abs(self.differences(self.totals_K[a] - moved_RK, self.totals_K[b] + moved_RK))
        return float((np.sum(differences_R >= actual - ROUNDING) + 1) / (len(differences_R) + 1))

    def differences(self, totals_a_RK: np.ndarray, totals_b_RK: np.ndarray) -> np.ndarray:
        return self.metric.scores(totals_a_RK) - self.metric.scores(totals_b_RK)


def sacrebleu_p(scores_a_R: np.ndarray, scores_b_R: np.ndarray, difference: float) -> float:
    """sacreBLEU's paired bootstrap (Koehn 2004): in equal systems it is below 0.05 about twice as often as 5 %."""
    differences_R = np.abs(scores_a_R - scores_b_R)
    if difference == 0 and not differences_R.any():
        return 1.0  # equal outputs, where sacreBLEU says 1 / (R + 1)
    chance = np.sum(differences_R - differences_R.mean() > abs(difference))
    return float((chance + 1) / (len(differences_R) + 1))


def compare_systems(metric: Metric, statistics: dict[str, np.ndarray], draws: Draws) -> dict[str, Any]:
    """Score and interval of every system; p and the standard error of its difference from every other."""
    scores = {name: metric.score(counts_NK.sum(0)) for name, counts_NK in statistics.items()}
    resampled = {name: draws.scores(metric, counts_NK) for name, counts_NK in statistics.items()}
    randomised, names = Randomisation(metric, statistics, draws), list(statistics)
    others = {a: [b for b in names if b != a] for a in names}
    return {
        "signature": draws.signature(metric),
        "utterances": draws.counts_RN.shape[1],
        "systems": {name: {"score": scores[name], **confidence(resampled[name])} for name in names},
        "p": {a: {b: randomised.p(a, b) for b in others[a]} for a in names},
        "se": {a: {b: float((resampled[a] - resampled[b]).std()) for b in others[a]} for a in names},
        "p_paired_bs": {
            a: {b: sacrebleu_p(resampled[a], resampled[b], scores[a] - scores[b]) for b in others[a]} for a in names
        },
    }
