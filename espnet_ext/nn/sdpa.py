"""ESPnet's self-attention computed by torch's scaled_dot_product_attention; parameters and results stay.

B batch, H heads, T queries, S keys, D width, K width of a head.
"""

import math
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from espnet.nets.pytorch_backend.transformer.attention import (
    LegacyRelPositionMultiHeadedAttention,
    MultiHeadedAttention,
    RelPositionMultiHeadedAttention,
)
from torch import nn

RELATIVE = (RelPositionMultiHeadedAttention, LegacyRelPositionMultiHeadedAttention)


def use_sdpa(layers: nn.Module) -> None:
    """Make every ESPnet attention inside `layers` go through scaled_dot_product_attention."""
    for module in layers.modules():
        if isinstance(module, RELATIVE):
            module.forward = MethodType(relative_attention, module)
        elif isinstance(module, MultiHeadedAttention):
            module.use_sdpa = True


def relative_attention(
    self: Any,
    query_BTD: torch.Tensor,
    key_BSD: torch.Tensor,
    value_BSD: torch.Tensor,
    position: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Transformer-XL's attention: the position term enters SDPA as a bias on the scores."""
    q_BHTK, k_BHSK, v_BHSK = self.forward_qkv(query_BTD, key_BSD, value_BSD)
    p_BHPK = self.linear_pos(position).view(position.size(0), -1, self.h, self.d_k).transpose(1, 2)
    bias_BHTS = self.rel_shift((q_BHTK + self.pos_bias_v[:, None]) @ p_BHPK.transpose(-2, -1)) / math.sqrt(self.d_k)
    if mask is not None:
        bias_BHTS = bias_BHTS.masked_fill(~mask[:, None].bool(), -torch.inf)
    out_BHTK = F.scaled_dot_product_attention(
        q_BHTK + self.pos_bias_u[:, None].to(q_BHTK.dtype),
        k_BHSK,
        v_BHSK,
        bias_BHTS.to(q_BHTK.dtype),
        dropout_p=self.dropout_rate if self.training else 0.0,
    )
    return self.linear_out(out_BHTK.transpose(1, 2).flatten(2))
