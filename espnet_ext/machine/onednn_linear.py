"""Linear layers laid out for decoding on a CPU, where products have few rows and reading weights takes the time."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from espnet_ext.machine import bf16


class PackedLinear(nn.Module):
    """A linear layer whose weights oneDNN has in its own order too: twice as fast for five rows, for inference only."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.fused: list[PackedLinear] = []  # of this and others, once it is wanted
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach())

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")

    @staticmethod
    def joined(parts: "Sequence[PackedLinear]") -> "PackedLinear":
        """Several layers on the same input as one."""
        return PackedLinear(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


def pack_linear_layers(model: nn.Module) -> None:
    """Replace every linear layer with a bias, in place, if this torch has oneDNN's kernels for its numbers."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise") or not torch.backends.mkldnn.is_available():
        return
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and child.bias is not None and can_pack(child.weight):
                setattr(module, name, PackedLinear(child.weight, child.bias))


def can_pack(weight: Tensor) -> bool:
    return weight.dtype != torch.bfloat16 or bf16.is_native()
