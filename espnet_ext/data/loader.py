"""The batches of each epoch as tensors, the same whatever the number of workers; an epoch can start in its middle."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from espnet_ext.data.batches import make_batches, split_for_rank, within_limits
from espnet_ext.data.dataset import SpeechTextData, collate

if TYPE_CHECKING:
    import torch

Batch = tuple[list[str], dict[str, "torch.Tensor"]]


class EpochBatches:
    """The batches of one epoch by number; what worker processes get."""

    def __init__(
        self, data: SpeechTextData | Any, batches: Sequence[np.ndarray], seed: Sequence[int], rank: int, world: int
    ) -> None:
        self._data, self._batches, self._seed = data, batches, seed
        self._rank, self._world = rank, world

    def __len__(self) -> int:
        return len(self._batches)

    def examples(self, number: int) -> np.ndarray:
        """Those of a batch, of all ranks together."""
        return self._batches[number]

    def __getitem__(self, number: int) -> Batch:
        batch = self._batches[number]
        share = split_for_rank(batch, self._rank, self._world)
        ids, tensors = collate([self._data.item(int(i), self._seed) for i in (share if len(share) else batch[:1])])
        return ids if len(share) else [], tensors


class IterFactory:
    """Makes the iterator of each epoch; has the interface of ESPnet's AbsIterFactory.

    `limits` (one for each of the data's names, None for no limit) drop examples. An epoch has `most` batches if there
    are more, others each time. `rank` of `world` processes gets its share of each batch; the batches themselves do not
    depend on `world`. A rank that a batch is too small for gets one of its examples, without utterance ids: it takes
    part in the step with weight 0. `data` is SpeechTextData or the like; `seed` may be several numbers.
    """

    def __init__(
        self,
        data: SpeechTextData | Any,
        *,
        batch_bins: int,
        max_examples: int | None = None,
        limits: Sequence[int | None] | None = None,
        most: int | None = None,
        seed: Any = 0,
        shuffle: bool = True,
        num_workers: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.data, self.seed, self.shuffle, self._most = data, seed, shuffle, most
        self._filling: dict[str, Any] = {"batch_bins": batch_bins, "max_examples": max_examples, "limits": limits}
        self._workers, self._rank, self._world = num_workers, rank, world
        self._epoch: tuple[tuple[int, bool], list[np.ndarray]] | None = None
        self.dropped = len(data) - int(within_limits(data.lengths, limits).sum())
        if self.dropped and rank == 0:
            logging.warning(f"{data.dump_dir}: {self.dropped} of {len(data)} examples left out: longer than the limits")
        if self.dropped == len(data):
            raise ValueError(f"{data.dump_dir}: none of {len(data)} examples is within the limits {limits}")

    def batches(self, epoch: int, shuffle: bool | None = None) -> list[np.ndarray]:
        """The batches of an epoch, of all ranks together, as indices of examples."""
        shuffle = self.shuffle if shuffle is None else shuffle
        key = (epoch if shuffle else 0, shuffle)
        if self._epoch is None or self._epoch[0] != key:
            made = make_batches(self.data.lengths, seed=self.seed, epoch=epoch, shuffle=shuffle, **self._filling)
            self._epoch = (key, made[: self._most])
        return self._epoch[1]

    def num_batches(self, epoch: int = 1, shuffle: bool | None = None) -> int:
        return len(self.batches(epoch, shuffle))

    def by_number(self, batches: Sequence[np.ndarray], seed: Sequence[int]) -> EpochBatches:
        """This rank's share of batches that `batches` made."""
        return EpochBatches(self.data, batches, seed, self._rank, self._world)

    def build_iter(self, epoch: int, shuffle: bool | None = None, start_batch: int = 0) -> Iterator[Batch]:
        """The batches from number `start_batch` on; those before it are not loaded."""
        batches = self.batches(epoch, shuffle)[start_batch:]
        return load_by_number(self.by_number(batches, (self.seed, epoch)), self._workers)


def load_by_number(batches: Any, workers: int) -> Iterator[Batch]:
    """All batches in order, read by worker processes where there are any."""
    import torch
    from torch.utils.data import DataLoader

    # A generator of its own: the loader must not draw from the one that dropout draws from.
    generator = torch.Generator()
    return iter(DataLoader(batches, batch_size=None, num_workers=workers, generator=generator))
