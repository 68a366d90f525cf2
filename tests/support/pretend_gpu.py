"""A device that this machine does not have: its tensors are kept on the CPU, and must not meet those of the CPU.

What would fail on a GPU since a tensor is left on the CPU, fails on `pretend` too, as does numpy on its tensors.
`install` is for a process of its own: torch keeps one such device for good.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from pytest import MonkeyPatch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "pretend"
COPIES = ("_to_copy", "copy_", "copy")  # from device to device
STRICT = ("stack", "cat")  # not even numbers of the CPU among tensors of a GPU, which other operations take


class Kept(torch.Tensor):
    """A tensor of the device; `held` has its numbers."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "Kept":
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "layout": held.layout}
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), dtype=held.dtype, device=torch.device(NAME, 0), **layout
        )
        made.held = held
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"Kept({self.held})"

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


def compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the CPU, if a GPU could have done it; its result is on the device if that of a GPU would be."""
    name = function.overloadpacket.__name__
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    kept = [x for x in tensors if isinstance(x, Kept)]
    refuse_mixture(name, args, tensors)
    args, given = tree_map_only(Kept, lambda x: x.held, (args, kwargs))
    place = given.get("device")
    if place is not None:
        given = {**given, "device": "cpu"}
    with torch.utils._python_dispatch._disable_current_modes():
        found = function(*args, **given)
    to_device = bool(kept) if place is None else torch.device(place).type == NAME
    if name == "copy_":
        to_device = any(x.held is args[0] for x in kept)
    if not to_device:
        return found
    before = {id(x.held): x for x in kept}  # an operation in place gives its own tensor
    return tree_map_only(torch.Tensor, lambda x: before.get(id(x)) if id(x) in before else Kept(x), found)


def refuse_mixture(name: str, args: Any, tensors: list[torch.Tensor]) -> None:
    """Raise what a GPU's operation raises where tensors of both devices meet."""
    places = {type(x) is Kept for x in tensors}
    if len(places) < 2 or name in COPIES:
        return
    if "index" in name and isinstance(args[0], Kept) and len(args) > 1 and isinstance(args[1], list | tuple):
        tensors = [args[0], *(x for x in args[2:3] if isinstance(x, torch.Tensor))]  # indices may be on the CPU
    strangers = [x for x in tensors if not isinstance(x, Kept) and (x.dim() or name in STRICT or "index" in name)]
    if strangers and any(isinstance(x, Kept) for x in tensors):
        shapes = [tuple(x.shape) for x in strangers]
        raise RuntimeError(f"{name}: tensors of {NAME} meet tensors of the CPU, of shapes {shapes}")
    if "index" in name and not isinstance(args[0], Kept):
        raise RuntimeError(f"{name}: a tensor of the CPU is indexed by one of {NAME}")


class Operations(TorchDispatchMode):
    """Operations that make tensors on the device have none there to begin with."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(function, args, kwargs or {})


class Making(TorchFunctionMode):
    """What makes tensors of lists does so below the level at which `Operations` can see it."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None:
            place = kwargs.pop("device")
            return function(*args, **kwargs).to(place)
        if function is torch.Tensor.new_tensor:
            return function(args[0].cpu(), *args[1:], **kwargs).to(args[0].device)
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = args[0], with_tensors(args[1]), *args[2:]
        return function(*args, **kwargs)


def with_tensors(index: Any) -> Any:
    """An index whose lists of numbers are tensors of the CPU, which may index those of a GPU."""
    if isinstance(index, tuple):
        return tuple(with_tensors(part) for part in index)
    return torch.tensor(index, dtype=None if index else torch.long) if isinstance(index, list) else index


class Module(_DummyBackendModule):
    """What torch asks of torch.pretend."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


# What autocast does on CUDA, and does otherwise on a CPU, for the operations that models are made of.
AUTOCAST = {
    "lower": ("linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "conv1d", "conv2d", "scaled_dot_product_attention"),
    "fp32": ("layer_norm", "softmax.int", "log_softmax.int", "nll_loss", "kl_div", "logsumexp", "exp", "log", "sum")
    + ("sum.dim_IntList", "cumsum", "pow.Tensor_Scalar", "reciprocal", "rsqrt", "ctc_loss.Tensor"),
}
library, others = torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")


def operator_of(name: str) -> Any:
    """torch.ops.aten.<name>, with the name of the overload after a dot."""
    base, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, base), overload or "default")


def cast_and_call(operation: Any, kind: str, *args: Any, **kwargs: Any) -> Any:
    """With the floating tensors of the device in the lower format, or in fp32."""
    dtype = torch.float32 if kind == "fp32" else torch.get_autocast_dtype(NAME)

    def cast(x: torch.Tensor) -> torch.Tensor:
        return x.to(dtype) if x.is_floating_point() and x.dtype != torch.float64 and isinstance(x, Kept) else x

    with torch.autocast(NAME, enabled=False):
        args, kwargs = tree_map_only(torch.Tensor, cast, (args, kwargs))
        return operation(*args, **kwargs)


def install() -> None:
    """Let torch know the device, in this process for good."""
    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    torch.__future__.set_swap_module_params_on_conversion(True)  # parameters that modules share stay shared
    for key, value in AUTOCAST.items():
        for name in value:
            library.impl(name, partial(cast_and_call, operator_of(name), key), "AutocastPrivateUse1")
    others.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")


@contextmanager
def present() -> Iterator[None]:
    """Inside it tensors can be on the device."""
    with MonkeyPatch.context() as patch, Making(), Operations():
        patch.setattr(torch.inference_mode, "__enter__", enter_without_gradients)
        patch.setattr(torch.inference_mode, "__exit__", lambda self, *error: self.instead.__exit__(*error))
        yield


def enter_without_gradients(self: Any) -> None:
    """torch.no_grad in the place of torch.inference_mode, whose tensors cannot be kept in others."""
    self.instead = torch.set_grad_enabled(False) if self.mode else nullcontext()
    self.instead.__enter__()
