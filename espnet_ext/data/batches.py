"""Which examples make up each batch: pure functions of lengths, seed and epoch, equal on every rank and rank count."""

from collections.abc import Sequence

import numpy as np

JITTER = 0.05  # in training, lengths that differ by less than this share mix from epoch to epoch
SIZE_STEP = 8  # larger batches have a multiple of this many examples: few shapes, so few kernels are made


def within_limits(lengths: np.ndarray, limits: Sequence[int | None] | None) -> np.ndarray:
    """Which examples are no longer than the limits, given as one for each column of lengths (None: no limit)."""
    lengths_NK = _columns(lengths)
    kept = np.ones(len(lengths_NK), bool)
    for column, limit in zip(lengths_NK.T, limits or (), strict=bool(limits)):
        if limit is not None:
            kept &= column <= limit
    return kept


def make_batches(
    lengths: np.ndarray,
    *,
    batch_bins: int,
    max_examples: int | None = None,
    limits: Sequence[int | None] | None = None,
    seed: int | Sequence[int] = 0,
    epoch: int = 1,
    shuffle: bool = True,
) -> list[np.ndarray]:
    """Deal the examples within the limits out into batches of similar length.

    lengths is (N,) or (N, K), one column for each part of an example. A batch is full when its longest part, padded, is
    batch_bins long, or has the last multiple of SIZE_STEP examples before that; so frames count where there is speech,
    and tokens where there is only text. An example longer than that is a batch by itself. Shuffled, the batches of each
    epoch differ in order and, a little, in what they hold; the first batch of the first epoch is the largest, so that
    memory runs out early if at all.
    """
    lengths_NK = _columns(lengths)
    random = np.random.default_rng([*np.atleast_1d(seed).tolist(), epoch])
    examples = np.flatnonzero(within_limits(lengths_NK, limits))
    order = examples[_by_length(lengths_NK[examples], random if shuffle else None)]
    batches = _fill(order, lengths_NK, batch_bins, max_examples or len(order))
    if shuffle:
        random.shuffle(batches)  # type: ignore[arg-type]
        if epoch == 1 and batches:
            sizes = [len(batch) * int(lengths_NK[batch].max()) for batch in batches]
            largest = int(np.argmax(sizes))
            batches[0], batches[largest] = batches[largest], batches[0]
    return batches


def split_for_rank(batch: np.ndarray, rank: int, world: int) -> np.ndarray:
    """This rank's share of a batch: one example more or less than the others', none if there are too few for all."""
    return batch[rank::world]


def padding_share(batches: Sequence[np.ndarray], lengths: np.ndarray) -> float:
    """The share of padding in all batches, of the first column of lengths."""
    column = _columns(lengths)[:, 0]
    padded = sum(len(batch) * int(column[batch].max()) for batch in batches)
    return 1 - sum(int(column[batch].sum()) for batch in batches) / padded if padded else 0.0


def _columns(lengths: np.ndarray) -> np.ndarray:
    lengths = np.asarray(lengths)
    return lengths[:, None] if lengths.ndim == 1 else lengths


def _by_length(lengths_NK: np.ndarray, random: np.random.Generator | None) -> np.ndarray:
    """Longest first; with random numbers, almost so."""
    if random is None:
        return np.lexsort(tuple(-lengths_NK.T[::-1]))
    jitter = random.uniform(0, JITTER, len(lengths_NK))
    keys = [np.log(np.maximum(column, 1)) + jitter for column in lengths_NK.T]
    if len(keys) == 1:
        return np.argsort(-keys[0], kind="stable")
    # Coarse steps of the first column and in each the others together, so that texts too are padded little.
    return np.lexsort([-sum(keys[1:]), -np.floor(keys[0] / JITTER)])


def _fill(order: np.ndarray, lengths_NK: np.ndarray, batch_bins: int, max_examples: int) -> list[np.ndarray]:
    longest_N = lengths_NK.max(axis=1)[order] if len(order) else np.zeros(0, int)
    starts, start = [], 0
    while start < len(order):
        starts.append(start)
        # Every example is padded to the first at least, so no more than this can fit.
        most = min(max_examples, batch_bins // max(int(longest_N[start]), 1))
        window = longest_N[start : start + max(most, 1)]
        padded = np.maximum.accumulate(window) * np.arange(1, len(window) + 1)
        fits = int(np.searchsorted(padded, batch_bins, side="right"))
        start += fits - fits % SIZE_STEP or max(fits, 1)
    return [order[a:b] for a, b in zip(starts, [*starts[1:], len(order)])]
