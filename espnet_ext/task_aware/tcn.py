"""Task characteristics networks: what a batch is of, as one vector t_e.

B batch, M and N positions of source and target, S tasks, D width of the model, W width of the network, E = 2 D.
"""

from typing import Any

import torch
from torch import nn

from espnet_ext.machine.fast_attention import attend
from espnet_ext.nn.attention import Attention, padding_mask
from espnet_ext.nn.decoder import FeedForward


class ExplicitTCN(nn.Module):
    """t_e = FFN(one-hot task) (eq. 1): one row of numbers a task."""

    def __init__(self, start_SE: torch.Tensor) -> None:
        super().__init__()
        self.ffn = nn.Linear(*start_SE.shape, bias=False)
        with torch.no_grad():
            self.ffn.weight.copy_(start_SE.T)

    def forward(self, tasks_B: torch.Tensor) -> torch.Tensor:
        one_hot_BS = nn.functional.one_hot(tasks_B, self.ffn.in_features)
        return self.ffn(one_hot_BS.to(self.ffn.weight.dtype))


class ImplicitTCN(nn.Module):
    """t_e from a source and its target (eqs. 2 to 5), whatever task they are said to be of."""

    def __init__(
        self,
        start_E: torch.Tensor,
        width: int | None = None,
        attention_heads: int = 4,
        linear_units: int | None = None,
        num_blocks: int = 1,
        dropout_rate: float = 0.1,
        scale: float | None = None,
    ) -> None:
        """`width`: that of the model, or narrower, with a projection; `linear_units`: twice the width; `scale`: of what
        the last layer reads, one through its size.
        """
        super().__init__()
        read = len(start_E) // 2
        width = width or read
        sizes = width, attention_heads, linear_units or 2 * width, dropout_rate
        self.project = nn.Linear(read, width) if width != read else nn.Identity()
        self.represent = nn.Sequential(*(CausalBlock(*sizes) for _ in range(num_blocks)))
        self.summarise = nn.Sequential(*(CausalBlock(*sizes) for _ in range(num_blocks)))
        self.ffn = nn.Linear(2 * width, len(start_E))
        self.scale = 1 / (2 * width) if scale is None else scale
        with torch.no_grad():
            self.ffn.weight.zero_()
            self.ffn.bias.copy_(start_E)

    def forward(
        self, x_BMD: torch.Tensor, x_lengths_B: torch.Tensor, y_BND: torch.Tensor, y_lengths_B: torch.Tensor
    ) -> torch.Tensor:
        """(B, E) of each example, its own target included: give it the rows of other examples."""
        # The encoder's blocks norm what they read, so nothing keeps what comes before them small (docs/task_aware.md).
        x_BMD, y_BND = (nn.functional.layer_norm(v_BLD, v_BLD.shape[-1:]) for v_BLD in (x_BMD, y_BND))
        x_BMW, y_BNW = self.represent(self.project(x_BMD)), self.represent(self.project(y_BND))  # eq. 2
        x_at_BMW = look(x_BMW, y_BNW, y_lengths_B)  # eq. 3
        y_as_BNW = look(y_BNW, x_BMW, x_lengths_B)
        x_BW = last(self.summarise(x_at_BMW), x_lengths_B)  # eq. 4
        y_BW = last(self.summarise(y_as_BNW), y_lengths_B)
        # eq. 5. Adam moves each weight as far, t_e by the sum over its inputs: divided by their number, t_e moves as
        # slowly as that of the explicit network.
        return self.ffn(self.scale * torch.cat([x_BW, y_BW], dim=-1))


class CausalBlock(nn.Module):
    """A block of a Transformer encoder that looks back only, so no padding at the end is read."""

    def __init__(self, width: int, heads: int, hidden: int, dropout_rate: float) -> None:
        super().__init__()
        self.self_attn = Attention(heads, width)
        self.feed_forward = FeedForward(width, hidden, dropout_rate)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x_BLW: torch.Tensor) -> torch.Tensor:
        x_BLW = self.norm1(x_BLW + self.dropout(self.self_attn(x_BLW, x_BLW, causal=True)))
        return self.norm2(x_BLW + self.dropout(self.feed_forward(x_BLW)))


def look(x_BMW: torch.Tensor, y_BNW: torch.Tensor, y_lengths_B: torch.Tensor) -> torch.Tensor:
    """Dot-product attention of one sequence to another, without parameters: softmax(x y' / sqrt(W)) y."""
    y_B1NW = y_BNW[:, None]
    return attend(x_BMW[:, None], y_B1NW, y_B1NW, padding_mask(y_lengths_B, y_BNW.size(1)))[:, 0]


def last(x_BLW: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
    """The state of the last position that is no padding."""
    return x_BLW[torch.arange(len(x_BLW), device=x_BLW.device), lengths_B - 1]


def derangement(size: int, device: Any = None) -> torch.Tensor:
    """A random order in which nothing stands at its own place (of two or more): one cycle through all."""
    order = torch.randperm(size, device=device)
    return torch.empty_like(order).index_copy_(0, order, order.roll(1))
