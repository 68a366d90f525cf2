"""How tasks make up an epoch: by one pass of each, by weights, by temperature; from the middle, on several ranks."""

from argparse import Namespace
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from espnet_ext.data import task_data
from espnet_ext.data.loader import IterFactory
from espnet_ext.data.mixture import Mixture
from espnet_ext.data.subwords import Subwords
from espnet_ext.data.task_data import SeveralSets, TaskFactory, open_task
from espnet_ext.data.tasks import read_tasks
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.espnet import task as espnet_task
from tests.support.toy_tasks import TASKS, make_task_dumps


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_task_dumps(tmp_path_factory.mktemp("tasks"))


def make_factory(dump: Path, weights: tuple[Any, ...] = (), rank: int = 0, world: int = 1, **more: Any) -> TaskFactory:
    section = {name: dict(task) for name, task in TASKS.items()}
    for name, weight in zip(section, weights):
        section[name]["weight"] = weight
    config = {"subwords": "joint", "tasks": section}
    tasks, vocabulary = read_tasks(config), vocabulary_of(config)
    assert vocabulary is not None
    subwords = Subwords(dump / "subwords" / vocabulary.name)
    shuffle = more.get("shuffle", True)
    factories = [
        IterFactory(
            open_task(task, task.sets, dump, subwords, None),
            batch_bins=500,
            seed=(3, i),
            shuffle=shuffle,
            rank=rank,
            world=world,
        )
        for i, task in enumerate(tasks.values())
    ]
    return TaskFactory(tasks, factories, more.get("mixture"), seed=3, shuffle=shuffle)


def seen(factory: TaskFactory, epoch: int) -> Counter[tuple[int, str]]:
    return Counter((int(batch["task"][0]), key) for ids, batch in factory.build_iter(epoch) for key in ids)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_every_example_is_seen_once_an_epoch(dump: Path, epoch: int) -> None:
    factory = make_factory(dump)
    found = seen(factory, epoch)
    wanted = [(i, f"{name}{n:03d}") for i, task in enumerate(TASKS) for name in sets_of(task) for n in range(60)]
    assert found == Counter(wanted)
    assert [task.name for task in read_tasks({"subwords": "joint", "tasks": TASKS}).values()] == list(factory.tasks)


def sets_of(task: str) -> list[str]:
    names = TASKS[task]["set"]
    return names if isinstance(names, list) else [names]


def test_a_batch_is_of_one_task_and_has_what_it_reads(dump: Path) -> None:
    reads = [{"speech", "text"}, {"speech", "text"}, {"src_text", "text"}]
    tasks = []
    for ids, batch in make_factory(dump).build_iter(1):
        assert batch["task"].dtype == torch.int64 and len(batch["task"]) == len(ids)
        (task,) = set(batch["task"].tolist())
        tasks.append(task)
        assert {name for name in batch if not name.endswith("_lengths") and name != "task"} == reads[task]
    assert tasks != sorted(tasks), "the tasks take turns"


def test_epochs_differ_and_a_seed_repeats_them(dump: Path) -> None:
    first, again = make_factory(dump), make_factory(dump)
    orders = [[tuple(ids) for ids, _ in first.build_iter(epoch)] for epoch in (1, 2)]
    assert orders[0] != orders[1]
    assert orders == [[tuple(ids) for ids, _ in again.build_iter(epoch)] for epoch in (1, 2)]


def test_it_goes_on_in_the_middle(dump: Path) -> None:
    whole = list(make_factory(dump, (1, 1, 3)).build_iter(4))
    rest = list(make_factory(dump, (1, 1, 3)).build_iter(4, start_batch=5))
    assert [ids for ids, _ in rest] == [ids for ids, _ in whole[5:]]
    for (_, a), (_, b) in zip(rest, whole[5:], strict=True):
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_share_the_batches_of_one(dump: Path, world: int) -> None:
    alone = [(set(ids), int(batch["task"][0])) for ids, batch in make_factory(dump, (1, 2, 1)).build_iter(2)]
    ranks = [list(make_factory(dump, (1, 2, 1), rank, world).build_iter(2)) for rank in range(world)]
    for number, (ids, task) in enumerate(alone):
        shares = [rank[number] for rank in ranks]
        assert set().union(*(share[0] for share in shares)) == ids
        assert {int(share[1]["task"][0]) for share in shares} == {task}


