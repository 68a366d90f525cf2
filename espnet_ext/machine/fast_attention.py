"""Scaled dot-product attention: torch's, and for bf16 training on a CPU three matrix operations.

B batch, H heads, T queries, S keys, K width of a head.
"""

import math

import torch
import torch.nn.functional as F

from espnet_ext.machine.fast_dropout import drop

# Scores that the plain way may keep for the backward pass, per call; beyond that memory counts more than time.
MOST_SCORES = 1 << 26


def attend(
    q_BHTK: torch.Tensor,
    k_BHSK: torch.Tensor,
    v_BHSK: torch.Tensor,
    mask: torch.Tensor | None = None,
    dropout: float = 0.0,
    causal: bool = False,
) -> torch.Tensor:
    """(B, H, T, K): what each query reads; `mask` is true where it may look, or is added to the scores.

    On CPUs the bf16 backward pass of torch's kernel takes four times as long as these three operations.
    """
    scores = q_BHTK.shape[:-1].numel() * k_BHSK.size(-2)
    is_slow = q_BHTK.device.type == "cpu" and q_BHTK.dtype == torch.bfloat16 and q_BHTK.requires_grad
    if not is_slow or scores > MOST_SCORES:
        return F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, mask, dropout, causal)
    scores_BHTS = (q_BHTK * (1 / math.sqrt(q_BHTK.size(-1)))) @ k_BHSK.transpose(-1, -2)
    lowest = torch.finfo(scores_BHTS.dtype).min
    if causal:
        scores_BHTS = scores_BHTS + scores_BHTS.new_full(scores_BHTS.shape[-2:], lowest).triu(1)
    if mask is not None:  # adding costs a tenth of filling
        scores_BHTS = scores_BHTS + ((~mask).to(scores_BHTS.dtype) * lowest if mask.dtype == torch.bool else mask)
    weights_BHTS = scores_BHTS.softmax(-1)
    if mask is not None and mask.dtype == torch.bool and mask.size(-2) > 1:
        weights_BHTS = weights_BHTS * mask  # a query that may look nowhere reads zero, as with torch's
    return drop(weights_BHTS, dropout) @ v_BHSK
