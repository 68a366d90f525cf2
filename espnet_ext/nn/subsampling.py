"""Input layers that ESPnet lacks: `conv1d` of the mutual-learning paper and `conv1d8`, a faster form of it,
`conv2d_k3s2` of the task-aware paper.

B batch, T frames, F frequencies, C channels, D width.
"""

import itertools

import torch
from torch import nn

from espnet_ext.nn.padding import length_mask, zero_padding


class Conv1dSubsampling(nn.Module):
    """Gated convolutions over time of kernel 5 and stride 2: two of them leave a quarter of the frames."""

    def __init__(
        self, input_size: int, output_size: int, position: nn.Module, channels: int = 512, layers: int = 2
    ) -> None:
        super().__init__()
        read = [input_size] + [channels // 2] * (layers - 1)
        written = [channels] * (layers - 1) + [2 * output_size]
        self.conv = nn.ModuleList(nn.Conv1d(c, d, 5, 2, 2) for c, d in zip(read, written))
        self.position = position

    def forward(self, x_BTF: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for conv in self.conv:
            x_BTF = zero_padding(x_BTF, length_mask(lengths_B, x_BTF.size(1)))
            x_BTF = nn.functional.glu(conv(x_BTF.transpose(1, 2)), dim=1).transpose(1, 2)
            lengths_B = (lengths_B - 1) // 2 + 1
        return self.position(x_BTF), lengths_B


class Conv2dSubsampling(nn.Module):
    """Convolutions of kernel 3 and stride 2 over time and frequency, then a projection to the model's width."""

    def __init__(
        self, input_size: int, output_size: int, position: nn.Module, channels: int = 64, layers: int = 3
    ) -> None:
        super().__init__()
        sizes = [1] + [channels] * layers
        self.conv = nn.ModuleList(nn.Conv2d(c, d, 3, 2, 1) for c, d in itertools.pairwise(sizes))
        for _ in range(layers):
            input_size = (input_size - 1) // 2 + 1
        self.out = nn.Linear(channels * input_size, output_size)
        self.position = position

    def forward(self, x_BTF: torch.Tensor, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x_BCTF = x_BTF.unsqueeze(1)
        for conv in self.conv:
            mask_BT = length_mask(lengths_B, x_BCTF.size(2))
            if mask_BT is not None:
                x_BCTF = x_BCTF.masked_fill(~mask_BT[:, None, :, None], 0.0)
            x_BCTF = torch.relu(conv(x_BCTF))
            lengths_B = (lengths_B - 1) // 2 + 1
        x_BTD = self.out(x_BCTF.transpose(1, 2).flatten(2))
        return self.position(x_BTD), lengths_B


class Conv1dSubsampling8(Conv1dSubsampling):
    """Three gated convolutions as wide as the model: an eighth of the frames, for models that must be fast."""

    def __init__(self, input_size: int, output_size: int, position: nn.Module) -> None:
        super().__init__(input_size, output_size, position, channels=2 * output_size, layers=3)


INPUT_LAYERS = {"conv1d": Conv1dSubsampling, "conv1d8": Conv1dSubsampling8, "conv2d_k3s2": Conv2dSubsampling}
