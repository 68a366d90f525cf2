"""Label-smoothed cross entropy, equal to ESPnet's LabelSmoothingLoss without its two vocabulary-sized temporaries.

B batch, L tokens, V vocabulary.
"""

import math

import torch
import torch.nn.functional as F

IGNORE = -1  # padding of target tokens


def smoothed_cross_entropy(
    logits_BLV: torch.Tensor, targets_BL: torch.Tensor, smoothing: float, by_length: bool = False
) -> torch.Tensor:
    """ESPnet's loss: KL to (1 - smoothing) on the target and the rest spread over the V - 1 others.

    The sum over tokens, or with `by_length` the mean over those of each utterance, is divided by the batch size. ESPnet
    takes the mean over all tokens of the batch then, which depends on how batches are divided.
    """
    vocab = logits_BLV.size(-1)
    # torch spreads e over all V tokens, the target included: e = s V / (V - 1) leaves 1 - s on it.
    loss = F.cross_entropy(
        logits_BLV.reshape(-1, vocab).float(),
        targets_BL.reshape(-1),
        ignore_index=IGNORE,
        label_smoothing=smoothing * vocab / (vocab - 1),
        reduction="none" if by_length else "sum",
    )
    real_BL = targets_BL != IGNORE
    if smoothing > 0:  # the constant that makes it a divergence: minus the entropy of the smoothed target
        entropy = -(1 - smoothing) * math.log(1 - smoothing) - smoothing * math.log(smoothing / (vocab - 1))
        loss = loss - entropy * (real_BL.flatten() if by_length else real_BL.sum())
    if by_length:
        loss = (loss.view_as(targets_BL) / real_BL.sum(1, keepdim=True)).sum()
    return loss / targets_BL.size(0)


def accuracy(logits_BLV: torch.Tensor, targets_BL: torch.Tensor) -> torch.Tensor:
    """The share of target tokens that the model, shown the true prefix, ranks first."""
    real_BL = targets_BL != IGNORE
    hits = (logits_BLV.detach().max(-1).indices == targets_BL) & real_BL
    return hits.sum() / real_BL.sum()
