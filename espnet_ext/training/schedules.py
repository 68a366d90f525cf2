"""A schedule that ESPnet lacks: linear warm-up, then linear decay to zero at the end of training."""

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
