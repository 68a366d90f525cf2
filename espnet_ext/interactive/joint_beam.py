"""Pairs of a transcript and a translation as the hypotheses of one beam, ranked by the sum of both ranks."""

# B utterances, K pairs, C candidates of a side, L tokens, V vocabulary

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from espnet_ext.interactive.pairs import Each, Pairs, PairScorer, Partial
from espnet_ext.search.beam import Beam, top
from espnet_ext.search.hypotheses import NBest, listed
from espnet_ext.search.options import Hypothesis

Pair = tuple[Hypothesis, Hypothesis]


class Side:
    """One half of every pair: it goes on in the stream's `Beam`, has ended, or has not begun."""

    def __init__(self, beam: Beam) -> None:
        self.beam, self.living = beam, beam.living
        self.over_BK = torch.zeros_like(self.living.scores_BK, dtype=torch.bool)
        self.counts_BK = torch.zeros_like(self.living.scores_BK)  # tokens, the end included

    def expand(self, logp_BKV: Tensor | None) -> Tensor:
        """(B, K, C): what each candidate would bring the side to; it stays where it is if it does not go on."""
        beam = self.beam
        self.tokens_BKC: Tensor | None = None
        if logp_BKV is None:
            return self.living.scores_BK[:, :, None]
        total_BKC, tokens_BKC = beam.expand(logp_BKV)
        self.width = tokens_BKC.size(2)
        total_BKC, self.place_BKC = top(total_BKC, beam.options.beam)
        over_BK1 = self.over_BK[:, :, None]
        self.tokens_BKC = tokens_BKC.gather(2, self.place_BKC).masked_fill(over_BK1, beam.end)
        total_BKC = total_BKC.masked_fill(over_BK1, -math.inf)
        total_BKC[:, :, 0] = total_BKC[:, :, 0].where(~self.over_BK, self.living.scores_BK)
        return total_BKC

    def choose(self, parents_BK: Tensor, candidates_BK: Tensor, scores_BK: Tensor) -> Tensor | None:
        """Go on with these candidates of these pairs; returns their tokens if the side has any."""
        beam = self.beam
        self.living.scores_BK = scores_BK
        self.over_BK, self.counts_BK = self.over_BK.gather(1, parents_BK), self.counts_BK.gather(1, parents_BK)
        if self.tokens_BKC is None:
            self.living.follow(parents_BK, None)
            return None
        index_BK = parents_BK * self.tokens_BKC.size(2) + candidates_BK
        tokens_BK = self.tokens_BKC.flatten(1).gather(1, index_BK)
        if beam.ctc is not None:
            beam.ctc.select(parents_BK * self.width + self.place_BKC.flatten(1).gather(1, index_BK))
        self.living.follow(parents_BK, tokens_BK)
        self.counts_BK = self.counts_BK + ~self.over_BK
        cut_BK = ~self.over_BK & (tokens_BK != beam.end) & (beam.longest_B == self.living.length)[:, None]
        self.counts_BK += cut_BK  # as elsewhere, what is cut at the limit counts an end too
        self.over_BK = self.over_BK | cut_BK | (tokens_BK == beam.end)
        return tokens_BK

    def bound(self) -> Tensor:
        """(B, K): what the side ranks at if it has ended, and else what it cannot exceed."""
        beam = self.beam
        rank_BK = self.living.scores_BK / self.counts_BK.clamp(min=1) ** beam.options.length_norm
        open_BK = beam.bound(self.living.scores_BK.T, self.living.length).T
        return rank_BK.where(self.over_BK, open_BK)

    def tokens(self, row: int, k: int) -> list[int]:
        tokens: list[int] = self.living.tokens_BKL[row, k].tolist()
        return tokens[: tokens.index(self.beam.end)] if self.beam.end in tokens else tokens

    def hypothesis(self, row: int, k: int) -> Hypothesis:
        """Of a pair whose sides have both ended."""
        cut = self.beam.end not in self.living.tokens_BKL[row, k]
        return Hypothesis(self.tokens(row, k), float(self.living.scores_BK[row, k]), cut=cut)

    def keep(self, rows: Tensor) -> None:
        self.over_BK, self.counts_BK = self.over_BK[rows], self.counts_BK[rows]


def same_number(like_BK: Tensor) -> Tensor:
    """(B, K): hypothesis k sees hypothesis k."""
    return torch.arange(like_BK.size(1), device=like_BK.device).expand_as(like_BK)


