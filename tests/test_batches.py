"""Batches: every kept example once, within the limits and the size, the same for all ranks, little padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet_ext.data.batches import make_batches, padding_share, split_for_rank, within_limits
from tests.bench.padding import durations

lengths_1d = st.lists(st.integers(1, 400), max_size=80).map(lambda values: np.array(values, np.int32))
lengths_2d = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 90)), max_size=80).map(
    lambda values: np.array(values, np.int32).reshape(-1, 2)
)
options_of_batches = st.fixed_dictionaries(
    {
        "batch_bins": st.integers(1, 2000),
        "max_examples": st.none() | st.integers(1, 20),
        "seed": st.integers(0, 5),
        "epoch": st.integers(1, 5),
        "shuffle": st.booleans(),
    }
)


@settings(deadline=None)
@given(st.one_of(lengths_1d, lengths_2d), options_of_batches, st.integers(1, 400))
def test_each_kept_example_is_in_one_batch_that_fits(lengths, options, limit) -> None:
    limits = (limit,) if lengths.ndim == 1 else (limit, 80)
    batches = make_batches(lengths, limits=limits, **options)
    dealt = sorted(int(i) for batch in batches for i in batch)
    assert dealt == np.flatnonzero(within_limits(lengths, limits)).tolist()
    for batch in batches:
        assert 1 <= len(batch) <= (options["max_examples"] or len(batch))
        assert len(batch) == 1 or len(batch) * lengths[batch].max() <= options["batch_bins"]


@settings(deadline=None)
@given(lengths_2d, options_of_batches)
def test_batches_depend_on_their_arguments_alone(lengths, options) -> None:
    first, again = (make_batches(lengths, **options) for _ in range(2))
    assert [b.tolist() for b in first] == [b.tolist() for b in again]


@settings(deadline=None)
@given(lengths_1d, options_of_batches, st.integers(1, 9))
def test_ranks_share_each_batch(lengths, options, world) -> None:
    for batch in make_batches(lengths, **options):
        shares = [split_for_rank(batch, rank, world) for rank in range(world)]
        assert sorted(np.concatenate(shares)) == sorted(batch)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=9), st.none() | st.integers(1, 9))
def test_limits(rows, limit) -> None:
    lengths = np.array(rows).reshape(-1, 2)
    assert within_limits(lengths, (4, limit)).tolist() == [a <= 4 and (limit is None or b <= limit) for a, b in rows]
    assert within_limits(lengths, None).all()


@pytest.mark.parametrize(
    ("lengths", "bins", "expected"),
    [
        ([5, 3, 4], 100, [[0, 2, 1]]),
        ([5, 3, 4], 8, [[0], [2, 1]]),
        ([50, 3, 4], 8, [[0], [2, 1]]),  # too long for any batch: a batch by itself
        ([2, 2, 2, 2], 4, [[0, 1], [2, 3]]),
        ([], 10, []),
    ],
)
def test_unshuffled(lengths: list[int], bins: int, expected: list[list[int]]) -> None:
    batches = make_batches(np.array(lengths, int), batch_bins=bins, shuffle=False)
    assert [b.tolist() for b in batches] == expected


def test_large_batches_have_few_sizes() -> None:
    sizes = [len(b) for b in make_batches(durations(2000), batch_bins=20000, shuffle=False)]
    assert max(sizes) > 8 and all(size % 8 == 0 for size in sizes[:-1] if size > 8)


def test_text_pairs_count_by_their_longer_side() -> None:
    lengths = np.array([[2, 9], [2, 9], [2, 1]])
    batches = make_batches(lengths, batch_bins=18, shuffle=False)
    assert [b.tolist() for b in batches] == [[0, 1], [2]]


def test_epochs_and_seeds_differ() -> None:
    lengths = durations(2000)
    runs = [
        [b.tolist() for b in make_batches(lengths, batch_bins=20000, seed=seed, epoch=epoch)]
        for seed, epoch in [(1, 1), (1, 2), (2, 1)]
    ]
    compositions = [{frozenset(batch) for batch in run} for run in runs]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert runs[a] != runs[b]
        assert len(compositions[a] & compositions[b]) < len(compositions[a]) / 2
    sizes = [int(lengths[batch].mean()) for batch in runs[1]]
    assert sizes != sorted(sizes) and sizes != sorted(sizes, reverse=True)


def test_the_largest_batch_is_the_first_of_all() -> None:
    lengths = durations(2000)
    sizes = [len(b) * lengths[b].max() for b in make_batches(lengths, batch_bins=20000, seed=3, epoch=1)]
    assert sizes[0] == max(sizes)


@pytest.mark.parametrize("bins", [9600, 24000, 40000])
def test_padding_is_below_a_tenth(bins: int) -> None:
    lengths = durations(20_000)
    assert padding_share(make_batches(lengths, batch_bins=bins), lengths) < 0.1
    in_given_order = [np.arange(i, min(i + 30, len(lengths))) for i in range(0, len(lengths), 30)]
    assert padding_share(in_given_order, lengths) > 0.4  # the measure itself


def test_padding_share() -> None:
    assert padding_share([np.array([0, 1]), np.array([2])], np.array([2, 4, 5])) == pytest.approx(2 / 13)
