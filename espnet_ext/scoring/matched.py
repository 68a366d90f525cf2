"""Do two policies differ where they lag alike? Curves are joined by straight lines, in every resample of the test set.

A curve has a point for each setting of a policy. Shapes: R resamples, P points of a curve, G places on an axis.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

PLACES = 41  # at which the distance of two curves is measured for its mean


@dataclass(frozen=True)
class Measured:
    """One figure of every point of a curve: as it is, and in every resample."""

    actual_P: np.ndarray
    resampled_RP: np.ndarray

    def all(self) -> np.ndarray:
        """(1 + R, P): the actual figures, then those of the resamples."""
        return np.vstack([self.actual_P, self.resampled_RP])


def along(x_RP: np.ndarray, y_RP: np.ndarray, places_RG: np.ndarray) -> np.ndarray:
    """(R, G): y at these places of x; beyond the ends of a curve it stays what it is there."""
    found = np.empty_like(places_RG)
    for row, (x_P, y_P) in enumerate(zip(x_RP, y_RP, strict=True)):
        order = np.argsort(x_P, kind="stable")
        found[row] = np.interp(places_RG[row], x_P[order], y_P[order])
    return found


def point_against(x: Measured, y: Measured, point: int, x_other: Measured, y_other: Measured) -> dict[str, Any] | None:
    """A point's y less that of another curve at the point's own x; None where the other curve does not reach."""
    here = x.actual_P[point]
    if len(x_other.actual_P) < 2 or not x_other.actual_P.min() <= here <= x_other.actual_P.max():
        return None
    places_RG = x.all()[:, [point]]
    other_R = along(x_other.all(), y_other.all(), places_RG)[:, 0]
    return judged(y.all()[:, point] - other_R)


def mean_against(x: Measured, y: Measured, x_other: Measured, y_other: Measured) -> dict[str, Any] | None:
    """The mean of a curve's y less another's, over the part of x that both reach; None where there is none."""
    low = max(x.actual_P.min(), x_other.actual_P.min())
    high = min(x.actual_P.max(), x_other.actual_P.max())
    if low >= high:
        return None
    places_RG = np.tile(np.linspace(low, high, PLACES), (1 + len(x.resampled_RP), 1))
    a_RG, b_RG = (along(u.all(), v.all(), places_RG) for u, v in ((x, y), (x_other, y_other)))
    return {"from": float(low), "to": float(high), **judged((a_RG - b_RG).mean(1))}


def judged(differences_R: np.ndarray) -> dict[str, Any]:
    """From the actual difference and those of the resamples: error, 95 % interval, and p that chance alone makes one.

    p is two-sided: twice the share of resamples that lie on the other side of 0, or on it.
    """
    actual, resampled_R = float(differences_R[0]), np.sort(differences_R[1:])
    count, cut = len(resampled_R), len(resampled_R) // 40
    beyond = min(int(np.sum(resampled_R <= 0)), int(np.sum(resampled_R >= 0)))
    return {
        "difference": actual,
        "se": float(resampled_R.std()),
        "low": float(resampled_R[cut]),
        "high": float(resampled_R[count - cut - 1]),
        "p": min(1.0, 2 * (beyond + 1) / (count + 1)),
    }
