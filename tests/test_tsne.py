"""t-SNE: groups of many dimensions stay groups on the plane."""

import numpy as np
import pytest

from espnet_ext.reporting.tsne import descent, neighbours, soft, squared_distances, tsne


def groups(seed: int, each: int = 40, dimensions: int = 20) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(3, dimensions)) * 4
    label = np.repeat(np.arange(3), each)
    return centres[label] + random.normal(size=(3 * each, dimensions)), label


@pytest.mark.parametrize("seed", [1, 2])
def test_groups_stay_groups(seed: int) -> None:
    points, label = groups(seed)
    places = tsne(points, iterations=300)
    distances = squared_distances(places)
    np.fill_diagonal(distances, np.inf)
    assert (label[distances.argmin(axis=1)] == label).mean() == 1.0
    centres = np.stack([places[label == i].mean(axis=0) for i in range(3)])
    spread = max(np.sqrt(((places[label == i] - centres[i]) ** 2).sum(1).mean()) for i in range(3))
    apart = min(np.linalg.norm(centres[i] - centres[j]) for i in range(3) for j in range(i))
    assert apart > 2 * spread
    assert np.array_equal(places, tsne(points, iterations=300))


def test_each_point_has_as_many_neighbours_as_asked() -> None:
    points, _ = groups(3)
    wanted = neighbours(points, 15)
    assert wanted.sum() == pytest.approx(1, abs=1e-6)
    assert np.allclose(wanted, wanted.T)
    shares = soft(squared_distances(points), np.full(len(points), 0.1))
    assert np.allclose(shares.sum(axis=1), 1)
    assert not shares.diagonal().any()


def test_the_gradient_is_that_of_finite_differences() -> None:
    random = np.random.default_rng(4)
    wanted, places = neighbours(random.normal(size=(8, 3)), 2), random.normal(size=(8, 2))

    def divergence(at: np.ndarray) -> float:
        heavy = 1 / (1 + squared_distances(at))
        np.fill_diagonal(heavy, 0)
        found, off = heavy / heavy.sum(), ~np.eye(8, dtype=bool)
        return float((wanted[off] * np.log(wanted[off] / found[off])).sum())

    wanted /= wanted[~np.eye(8, dtype=bool)].sum()
    gradient = descent(wanted, places)
    for i, j in ((0, 0), (3, 1), (7, 0)):
        step = np.zeros_like(places)
        step[i, j] = 1e-6
        assert gradient[i, j] == pytest.approx((divergence(places + step) - divergence(places - step)) / 2e-6, abs=1e-5)


@pytest.mark.parametrize("size", [0, 1, 3])
def test_few_points_stand_in_a_row(size: int) -> None:
    assert tsne(np.zeros((size, 5))).shape == (size, 2)


def test_equal_points_are_no_trouble() -> None:
    assert np.isfinite(tsne(np.zeros((9, 5)), iterations=20)).all()
