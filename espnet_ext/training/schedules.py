"""A schedule that ESPnet lacks: linear warm-up, then linear decay to zero at the end of training; odd schedules."""

from collections.abc import Iterator
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler
from torch.optim.lr_scheduler import LRScheduler


class WarmupLinearLR(LRScheduler, AbsBatchStepScheduler):
    """The optimizer's rate at `warmup_steps`, zero at `total_steps` (if not given: at the end of `max_epoch`)."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        warmup_steps: int = 1000,
        total_steps: int | None = None,
        last_epoch: int = -1,
    ) -> None:
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        super().__init__(optimizer, last_epoch)

    def end_at(self, steps: int) -> None:
        """Told by the training loop how many steps it will make, if the YAML does not say."""
        if self.total_steps is None:
            self.total_steps = steps

    def get_lr(self) -> list[float | torch.Tensor]:
        step = self.last_epoch + 1
        rising = step / max(self.warmup_steps, 1)
        if self.total_steps is None:
            return [rate * min(rising, 1.0) for rate in self.base_lrs]
        falling = (self.total_steps + 1 - step) / max(self.total_steps + 1 - self.warmup_steps, 1)
        return [rate * max(min(rising, falling, 1.0), 0.0) for rate in self.base_lrs]

    def state_dict(self) -> dict[str, int]:
        """Only the position: the shape of the schedule is the configuration's."""
        return {"last_epoch": self.last_epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.last_epoch = state["last_epoch"]


def oddities(scheduler: Any, updates: int, last_rate: float | None) -> Iterator[str]:
    """What is odd about a schedule for a training of so many updates that goes on from the rate `last_rate`."""
    warmup = getattr(scheduler, "warmup_steps", 0)
    if warmup >= updates > 0:
        yield (
            f"WARNING: the learning rate rises for {warmup} updates (scheduler_conf.warmup_steps), and the whole "
            f"training has {updates}: it never reaches its peak; a tenth of the training is usual"
        )
    if last_rate is None or not isinstance(scheduler, WarmupLinearLR) or scheduler.last_epoch < warmup:
        return
    rate, peak = float(scheduler.get_lr()[0]), scheduler.base_lrs[0]
    if rate > 2 * last_rate and rate > peak / 100:
        yield (
            f"WARNING: with more epochs the learning rate goes up again, from {last_rate:.1e} to {rate:.1e} "
            f"({rate / peak:.0%} of its peak), so this differs from a training that had this max_epoch "
            "from the start; for that, train in another folder"
        )
