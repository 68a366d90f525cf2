"""CTC prefix scores for a beam: what the probability is that the labels so far begin (or are) the label sequence."""

# B utterances, K hypotheses, C candidates, T frames, V vocabulary; an axis of T + 1 starts before the first frame

import math

import torch
from torch import Tensor

from espnet_ext.search.options import Hypothesis

LOWEST = -1e5  # stands for log 0 where the recurrence would subtract infinities


class CTCPrefix:
    """Forward variables of all hypotheses of a batch, in float64 since cumulative sums are subtracted."""

    def __init__(self, logp_BTV: Tensor, lengths_B: Tensor, blank: int = 0) -> None:
        """`logp_BTV` are log-probabilities of the CTC layer, finite or not; padding frames may hold anything."""
        self.blank = blank
        self.lengths_B = lengths_B.to(logp_BTV.device)
        self.bad_B = logp_BTV.isnan().any(2).logical_and(self.frame_mask(logp_BTV.size(1))).any(1)
        self.x_BVT = logp_BTV.transpose(1, 2).nan_to_num(LOWEST).clamp(min=LOWEST).contiguous()
        blanks_BT = self.x_BVT[:, blank].double()
        self.blank_sum_BS = torch.nn.functional.pad(blanks_BT.cumsum(1), (1, 0))
        # Of the empty prefix: all frames so far are blank. (B, K, T + 1), ending in a label and in a blank.
        self.label_BKS = torch.full_like(self.blank_sum_BS, -math.inf)[:, None]
        self.blank_BKS = self.blank_sum_BS[:, None]
        self.psi_BK = torch.zeros(len(logp_BTV), 1, dtype=torch.float64, device=logp_BTV.device)
        self.last_BK = torch.full((len(logp_BTV), 1), -1, device=logp_BTV.device)

    def frame_mask(self, frames: int) -> Tensor:
        return torch.arange(frames, device=self.lengths_B.device) < self.lengths_B[:, None]

    def emissions(self, tokens_BN: Tensor) -> Tensor:
        """(B, N, T) float64: log-probability of each token at each frame."""
        index = tokens_BN[:, :, None].expand(-1, -1, self.x_BVT.size(2))
        return self.x_BVT.gather(1, index).double()

    def step(self, candidates_BKC: Tensor, end: int) -> Tensor:
        """(B, K, C): how much each candidate, or the end, changes the log prefix probability."""
        x_BKCT = self.emissions(candidates_BKC.flatten(1)).unflatten(1, candidates_BKC.shape[1:])
        both_BKS = torch.logaddexp(self.label_BKS, self.blank_BKS)
        # A repeated label needs a blank between.
        repeated = (candidates_BKC == self.last_BK[:, :, None])[..., None]
        before = torch.where(repeated, self.blank_BKS[:, :, None, :-1], both_BKS[:, :, None, :-1])
        outside = ~self.frame_mask(x_BKCT.size(3))[:, None, None]
        psi_BKC = (before + x_BKCT).masked_fill_(outside, -math.inf).logsumexp(3)
        psi_BKC = psi_BKC.masked_fill(candidates_BKC == self.blank, -math.inf)
        last_frame = self.lengths_B[:, None, None].expand(-1, both_BKS.size(1), 1)
        whole_BK1 = both_BKS.gather(2, last_frame)
        self.psi_BKC = torch.where(candidates_BKC == end, whole_BK1, psi_BKC)
        self.candidates_BKC = candidates_BKC
        gain_BKC = (self.psi_BKC - self.psi_BK[:, :, None]).masked_fill(self.bad_B[:, None, None], -math.inf)
        return gain_BKC.nan_to_num(-math.inf, neginf=-math.inf).float()  # NaN: -inf after -inf

    def select(self, chosen_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Go on with these of the (K * C) continuations just scored; returns their tokens and their parents."""
        parents_BK = chosen_BK // self.candidates_BKC.size(2)
        tokens_BK = self.candidates_BKC.flatten(1).gather(1, chosen_BK)
        self.psi_BK = self.psi_BKC.flatten(1).gather(1, chosen_BK)
        index = parents_BK[:, :, None].expand(-1, -1, self.label_BKS.size(2))
        label_BKS, blank_BKS = self.label_BKS.gather(1, index), self.blank_BKS.gather(1, index)
        repeated = (tokens_BK == self.last_BK.gather(1, parents_BK))[:, :, None]
        before_BKT = torch.where(repeated, blank_BKS, torch.logaddexp(label_BKS, blank_BKS))[:, :, :-1]
        x_BKT = self.emissions(tokens_BK)
        self.label_BKS = recurrence(before_BKT, x_BKT)
        blanks_BKT = self.blank_sum_BS.diff(dim=1)[:, None].expand_as(x_BKT)
        self.blank_BKS = recurrence(self.label_BKS[:, :, :-1], blanks_BKT)
        self.last_BK = tokens_BK
        return tokens_BK, parents_BK

    def repeat(self, hypotheses: int) -> None:
        """Before the first step: as many hypotheses, all empty."""
        for name in ("label_BKS", "blank_BKS", "psi_BK", "last_BK"):
            value = getattr(self, name)
            setattr(self, name, value.expand(-1, hypotheses, *value.shape[2:]))

    def keep(self, rows: Tensor) -> None:
        for name in ("lengths_B", "bad_B", "x_BVT", "blank_sum_BS", "label_BKS", "blank_BKS", "psi_BK", "last_BK"):
            setattr(self, name, getattr(self, name)[rows])


def recurrence(inflow_BKT: Tensor, x_BKT: Tensor) -> Tensor:
    """r[0] = -inf, r[t] = log(exp r[t-1] + exp inflow[t-1]) + x[t] without a loop over frames; (B, K, T + 1)."""
    sums_BKT = x_BKT.cumsum(2)
    # r[t] - sum of x up to t is a running logsumexp of inflow[s-1] - (sum of x up to s-1).
    flow_BKT = torch.logcumsumexp(inflow_BKT - (sums_BKT - x_BKT), dim=2)
    return torch.nn.functional.pad(sums_BKT + flow_BKT, (1, 0), value=-math.inf)


def best_path(logits_BTV: Tensor, lengths_B: Tensor, blank: int = 0) -> list[list[Hypothesis]]:
    """Of a model that has CTC alone: the most probable label at each frame, repetitions and blanks removed."""
    best_BT, labels_BT = logits_BTV.float().log_softmax(-1).max(2)
    found = []
    for best, labels, length in zip(best_BT, labels_BT, lengths_B.tolist(), strict=True):
        tokens = [token for token in labels[:length].unique_consecutive().tolist() if token != blank]
        found.append([Hypothesis(tokens, float(best[:length].sum()))])
    return found
