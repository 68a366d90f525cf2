"""One update of the parameters from a group of batches.

The gradient is that of the mean loss over all utterances (ESPnet's `weight`) of the group and of all processes: it does
not matter how a batch is divided among accumulation steps or ranks.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from espnet_ext.training.errors import is_out_of_memory, out_of_memory
from espnet_ext.training.options import TrainOptions

Group = Sequence[tuple[list[str], dict[str, Any]]]
DTYPES = {"none": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class Outcome:
    """What a step did: the statistics of its batches, and whether the parameters moved."""

    stats: list[tuple[dict[str, Any], torch.Tensor]]
    updated: bool
    is_bad: bool  # loss or gradient was not finite, and not just because fp16 scaling was too bold


def autocast(device: torch.device, amp: str) -> AbstractContextManager:
    return torch.autocast(device.type, DTYPES[amp]) if amp != "none" else nullcontext()


class Stepper:
    """Forward, backward, clipping and the optimizer's step."""

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        options: TrainOptions,
        device: torch.device,
    ) -> None:
        self.model: Any = model
        self.optimizer, self.scaler, self.options, self.device = optimizer, scaler, options, device
        self.distributed = isinstance(model, DistributedDataParallel)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        use_fused(optimizer)

    def step(self, group: Group, place: str) -> Outcome:
        """Update the parameters from `group`; `place` says in messages where we are."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.device)  # of loss * weight, of weight
        stats = []
        utt_ids, batch = group[0]
        try:
            for i, (utt_ids, batch) in enumerate(group):
                waits = self.distributed and i < len(group) - 1  # gradients meet at the last batch of the group
                with self.model.no_sync() if waits else nullcontext():
                    loss, batch_stats, weight = self._backward(batch, counts=bool(utt_ids))
                sums += torch.stack([loss, weight]).double()
                stats.append((batch_stats, weight))
            return self._update(sums, stats)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise out_of_memory(place, utt_ids, batch, self.options.batch_bins) from error

    def _backward(self, batch: dict[str, Any], counts: bool) -> tuple[torch.Tensor, dict[str, Any], torch.Tensor]:
        with autocast(self.device, self.options.amp):
            loss, stats, weight = self.model(**batch)
        # A rank that a batch was too small for steps along on a borrowed example (see IterFactory).
        weight = weight.detach().sum().to(loss.dtype) * counts
        total = (loss * weight).sum()
        self.scaler.scale(total).backward()
        return total.detach(), stats, weight

    def _update(self, sums: torch.Tensor, stats: list[tuple[dict[str, Any], torch.Tensor]]) -> Outcome:
        world = 1
        if self.distributed:
            world = torch.distributed.get_world_size()
            torch.distributed.all_reduce(sums)
        loss_sum, weight_sum = sums
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        scale = world / weight_sum  # DDP has averaged sums over ranks
        norm = torch.nn.utils.get_total_norm(gradients, self.options.grad_clip_type) * scale
        loss_is_finite, norm_is_finite = torch.stack([loss_sum, norm]).isfinite().tolist()
        scaled_too_far = loss_is_finite and not norm_is_finite and self.scaler.get_scale() > 1
        updated = loss_is_finite and norm_is_finite
        if updated:
            factor = scale * (self.options.grad_clip / (norm + 1e-6)).clamp(max=1.0)
            torch._foreach_mul_(gradients, factor.float())
            self.scaler.step(self.optimizer)
            for batch_stats, _ in stats:
                batch_stats["grad_norm"] = norm
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return Outcome(stats, updated, not updated and not scaled_too_far)


def use_fused(optimizer: torch.optim.Optimizer) -> None:
    """Let Adam and SGD update all parameters in one kernel where the YAML does not say otherwise."""
    for group in optimizer.param_groups:
        if group.get("fused", False) is None and group.get("foreach") is None:
            group["fused"] = all(p.is_floating_point() for p in group["params"])
