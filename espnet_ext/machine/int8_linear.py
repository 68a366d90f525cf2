"""Linear layers in int8 on a CPU, by torch's kernels without its deprecated layers; for inference only."""

import copy
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

LARGEST = 127


class Int8Linear(nn.Module):
    """Weights with a scale for each output, inputs quantised by their range in the batch."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.fused: list[Int8Linear] = []  # of this and others, once it is wanted
        weight = weight.detach().float()
        scales = (weight.abs().amax(1) / LARGEST).clamp(min=torch.finfo(torch.float32).eps)
        zeros = torch.zeros(len(weight), dtype=torch.long)
        with warnings.catch_warnings():
            # torch will drop tensors of this type; without VNNI what it has instead takes twice as long so far.
            warnings.simplefilter("ignore")
            quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
            self.packed = torch.ops.quantized.linear_prepack(quantised, None if bias is None else bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.quantized.linear_dynamic(x, self.packed, reduce_range=True)  # 8 bits overflow without VNNI

    @staticmethod
    def joined(parts: "Sequence[Int8Linear]") -> "Int8Linear":
        """Several layers on the same input as one."""
        weights, biases = zip(*(torch.ops.quantized.linear_unpack(part.packed) for part in parts))
        return Int8Linear(torch.cat([weight.dequantize() for weight in weights]), torch.cat(biases))


def quantised(model: nn.Module) -> nn.Module:
    """A copy of the model with every linear layer in int8."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear:
                setattr(module, name, Int8Linear(child.weight, child.bias))
    return model
