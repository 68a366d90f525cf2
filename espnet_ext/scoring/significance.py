"""Paired bootstrap resampling (Koehn 2004) with sacreBLEU's definition of p, for any metric that is a function of sums.

Every resample is drawn once and used for every system, so each pair is compared on the same utterances.
Shapes: N utterances, K counts, R resamples.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from espnet_ext.scoring.metrics import Metric


@dataclass
class Resampling:
    """How often each utterance occurs in each resample."""

    counts_RN: np.ndarray
    seed: int

    @classmethod
    def draw(cls, utterances: int, samples: int, seed: int) -> "Resampling":
        picks_RN = np.random.default_rng(seed).choice(utterances, size=(samples, utterances), replace=True)
        flat = picks_RN + np.arange(samples)[:, None] * utterances
        counts = np.bincount(flat.ravel(), minlength=samples * utterances)
        return cls(counts.reshape(samples, utterances).astype(np.float64), seed)

    def scores(self, metric: Metric, statistics_NK: np.ndarray) -> np.ndarray:
        # The sums are whole numbers, so exact; sacreBLEU goes on in float32, and so do we for equal p-values.
        totals_RK = (self.counts_RN @ statistics_NK).astype(np.float32)
        return np.array([metric.score(total_K) for total_K in totals_RK])


def confidence(scores_R: np.ndarray) -> dict[str, float]:
    """Mean and 95 % interval of the resampled scores; `ci` is sacreBLEU's: half of the interval's width."""
    ordered = np.sort(scores_R)
    cut = len(ordered) // 40
    low, high = float(ordered[cut]), float(ordered[len(ordered) - cut - 1])
    return {"mean": float(scores_R.mean()), "ci": 0.5 * (high - low), "low": low, "high": high}


def p_value(scores_a_R: np.ndarray, scores_b_R: np.ndarray, difference: float) -> float:
    """How often chance would make so large a difference; 1 for equal outputs, where sacreBLEU says 1 / (R + 1)."""
    differences_R = np.abs(scores_a_R - scores_b_R)
    if difference == 0 and not differences_R.any():
        return 1.0
    chance = np.sum(differences_R - differences_R.mean() > abs(difference))
    return float((chance + 1) / (len(differences_R) + 1))


def compare_systems(metric: Metric, statistics: dict[str, np.ndarray], resampling: Resampling) -> dict[str, Any]:
    """Score, interval and p-value of every system against every other."""
    scores = {name: metric.score(counts_NK.sum(0)) for name, counts_NK in statistics.items()}
    resampled = {name: resampling.scores(metric, counts_NK) for name, counts_NK in statistics.items()}
    names = list(statistics)
    p = {a: {b: p_value(resampled[a], resampled[b], scores[a] - scores[b]) for b in names if b != a} for a in names}
    return {
        "signature": metric.signature(bs=len(resampling.counts_RN), seed=resampling.seed),
        "systems": {name: {"score": scores[name], **confidence(resampled[name])} for name in names},
        "p": p,
    }