@pytest.mark.parametrize(
    ("weights", "mixture", "shares"),
    [
        ((1, 1, 2), None, (0.25, 0.25, 0.5)),
        ((None, None, 2), {"batches": 40}, (0.25, 0.25, 0.5)),
        ((3, 1, 4), {"batches": 7, "temperature": 5.0}, (0.375, 0.125, 0.5)),
        ((), {"temperature": 1e9}, (1 / 3, 1 / 3, 1 / 3)),
        ((1, 0, 1), {"batches": 10}, (0.5, 0.0, 0.5)),  # a task that is only decoded
    ],
)
def test_shares_are_as_they_were_said(dump: Path, weights: Any, mixture: Any, shares: tuple[float, ...]) -> None:
    factory = make_factory(dump, weights, mixture=mixture)
    epochs = 60
    tasks = np.concatenate([factory.task_of(epoch) for epoch in range(1, epochs + 1)])
    found = np.bincount(tasks, minlength=3) / len(tasks)
    assert found == pytest.approx(shares, abs=0.03)
    wanted = (mixture or {}).get("batches") or sum(factory.mixture.pass_I)
    assert len(tasks) / epochs == pytest.approx(wanted, rel=0.1)


def test_a_task_goes_on_where_it_stopped(dump: Path) -> None:
    """Over its passes every example of a task is seen as often as every other, whatever its share of an epoch."""
    factory = make_factory(dump, (1, 1, 5), mixture={"batches": 11})
    total: Counter[tuple[int, str]] = Counter()
    for epoch in range(1, 40):
        total += seen(factory, epoch)
    for task in range(3):
        counts = {count for (of, _), count in total.items() if of == task}
        assert max(counts) - min(counts) <= 1, counts


def test_stretches_join_without_a_gap() -> None:
    mixture = Mixture.of([7, 100, 3], [None] * 3, {"temperature": 2.0})
    assert sum(mixture.quota_I) == 110
    ends = [Fraction(0)] * 3
    for epoch in range(1, 30):
        for stretch in mixture.stretches(epoch):
            assert stretch.number - 1 + stretch.start == ends[stretch.task]
            ends[stretch.task] = stretch.number - 1 + stretch.end
            assert stretch.start < stretch.end <= 1
    assert ends == [29 * quota / size for quota, size in zip(mixture.quota_I, mixture.pass_I)]
    assert [Mixture.of([7, 3], [None, None], {"batches": 5}).quota_I] == [(Fraction(7, 2), Fraction(3, 2))]


@pytest.mark.parametrize("weights", [(0, None, None), (0, 7, 10)])
def test_a_task_of_weight_0_is_left_out(weights: Any) -> None:
    """The rest is as if it were not there, so an epoch has the batches of the rest."""
    mixture = Mixture.of([100, 7, 10], weights)
    assert mixture.quota_I == (0, 7, 10)
    assert {stretch.task for stretch in mixture.stretches(1)} == {1, 2}


def test_validation_is_one_pass_task_by_task(dump: Path) -> None:
    factory = make_factory(dump, (1, 1, 9), shuffle=False, mixture={"batches": 3})
    assert factory.task_of(1).tolist() == sorted(factory.task_of(1).tolist())
    assert sum(len(batch) for batch in factory.batches(7)) == 60 + 60 + 120


def test_the_largest_batch_of_each_task_comes_first(dump: Path) -> None:
    factory = make_factory(dump)
    first = sorted(factory.task_of(1)[:3].tolist())
    assert first == [0, 1, 2]


def test_several_sets_are_one(dump: Path) -> None:
    vocabulary = vocabulary_of({"subwords": "joint", "tasks": TASKS})
    task = read_tasks({"subwords": "joint", "tasks": TASKS})["mt"]
    assert vocabulary is not None
    data = open_task(task, task.sets, dump, Subwords(dump / "subwords" / vocabulary.name), None)
    assert isinstance(data, SeveralSets) and len(data) == 120 == len(data.lengths)
    assert [data.item(i)[0] for i in (0, 59, 60, 119)] == ["train000", "train059", "more000", "more059"]
    lengths = [len(data.item(i)[1]["text"]) for i in range(120)]
    assert data.lengths[:, 1].tolist() == lengths


def test_with_a_batch_for_each_task_no_epoch_is_empty() -> None:
    for passes in ([100, 1, 1], [3, 50, 7], [9, 9, 9]):
        mixture = Mixture.of(passes, [None] * 3, {"batches": 3})
        for epoch in range(1, 60):
            slices = [part.slice_of(passes[part.task]) for part in mixture.stretches(epoch)]
            assert sum(part.stop - part.start for part in slices) > 0


@pytest.mark.parametrize("mixture, batches", [({}, 7), ({"batches": None}, 7), ({"batches": 5}, 5)])
def test_batches_of_null_are_those_of_an_epoch(mixture: Any, batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espnet_task, "own_subwords", lambda *_: (None, None))
    monkeypatch.setattr(task_data, "TaskFactory", lambda tasks, factories, mixture, **options: mixture)
    args = Namespace(train_dump="train", valid_dump="dev", output_dir="exp", subword_sampling=None, encoder="conformer")
    args.mixture, args.num_iters_per_epoch, args.seed, args.num_workers = {"temperature": 2.0, **mixture}, 7, 1, 0
    found = espnet_task.STTask.build_task_factory(args, None, True, {})
    assert found == {"temperature": 2.0, "batches": batches}
