"""What every search of two streams in step does: the transcript first, the translation `wait_k` steps after it.

Each stream has its `Beam`; what couples them is the scorer, whose hypotheses see those of the other stream.
"""

# B utterances, K hypotheses, P places of a list of hypotheses, V vocabulary

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from espnet_ext.search.beam import Beam
from espnet_ext.search.options import Hypothesis

Partial = list[list[list[int]]]  # of each stream, the tokens of each utterance
Each = Sequence[Tensor | None]  # one for each stream; None where it has nothing to do in this step


class PairScorer(Protocol):
    """Two streams in the middle of decoding; each has its hypotheses and a list of those that were set aside."""

    def step(self, tokens: Each, partners: Each, over: Each) -> list[Tensor | None]:
        """(B, K, V) of each stream that is given its hypotheses' last tokens: log-probabilities of the next.

        Hypothesis k sees that of the other stream which `partners` names: a number among [hypotheses, set aside].
        Where `over` is true the hypothesis has ended, and its token is none.
        """

    def reorder(self, stream: int, parents_BK: Tensor) -> None:
        """Hypothesis k of the stream now continues what was its hypothesis parents[k]."""

    def set_aside(self, stream: int, chosen_BP: Tensor) -> None:
        """The list set aside is now made up of these numbers among [hypotheses, set aside]."""

    def keep(self, rows: Tensor) -> None:
        """Utterance i is now what was utterance rows[i]; the others are finished."""


class Pairs:
    """Both streams of all utterances: the transcript first, the translation `wait_k` steps after it."""

    def __init__(self, scorer: PairScorer, beams: Sequence[Beam], starts: Sequence[int], wait_k: float) -> None:
        self.scorer, self.beams, self.starts, self.wait_k = scorer, beams, starts, wait_k
        self.steps = 0
        utterances_B = beams[0].living.utterances_B
        self.size = len(utterances_B)
        self.finished = [torch.zeros_like(utterances_B, dtype=torch.bool) for _ in beams]
        self.tokens: list[Tensor | None] = [None, None]
        self.begin(0)

    def begin(self, stream: int) -> None:
        shape = self.beams[stream].living.scores_BK.shape
        self.tokens[stream] = self.finished[0].new_full(shape, self.starts[stream], dtype=torch.long)

    def step(self) -> None:
        if self.tokens[1] is None and (self.steps >= self.wait_k or bool(self.finished[0].all())):
            self.begin(1)
        self.steps += 1
        given = [None if done_B.all() else tokens for tokens, done_B in zip(self.tokens, self.finished, strict=True)]
        self.advance(given)

    def advance(self, given: Each) -> None:
        """One more token of each hypothesis of the streams that are given their last tokens."""
        raise TypeError(f"{type(self).__name__} must define advance(given)")

    def done(self) -> Tensor:
        return self.finished[0] & self.finished[1]

    def keep(self, rows: Tensor) -> None:
        self.finished = [done_B[rows] for done_B in self.finished]
        self.tokens = [None if tokens is None else tokens[rows] for tokens in self.tokens]
        for beam in self.beams:
            beam.keep(rows)
        self.scorer.keep(rows)

    def partial(self) -> Partial:
        """The best of each utterance so far."""
        raise TypeError(f"{type(self).__name__} must define partial()")

    def results(self) -> list[list[list[Hypothesis]]]:
        return [beam.results() for beam in self.beams]
