"""t-SNE: points of many dimensions on a plane, those near each other near each other (van der Maaten and Hinton, 2008).

N points, D dimensions. The exact method: every pair counts, so it is for some hundreds of points.
"""

import numpy as np

EARLY = 100  # iterations in which all attraction is larger, so that groups find each other
EXAGGERATION = 12.0
ENTROPY_STEPS = 60  # of the bisection for each point's width


def tsne(points_ND: np.ndarray, perplexity: float = 30.0, iterations: int = 500, seed: int = 0) -> np.ndarray:
    """(N, 2) places; the same for the same seed. Fewer points than three times the perplexity lower it."""
    size = len(points_ND)
    if size < 4:
        return np.pad(np.arange(size, dtype=float)[:, None], ((0, 0), (0, 1)))
    wanted_NN = neighbours(np.asarray(points_ND, float), min(perplexity, (size - 1) / 3))
    places_N2 = np.random.default_rng(seed).normal(scale=1e-4, size=(size, 2))
    step_N2, gains_N2 = np.zeros_like(places_N2), np.ones_like(places_N2)
    rate = max(size / EXAGGERATION / 4, 50.0)
    for iteration in range(iterations):
        early = iteration < EARLY
        gradient_N2 = descent(wanted_NN * (EXAGGERATION if early else 1.0), places_N2)
        turned_N2 = np.sign(gradient_N2) == np.sign(step_N2)  # a step goes against the gradient: these overshot
        gains_N2 = np.maximum(np.where(turned_N2, gains_N2 * 0.8, gains_N2 + 0.2), 0.01)
        step_N2 = (0.5 if early else 0.8) * step_N2 - rate * gains_N2 * gradient_N2
        places_N2 = places_N2 + step_N2
        places_N2 -= places_N2.mean(axis=0)
    return places_N2


def squared_distances(points_ND: np.ndarray) -> np.ndarray:
    """(N, N), zero on the diagonal."""
    squares_N = (points_ND**2).sum(axis=1)
    found_NN = np.maximum(squares_N[:, None] + squares_N - 2 * points_ND @ points_ND.T, 0.0)
    np.fill_diagonal(found_NN, 0.0)
    return found_NN


def neighbours(points_ND: np.ndarray, perplexity: float) -> np.ndarray:
    """(N, N) symmetric, sum 1: how much of a neighbour each pair is, with so many neighbours of each point."""
    distances_NN = squared_distances(points_ND)
    distances_NN /= distances_NN.mean() or 1.0
    low_N, high_N = np.full(len(points_ND), -30.0), np.full(len(points_ND), 30.0)  # of the logarithm of the precision
    for _ in range(ENTROPY_STEPS):
        middle_N = (low_N + high_N) / 2
        shares_NN = soft(distances_NN, np.exp(middle_N))
        entropy_N = -(shares_NN * np.log(np.maximum(shares_NN, 1e-300))).sum(axis=1)
        too_wide_N = entropy_N > np.log(perplexity)
        low_N, high_N = np.where(too_wide_N, middle_N, low_N), np.where(too_wide_N, high_N, middle_N)
    return np.maximum((shares_NN + shares_NN.T) / (2 * len(points_ND)), 1e-12)


def soft(distances_NN: np.ndarray, precision_N: np.ndarray) -> np.ndarray:
    """Each point's shares of the others, by a normal density around it."""
    scores_NN = -distances_NN * precision_N[:, None]
    np.fill_diagonal(scores_NN, -np.inf)
    shares_NN = np.exp(scores_NN - scores_NN.max(axis=1, keepdims=True))
    return shares_NN / shares_NN.sum(axis=1, keepdims=True)


def descent(wanted_NN: np.ndarray, places_N2: np.ndarray) -> np.ndarray:
    """The gradient of KL(wanted || found), found by a Student density with one degree of freedom."""
    heavy_NN = 1 / (1 + squared_distances(places_N2))
    np.fill_diagonal(heavy_NN, 0.0)
    pull_NN = (wanted_NN - np.maximum(heavy_NN / heavy_NN.sum(), 1e-12)) * heavy_NN
    return 4 * (pull_NN.sum(axis=1)[:, None] * places_N2 - pull_NN @ places_N2)
