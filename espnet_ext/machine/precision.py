"""A model made ready for decoding: its device and its number format."""

from typing import Any

import torch
from torch import nn

from espnet_ext.machine.int8_linear import quantised
from espnet_ext.machine.onednn_linear import pack_linear_layers

DTYPES = ("fp32", "bf16", "int8")
IN_FP32 = ("frontend", "normalize")  # sums over raw features need the digits


def prepare(model: nn.Module, dtype: str = "fp32", device: str = "cpu") -> nn.Module:
    """The model in evaluation mode; for inference only; fp32 and bf16 change it in place, int8 gives a copy."""
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; choose from {', '.join(DTYPES)}")
    model = model.eval().to(device).to(memory_format=torch.channels_last)  # spares convolutions two copies
    for part in model.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = True
    if dtype == "bf16":
        for part in parts_of(model):
            for module in (part.to(torch.bfloat16), *part.children()):  # some systems call an input layer alone
                module.register_forward_pre_hook(to_bf16)
    if dtype != "int8" and device == "cpu":
        pack_linear_layers(model)
    if dtype == "int8":
        if device != "cpu":
            raise ValueError(f"int8 runs on the CPU only, not on {device}; choose bf16")
        model = quantised(model)
    return model


def parts_of(model: nn.Module) -> list[nn.Module]:
    """What a system computes with in the number format that is asked for, its peers' parts among them."""
    others = getattr(model, "composed_of", ())  # whose parts are all that there is: a rule on top of them stays in fp32
    systems = [getattr(model, name) for name in others or getattr(model, "peers", ())]
    own = [] if others else [part for name, part in model.named_children() if name not in IN_FP32]
    return [part for part in own if part not in systems] + [part for system in systems for part in parts_of(system)]


def to_bf16(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.bfloat16() if isinstance(x, torch.Tensor) and x.is_floating_point() else x for x in inputs)
