"""Beam search of two streams in step, hypotheses paired with hypotheses; docs/interactive.md defines what it finds.

Each stream has its `Beam`; what couples them is the scorer, whose hypotheses see those of the other stream.
"""

# B utterances, K hypotheses, P places of a list of hypotheses, V vocabulary

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from espnet_ext.search.beam import KEEP_BELOW, Beam, remaining_rows
from espnet_ext.search.options import Hypothesis

Partial = list[list[list[int]]]  # of each stream, the tokens of each utterance
OnStep = Callable[[Partial], None]
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
        utterances_B = beams[0].utterances_B
        self.size = len(utterances_B)
        self.finished = [torch.zeros_like(utterances_B, dtype=torch.bool) for _ in beams]
        self.tokens: list[Tensor | None] = [None, None]
        self.begin(0)

    def begin(self, stream: int) -> None:
        shape = self.beams[stream].scores_BK.shape
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


class RankedPairs(Pairs):
    """Each hypothesis sees that in its own place in the other stream, alive or ended; paired anew at every step."""

    def __init__(self, scorer: PairScorer, beams: Sequence[Beam], starts: Sequence[int], wait_k: float) -> None:
        super().__init__(scorer, beams, starts, wait_k)
        # Of each stream: its hypotheses and those set aside, the best first, by number; the places of its hypotheses in
        # that order; and what those set aside rank at.
        self.order = [torch.zeros_like(beam.utterances_B)[:, None] for beam in beams]
        self.places = list(self.order)
        self.aside: list[Tensor | None] = [None, None]

    def advance(self, given: Each) -> None:
        partners = [self.partners(stream, tokens) for stream, tokens in enumerate(given)]
        for stream, logp_BKV in enumerate(self.scorer.step(given, partners, (None, None))):
            if logp_BKV is not None:
                self.tokens[stream], parents_BK, done_B = self.beams[stream].advance(logp_BKV)
                self.scorer.reorder(stream, parents_BK)
                self.finished[stream] |= done_B
                self.rank(stream)

    def partners(self, stream: int, tokens_BK: Tensor | None) -> Tensor | None:
        """For each hypothesis the one in its own place in the other stream, or its best where it has fewer."""
        order_BP, places_BK = self.order[1 - stream], self.places[stream]
        if tokens_BK is None or self.tokens[1 - stream] is None:
            return None
        return order_BP.gather(1, places_BK.where(places_BK < order_BP.size(1), 0))

    def rank(self, stream: int) -> None:
        """Order what the stream has; when an utterance has finished it, its best stands for all."""
        beam = self.beams[stream]
        count = beam.scores_BK.size(1)
        if self.aside[stream] is None and not bool(beam.ended_BK.any()):
            in_order = torch.arange(count, device=beam.scores_BK.device).expand_as(beam.scores_BK)
            self.order[stream] = self.places[stream] = in_order
            return
        ranks_BK = beam.ranks()
        ended = [ranks_BK.masked_fill(~beam.ended_BK, -math.inf)]
        ended += [] if self.aside[stream] is None else [self.aside[stream]]
        self.aside[stream], chosen_BP = torch.cat(ended, dim=1).topk(count)
        self.scorer.set_aside(stream, chosen_BP)
        living_BK = ranks_BK.masked_fill(beam.scores_BK == -math.inf, -math.inf)
        best_BK, order_BK = torch.cat([living_BK, self.aside[stream]], dim=1).topk(count)
        order_BK = order_BK.where(best_BK > -math.inf, order_BK[:, :1])
        self.order[stream] = order_BK.masked_fill(self.finished[stream][:, None], count)
        self.places[stream] = (best_BK[:, None] > living_BK[:, :, None]).sum(2)

    def keep(self, rows: Tensor) -> None:
        super().keep(rows)
        self.order = [order_BP[rows] for order_BP in self.order]
        self.places = [places_BK[rows] for places_BK in self.places]
        self.aside = [None if ranks_BP is None else ranks_BP[rows] for ranks_BP in self.aside]

    def partial(self) -> Partial:
        both: Partial = []
        for stream, beam in enumerate(self.beams):
            tokens: list[list[int]] = [found[0][1].tokens if found else [] for found in beam.ended]
            rows = zip(beam.utterances_B.tolist(), self.order[stream][:, 0].tolist(), self.finished[stream].tolist())
            for row, (utterance, best, finished) in enumerate(rows):
                if not finished and best < beam.tokens_BKL.size(1):
                    tokens[utterance] = beam.tokens_BKL[row, best].tolist()
            both.append(tokens)
        return both


def search_pairs(
    scorer: PairScorer,
    beams: Sequence[Beam],
    starts: Sequence[int],
    wait_k: float,
    on_step: OnStep | None = None,
) -> list[list[list[Hypothesis]]]:
    """The n best hypotheses of each utterance, for the transcript and for the translation."""
    from espnet_ext.interactive.joint_beam import SummedPairs  # which builds on this module

    kinds = {beam.options.pairing for beam in beams}
    if len(kinds) > 1:
        raise ValueError("decode option pairing: rank for one stream and sum for the other; give both the same")
    pairs = (SummedPairs if kinds == {"sum"} else RankedPairs)(scorer, beams, starts, wait_k)
    while pairs.size:
        pairs.step()
        if on_step is not None:
            on_step(pairs.partial())
        done_B = pairs.done()
        alive = len(done_B) - int(done_B.sum())
        if not alive:
            break
        if alive <= KEEP_BELOW * len(done_B):
            pairs.keep(remaining_rows(done_B))
    return pairs.results()