class SummedPairs(Pairs):
    """A hypothesis is a pair; it goes on with each of the best continuations of both its sides."""

    def __init__(self, scorer: PairScorer, beams: Sequence[Beam], starts: Sequence[int], wait_k: float) -> None:
        super().__init__(scorer, beams, starts, wait_k)
        self.sides = [Side(beam) for beam in beams]
        self.pairs = max(beam.options.beam for beam in beams)
        self.best: NBest[Pair] = NBest(beams[0].living, max(beam.options.nbest for beam in beams))

    def begin(self, stream: int) -> None:
        super().begin(stream)
        beam = self.beams[stream]
        if beam.ctc is not None:
            beam.ctc.repeat(beam.living.scores_BK.size(1))

    def advance(self, given: Each) -> None:
        same = [None if tokens is None else same_number(tokens) for tokens in given]
        partners = same if self.tokens[1] is not None else [None, None]
        logps = self.scorer.step(given, partners, [side.over_BK for side in self.sides])
        a_BKC, b_BKC = (side.expand(logp_BKV) for side, logp_BKV in zip(self.sides, logps, strict=True))
        total_BKCC = a_BKC[:, :, :, None] + b_BKC[:, :, None]
        score_BK, index_BK = top(total_BKCC.flatten(1), self.pairs)
        shape = total_BKCC.shape[1:]
        parents_BK, *chosen = torch.unravel_index(index_BK, shape)
        for stream, (side, scores_BKC, picked_BK) in enumerate(zip(self.sides, (a_BKC, b_BKC), chosen, strict=True)):
            scores_BK = scores_BKC.flatten(1).gather(1, parents_BK * scores_BKC.size(2) + picked_BK)
            tokens_BK = side.choose(parents_BK, picked_BK, scores_BK)
            if self.tokens[stream] is not None:
                self.scorer.reorder(stream, parents_BK)
            if tokens_BK is not None:
                self.tokens[stream] = tokens_BK
        self.close(score_BK)

    def close(self, score_BK: Tensor) -> None:
        """Collect the pairs that have ended, and see which utterances are done."""
        a, b = self.sides
        ended_BK = a.over_BK & b.over_BK & (score_BK > -math.inf)
        bound_BK = a.bound() + b.bound()
        self.best.step(score_BK, ended_BK)
        for row, k in ended_BK.nonzero().tolist():
            self.collect(row, k, float(bound_BK[row, k]))
        dead_BK = ended_BK | (score_BK == -math.inf)
        done_B = bound_BK.masked_fill(dead_BK, -math.inf).amax(1) <= self.best.nth_rank_B
        if any(beam.options.max_ratio == 0 for beam in self.beams):
            done_B |= self.best.end_detected()
        dead_BK = dead_BK | done_B[:, None]
        a.living.scores_BK = a.living.scores_BK.masked_fill(dead_BK, -math.inf)
        for stream, side in enumerate(self.sides):
            self.finished[stream] = self.finished[stream] | (dead_BK | side.over_BK).all(1)

    def collect(self, row: int, k: int, rank: float) -> None:
        a, b = (side.hypothesis(row, k) for side in self.sides)
        self.best.add(row, int(self.beams[0].living.utterances_B[row]), rank, (a, b))

    def keep(self, rows: Tensor) -> None:
        super().keep(rows)
        self.best.keep(rows)
        for side in self.sides:
            side.keep(rows)

    def partial(self) -> Partial:
        both: Partial = []
        for stream, side in enumerate(self.sides):
            tokens = [found[0][1][stream].tokens if found else [] for found in self.best.found]
            for row, utterance in enumerate(self.beams[0].living.utterances_B.tolist()):
                if not self.finished[0][row] or not self.finished[1][row]:
                    best = int(self.sides[0].living.scores_BK[row].add(self.sides[1].living.scores_BK[row]).argmax())
                    tokens[utterance] = side.tokens(row, best)
            both.append(tokens)
        return both

    def results(self) -> list[list[list[Hypothesis]]]:
        """Entry i of both lists belongs together."""
        sizes = [beam.options.nbest for beam in self.beams]
        return [
            listed([[(rank, pair[stream]) for rank, pair in found][:size] for found in self.best.found])
            for stream, size in enumerate(sizes)
        ]
