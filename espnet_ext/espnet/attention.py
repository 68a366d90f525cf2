"""ESPnet's self-attention computed by torch's scaled_dot_product_attention; parameters and results stay.

B batch, H heads, T queries, S keys, D width, K width of a head.
"""

import math
from types import MethodType
from typing import Any

import torch
from torch import nn

from espnet_ext.espnet.nets import nets
from espnet_ext.machine.fast_attention import attend

theirs = nets("pytorch_backend.transformer.attention")
RELATIVE = (theirs.RelPositionMultiHeadedAttention, theirs.LegacyRelPositionMultiHeadedAttention)


def use_sdpa(layers: nn.Module) -> None:
    """Make every ESPnet attention inside `layers` go through scaled_dot_product_attention."""
    for module in layers.modules():
        if isinstance(module, RELATIVE):
            module.forward = MethodType(relative_attention, module)
        elif isinstance(module, theirs.MultiHeadedAttention):
            module.forward = MethodType(attention, module)


def attention(
    self: Any,
    query_BTD: torch.Tensor,
    key_BSD: torch.Tensor,
    value_BSD: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """Attention without positions; the mask is (B, 1, S) or (B, T, S)."""
    q_BHTK, k_BHSK, v_BHSK = self.forward_qkv(query_BTD, key_BSD, value_BSD)
    mask = None if mask is None else mask[:, None].bool()
    out_BHTK = attend(q_BHTK, k_BHSK, v_BHSK, mask, self.dropout_rate if self.training else 0.0)
    return self.linear_out(out_BHTK.transpose(1, 2).flatten(2))


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
    terms_BHTP = (q_BHTK + self.pos_bias_v[:, None]) @ p_BHPK.transpose(-2, -1)
    if mask is None:
        bias_BHTS = self.rel_shift(terms_BHTP) / math.sqrt(self.d_k)
    else:
        is_legacy = isinstance(self, theirs.LegacyRelPositionMultiHeadedAttention)
        shifted = (
            legacy_shift(terms_BHTP, mask[:, 0].sum(1), self.zero_triu) if is_legacy else self.rel_shift(terms_BHTP)
        )
        bias_BHTS = (shifted / math.sqrt(self.d_k)).masked_fill(~mask[:, None], -torch.inf)
    out_BHTK = attend(
        q_BHTK + self.pos_bias_u[:, None].to(q_BHTK.dtype),
        k_BHSK,
        v_BHSK,
        bias_BHTS.to(q_BHTK.dtype),
        self.dropout_rate if self.training else 0.0,
    )
    return self.linear_out(out_BHTK.transpose(1, 2).flatten(2))


def legacy_shift(terms_BHTT: torch.Tensor, lengths_B: torch.Tensor, zero_triu: bool) -> torch.Tensor:
    """The shift of ESPnet's old relative attention, by each utterance's own length instead of the batch's.

    Row i has at column j <= i the term of position length - 1 - i + j, then a zero, then the beginning of row i + 1
    (that is the error for which ESPnet calls it legacy; trained models have learned to live with it).
    """
    size = terms_BHTT.size(-1)
    i, j = torch.meshgrid(*2 * [torch.arange(size, device=terms_BHTT.device)], indexing="ij")
    own_BTT = (lengths_B[:, None, None] - 1 - i + j).clamp(0, size - 1) + size * i
    next_row = (j - i - 2).clamp(min=0) + size * (i + 1).clamp(max=size - 1)
    index_BTT = torch.where(j <= i, own_BTT, next_row)
    shifted = terms_BHTT.flatten(2).gather(2, index_BTT.flatten(1)[:, None].expand(-1, terms_BHTT.size(1), -1))
    return shifted.view_as(terms_BHTT).masked_fill((j > i) if zero_triu else (j == i + 1), 0.0)
