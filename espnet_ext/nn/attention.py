"""Multi-head attention with ESPnet's parameter names."""

# B batch, L or Q queries, T keys, D width, H heads, E width of a head

from torch import Tensor, nn

from espnet_ext.machine.fast_attention import attend
from espnet_ext.nn.padding import length_mask


class Attention(nn.Module):
    """Scaled dot-product attention of `heads` heads."""

    def __init__(self, heads: int, width: int, dropout_rate: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"attention: width {width} cannot be divided among {heads} heads; choose a multiple")
        self.heads = heads
        self.dropout_rate = dropout_rate
        self.linear_q = nn.Linear(width, width)
        self.linear_k = nn.Linear(width, width)
        self.linear_v = nn.Linear(width, width)
        self.linear_out = nn.Linear(width, width)

    def split(self, x_BLD: Tensor) -> Tensor:
        """(B, L, D) as (B, H, L, E), without a copy."""
        return x_BLD.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def merge(self, x_BHLE: Tensor) -> Tensor:
        """(B, H, L, E) as (B, L, D)."""
        return x_BHLE.transpose(1, 2).flatten(-2)

    def attend(self, q_BHQE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """What each query reads; `mask` is true where it may look."""
        dropout = self.dropout_rate if self.training else 0.0
        return attend(q_BHQE, k_BHTE, v_BHTE, mask, dropout, causal)

    def forward(self, x_BLD: Tensor, memory_BTD: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        q, k, v = self.linear_q(x_BLD), self.linear_k(memory_BTD), self.linear_v(memory_BTD)
        read_BHLE = self.attend(self.split(q), self.split(k), self.split(v), mask, causal)
        return self.linear_out(self.merge(read_BHLE))


def padding_mask(lengths_B: Tensor, frames: int) -> Tensor | None:
    """(B, 1, 1, T), true on what is no padding; None where nothing is padded."""
    mask_BT = length_mask(lengths_B, frames)
    return None if mask_BT is None else mask_BT[:, None, None]
