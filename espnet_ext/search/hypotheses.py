"""What a beam search holds: the hypotheses that live, and the best of those that have ended."""

# B utterances still searched, K hypotheses of each, L tokens

import logging
import math
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from espnet_ext.search.options import Hypothesis

END_STEPS, END_MARGIN = 3, 10.0  # ESPnet's end detection
T = TypeVar("T")  # a hypothesis, or a pair of them


class Living:
    """The hypotheses that go on, and their scores; -inf where there is none."""

    def __init__(self, lengths_B: Tensor) -> None:
        rows, device = len(lengths_B), lengths_B.device
        self.utterances_B = torch.arange(rows, device=device)
        # Without a frame there is nothing to say: all is impossible.
        self.scores_BK = torch.zeros(rows, 1, device=device).masked_fill(lengths_B[:, None] <= 0, -math.inf)
        self.tokens_BKL = torch.empty(rows, 1, 0, dtype=torch.long, device=device)

    @property
    def length(self) -> int:
        """Tokens of each."""
        return self.tokens_BKL.size(2)

    def follow(self, parents_BK: Tensor, tokens_BK: Tensor | None) -> None:
        """Hypothesis k is now what parents[k] was, with one more token where there are any."""
        self.tokens_BKL = self.tokens_BKL.gather(1, parents_BK[:, :, None].expand(-1, -1, self.length))
        if tokens_BK is not None:
            self.tokens_BKL = torch.cat([self.tokens_BKL, tokens_BK[:, :, None]], dim=2)

    def keep(self, rows: Tensor) -> None:
        self.utterances_B, self.scores_BK = self.utterances_B[rows], self.scores_BK[rows]
        self.tokens_BKL = self.tokens_BKL[rows]


class NBest(Generic[T]):
    """The best of what has ended, of each utterance; and when it was that something ended."""

    def __init__(self, living: Living, size: int) -> None:
        self.size = size
        self.found: list[list[tuple[float, T]]] = [[] for _ in living.utterances_B]  # by rank, best first
        self.nth_rank_B = torch.full_like(living.scores_BK[:, 0], -math.inf)  # of the worst of the n best so far
        self.best_ended: list[Tensor] = []  # (B,) best score of what ended at each step

    def step(self, scores_BK: Tensor, ended_BK: Tensor) -> None:
        """Note what ends at this step."""
        self.best_ended.append(scores_BK.masked_fill(~ended_BK, -math.inf).amax(1))

    def add(self, row: int, utterance: int, rank: float, item: T) -> None:
        """Only the n best of an utterance stay; `row` is its row among those still searched."""
        best = self.found[utterance]
        best.append((rank, item))
        best.sort(key=lambda pair: -pair[0])
        del best[self.size :]
        if len(best) == self.size:
            self.nth_rank_B[row] = best[-1][0]

    def keep(self, rows: Tensor) -> None:
        self.nth_rank_B = self.nth_rank_B[rows]
        self.best_ended = [best_B[rows] for best_B in self.best_ended]

    def end_detected(self) -> Tensor:
        """ESPnet's rule: what ended at three lengths in a row (the best score of each step) is worse than the best of
        all by a margin."""
        if len(self.best_ended) < END_STEPS + 2:
            return torch.zeros_like(self.best_ended[0], dtype=torch.bool)
        steps_BL = torch.stack(self.best_ended, dim=1)
        recent_BL = steps_BL[:, -2 - END_STEPS : -2]
        worse_BL = (recent_BL > -math.inf) & (recent_BL - steps_BL.amax(1, keepdim=True) < -END_MARGIN)
        return worse_BL.all(1)


@dataclass
class Choice:
    """What a step of a search chose, the hypotheses that it ended included."""

    tokens_BK: Tensor
    parents_BK: Tensor
    scores_BK: Tensor
    ended_BK: Tensor
    done_B: Tensor  # utterances that can find nothing better


def listed(found: list[list[tuple[float, Hypothesis]]]) -> list[list[Hypothesis]]:
    """The hypotheses of each utterance without their ranks; an empty one where all scores were impossible."""
    empty = sum(not ranked for ranked in found)
    if empty:
        logging.warning("search: %d utterances have no possible hypothesis (scores -inf or NaN); left empty", empty)
    return [[hypothesis for _, hypothesis in ranked] or [Hypothesis()] for ranked in found]
