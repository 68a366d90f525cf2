"""Lengths and masks, and convolutions that do not read padding.

B batch, T frames, C channels.
"""

import torch
from torch import nn


def length_mask(lengths_B: torch.Tensor, size: int) -> torch.Tensor | None:
    """True at real positions, (B, size); None when nothing is padded, which saves work in attention."""
    if int(lengths_B.min()) == size:
        return None
    return torch.arange(size, device=lengths_B.device) < lengths_B[:, None]


def zero_padding(x_BTD: torch.Tensor, mask_BT: torch.Tensor | None) -> torch.Tensor:
    return x_BTD if mask_BT is None else x_BTD.masked_fill(~mask_BT[:, :, None], 0.0)


class PaddingFreeConvolutions:
    """Zeroes the padded frames before every convolution over time inside ESPnet's encoder layers.

    ESPnet's conformer and branchformer convolve over whatever stands behind a short utterance; alone, the
    same utterance has zeros there. A hook on the Conv1d keeps ESPnet's layers and parameter names as they are.
    """

    def __init__(self, layers: nn.Module) -> None:
        self.mask_BT: torch.Tensor | None = None
        for module in layers.modules():
            if isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self.zero)

    def zero(self, module: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        if self.mask_BT is None:
            return None
        return (inputs[0].masked_fill(~self.mask_BT[:, None, :], 0.0),)
