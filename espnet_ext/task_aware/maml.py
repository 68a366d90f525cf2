"""Model-agnostic meta-learning: one step on half a batch, and the loss of what it leads to on the other half.

theta' = theta - a g, g = d L_train / d theta;  the outer loss is L_test(theta'). First order: g is a constant.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

Batch = dict[str, Tensor]


class Lower(nn.Module):
    """A model's loss as a function that other parameters can be put into."""

    def __init__(self, model: nn.Module, loss: Callable[[Batch], Any]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Batch) -> Any:
        return self.loss(batch)


def halves(batch: Batch) -> tuple[Batch, Batch]:
    """Meta-train and meta-test: every other example, so that both have short and long ones; one alone is both."""
    size = len(batch["text"])
    return ({k: v[1::2] for k, v in batch.items()} if size > 1 else batch), {k: v[::2] for k, v in batch.items()}


def maml_loss(
    model: nn.Module, loss: Callable[[Batch], Any], batch: Batch, inner_lr: float, order: int, outer_only: str
) -> Any:
    """What `loss` gives for the meta-test half, after a step of all parameters but those below `outer_only`."""
    train, test = halves(batch)
    lower = Lower(model, loss)
    where = places(lower)
    moving = {
        name: parameter
        for name, parameter in lower.named_parameters()
        if parameter.requires_grad and not name.startswith(f"model.{outer_only}.")
    }
    with differentiable_twice() if order == 2 else nullcontext():
        inner_loss = lower(train)[0]
        found = torch.autograd.grad(inner_loss, list(moving.values()), create_graph=order == 2, allow_unused=True)
        gradients = {name: g for name, g in zip(moving, found, strict=True) if g is not None}
        if order == 1:
            gradients = {name: g.detach() for name, g in gradients.items()}
        moved = {name: moving[name] - inner_lr * g for name, g in over_ranks(gradients, len(train["text"])).items()}
        given = {place: moved[name] for name in moved for place in where[moving[name]]}
        return functional_call(lower, given, (test,), tie_weights=False)


def places(module: nn.Module) -> dict[Tensor, list[str]]:
    """Where each parameter is: at several places if it is tied, but at one of those where a module has several names.

    functional_call puts back what it found, name after name: of a module with two names its own first replacement.
    """
    found: dict[Tensor, list[str]] = {}
    for prefix, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False, remove_duplicate=False):
            found.setdefault(parameter, []).append(f"{prefix}.{name}" if prefix else name)
    return found


def differentiable_twice() -> AbstractContextManager:
    """Attention by operations whose gradients have gradients; those of the fused kernels have none."""
    return sdpa_kernel(SDPBackend.MATH)


def over_ranks(gradients: dict[str, Tensor], examples: int) -> dict[str, Tensor]:
    """The mean over the examples of all processes; it has a gradient itself, for the second order."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return gradients
    from torch.distributed.nn.functional import all_reduce

    flat = torch.cat([*(g.flatten() * examples for g in gradients.values())])
    total = all_reduce(torch.cat([flat, flat.new_tensor([float(examples)])]))
    parts = (total[:-1] / total[-1].detach()).split([g.numel() for g in gradients.values()])
    return {name: part.view_as(gradients[name]) for name, part in zip(gradients, parts, strict=True)}
