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
        norm_name: str = "grad_norm",
    ) -> None:
        """`norm_name` is what the statistics call the gradient's norm."""
        self.model: Any = model
        self.optimizer, self.scaler, self.options, self.device = optimizer, scaler, options, device
        self.distributed = isinstance(model, DistributedDataParallel)
        self.norm_name = norm_name
        self.parameters = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
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
                batch_stats[self.norm_name] = norm
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return Outcome(stats, updated, not updated and not scaled_too_far)


class Phase(torch.nn.Module):
    """A model while one of its peers learns."""

    def __init__(self, model: Any, name: str) -> None:
        super().__init__()
        self.model, self.name = model, name

    def forward(self, **batch: Any) -> Any:
        return self.model(phase=self.name, **batch)

    def frozen_names(self) -> list[str]:
        """The parameters and buffers that do not belong to the peer."""
        names = [n for n, _ in self.named_parameters(remove_duplicate=False)]
        names += [n for n, _ in self.named_buffers(remove_duplicate=False)]
        return [n for n in names if not n.startswith(f"model.{self.name}.")]


def make_steppers(
    model: Any,
    optimizers: Sequence[torch.optim.Optimizer],
    scaler: torch.amp.GradScaler,
    options: TrainOptions,
    device: torch.device,
) -> list[Stepper]:
    """The stepper of the model, or one for each phase of an iteration."""
    phases = getattr(model, "phases", ())
    if not phases:
        return [Stepper(distributed(model, options, device), optimizers[0], scaler, options, device)]
    steppers = []
    for name, optimizer in zip(phases, optimizers, strict=True):
        module = Phase(model, name)
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, module.frozen_names())
        wrapped = distributed(module, options, device)
        norm_name = "grad_norm" if name == phases[0] else f"grad_norm_{name}"
        steppers.append(Stepper(wrapped, optimizer, scaler, options, device, norm_name))
    return steppers


def distributed(model: torch.nn.Module, options: TrainOptions, device: torch.device) -> torch.nn.Module:
    """The model, among several processes with gradients that meet."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return model
    return DistributedDataParallel(
        model,
        device_ids=[device.index] if device.type == "cuda" else None,
        # what reads speech has no part in a batch of text
        find_unused_parameters=options.unused_parameters or bool(getattr(model, "tasks", ())),
        gradient_as_bucket_view=True,
    )


def iterate(steppers: Sequence[Stepper], group: Group, place: str) -> Outcome:
    """The step of each phase in turn; after one that did not update, the others are left out."""
    stats = []
    for stepper in steppers:
        outcome = stepper.step(group, place)
        stats += outcome.stats
        if not outcome.updated:
            break
    return Outcome(stats, outcome.updated, outcome.is_bad)


def use_fused(optimizer: torch.optim.Optimizer) -> None:
    """Let Adam and SGD update all parameters in one kernel where the YAML does not say otherwise."""
    for group in optimizer.param_groups:
        if group.get("fused", False) is None and group.get("foreach") is None:
            group["fused"] = all(p.is_floating_point() for p in group["params"])
