"""The examples of one task, from one set or several, and batches that say of which task they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data.dataset import Item, SpeechTextData
from espnet_ext.data.loader import Batch, EpochBatches, IterFactory, load_by_number
from espnet_ext.data.mixture import Mixture
from espnet_ext.data.subwords import Subwords
from espnet_ext.data.tasks import Task


class SeveralSets:
    """The examples of several sets, one set after the other."""

    def __init__(self, sets: Sequence[SpeechTextData]) -> None:
        self.sets = list(sets)
        self.dump_dir = " + ".join(str(data.dump_dir) for data in sets)
        self._ends = np.cumsum([len(data) for data in sets])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def lengths(self) -> np.ndarray:
        return np.concatenate([data.lengths for data in self.sets])

    def item(self, i: int, seed: Sequence[int] = ()) -> Item:
        which = int(np.searchsorted(self._ends, i, side="right"))
        first = int(self._ends[which - 1]) if which else 0
        return self.sets[which].item(i - first, [*seed, which])


def open_task(
    task: Task, sets: Sequence[str], dump: Path, subwords: Subwords, sample: float | None, waveforms: bool = False
) -> SeveralSets | SpeechTextData:
    """What a task trains on, or is validated on."""
    found = [
        SpeechTextData(
            dump / name, task.src, task.tgt, subwords, subwords, names=task.names, sample=sample, waveforms=waveforms
        )
        for name in sets
    ]
    return found[0] if len(found) == 1 else SeveralSets(found)


class MixedBatches:
    """The batches of one epoch by number, each of one task; what worker processes get."""

    def __init__(self, parts: Sequence[EpochBatches], places_N2: np.ndarray, tasks: Sequence[int]) -> None:
        """`places_N2` says of which part a batch is, and its number there; a part is of the task tasks[part]."""
        self._parts, self._places_N2, self._tasks = parts, places_N2, tasks

    @property
    def tasks_N(self) -> np.ndarray:
        return np.asarray(self._tasks)[self._places_N2[:, 0]]

    def after(self, start: int) -> MixedBatches:
        return MixedBatches(self._parts, self._places_N2[start:], self._tasks)

    def examples(self) -> list[np.ndarray]:
        """Those of each batch, of all ranks together."""
        return [self._parts[part].examples(number) for part, number in self._places_N2.tolist()]

    def __len__(self) -> int:
        return len(self._places_N2)

    def __getitem__(self, number: int) -> Batch:
        import torch

        part, place = self._places_N2[number].tolist()
        ids, tensors = self._parts[part][place]
        return ids, {**tensors, "task": torch.full((len(tensors["text"]),), self._tasks[part], dtype=torch.int64)}


class TaskFactory:
    """Makes the iterator of each epoch from the batches of all tasks; it has the interface of IterFactory."""

    def __init__(
        self,
        tasks: Mapping[str, Task],
        factories: Sequence[IterFactory],
        mixture: Mapping[str, Any] | None = None,
        *,
        seed: int = 0,
        shuffle: bool = True,
        num_workers: int = 0,
    ) -> None:
        """Not shuffled, an epoch is one pass of each task, task by task, whatever the mixture."""
        self.tasks, self.factories = tuple(tasks), list(factories)
        self.seed, self.shuffle, self._workers = seed, shuffle, num_workers
        self.dropped = sum(factory.dropped for factory in factories)
        passes = [factory.num_batches(1) for factory in factories]
        weights = [task.weight if shuffle else None for task in tasks.values()]
        self.mixture = Mixture.of(passes, weights, mixture if shuffle else None)
        self._epoch: tuple[int, MixedBatches] | None = None

    @property
    def about(self) -> str:
        """The batches of each task, for the log."""
        sizes = zip(self.tasks, self.mixture.quota_I, self.mixture.pass_I, strict=True)
        return ", ".join(f"{name} {float(quota):.0f} (of {size} in all)" for name, quota, size in sizes)

    def epoch(self, epoch: int) -> MixedBatches:
        """The batches of an epoch by number."""
        epoch = epoch if self.shuffle else 1
        if self._epoch is None or self._epoch[0] != epoch:
            parts, tasks = [], []
            for stretch in self.mixture.stretches(epoch):
                factory = self.factories[stretch.task]
                batches = factory.batches(stretch.number)
                chosen = batches[stretch.slice_of(len(batches))]
                parts.append(factory.by_number(chosen, (self.seed, stretch.task, stretch.number)))
                tasks.append(stretch.task)
            self._epoch = (epoch, MixedBatches(parts, self._order([len(part) for part in parts], epoch), tasks))
        return self._epoch[1]

    def _order(self, sizes: Sequence[int], epoch: int) -> np.ndarray:
        """(N, 2): the part of each batch of an epoch, and its number there."""
        places_N2 = np.array([(part, number) for part, size in enumerate(sizes) for number in range(size)], np.int32)
        if self.shuffle:
            places_N2 = np.random.default_rng([self.seed, epoch]).permutation(places_N2)
        if self.shuffle and epoch == 1:
            # The first batch of a first pass is its largest: memory is to run out early if at all.
            places_N2 = places_N2[np.argsort(places_N2[:, 1] > 0, kind="stable")]
        return places_N2

    def batches(self, epoch: int) -> list[np.ndarray]:
        """The examples of each batch, as indices of its task's data."""
        return self.epoch(epoch).examples()

    def task_of(self, epoch: int) -> np.ndarray:
        """The number of each batch's task."""
        return self.epoch(epoch).tasks_N

    def num_batches(self, epoch: int = 1) -> int:
        return len(self.epoch(epoch))

    def build_iter(self, epoch: int, start_batch: int = 0) -> Iterator[Batch]:
        """The batches from number `start_batch` on; those before it are not loaded."""
        return load_by_number(self.epoch(epoch).after(start_batch), self._workers)
