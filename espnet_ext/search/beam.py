"""Beam search over many utterances and hypotheses at once; docs/search.md defines what it finds.

A model plugs in with a scorer: an object in the middle of decoding a batch of utterances.
"""

# B utterances still searched, K hypotheses of each (1 before the first choice), C candidates, V vocabulary, L tokens

import math
from typing import Protocol

import torch
from torch import Tensor

from espnet_ext.search.ctc import CTCPrefix
from espnet_ext.search.hypotheses import Choice, Living, NBest, listed
from espnet_ext.search.options import Hypothesis, SearchOptions, WatchedOptions

PRE_BEAM = 1.5  # candidates per hypothesis that CTC scores, in beams (ESPnet's value)
KEEP_BELOW = 0.875  # finished utterances leave when no more than this share of the rows is alive


class Scorer(Protocol):
    """What the search asks of a model; the constructor is its `start`."""

    def step(self, tokens_BK: Tensor) -> Tensor:
        """(B, K, V): log-probabilities of the next token, given the last token of each hypothesis."""

    def reorder(self, parents_BK: Tensor) -> None:
        """Hypothesis k now continues what was hypothesis parents[k] of its utterance."""

    def keep(self, rows: Tensor) -> None:
        """Utterance i is now what was utterance rows[i]; the others are finished."""


class Beam:
    """The search of one stream: how its living hypotheses go on, which of them end, and when an utterance is done."""

    def __init__(self, lengths_B: Tensor, end: int, options: SearchOptions, ctc: CTCPrefix | None = None) -> None:
        self.end, self.options, self.ctc = end, options, ctc
        device, lengths = lengths_B.device, lengths_B.tolist()
        self.living = Living(lengths_B)
        self.best: NBest[Hypothesis] = NBest(self.living, options.nbest)
        self.longest_B = torch.tensor([options.longest(n) for n in lengths], device=device)
        self.shortest_B = torch.tensor([options.shortest(n) for n in lengths], device=device)
        self.any_shortest = bool((self.shortest_B > 0).any())

    def advance(self, logp_BKV: Tensor) -> Choice:
        """Go on with the best continuations."""
        living, length = self.living, self.living.length + 1
        scores_BK, tokens_BK, parents_BK = self.choose(logp_BKV)
        living.follow(parents_BK, tokens_BK)
        last_B = self.longest_B == length
        ended_BK = (scores_BK > -math.inf) & ((tokens_BK == self.end) | last_B[:, None])
        self.best.step(scores_BK, ended_BK)
        if bool(ended_BK.any()):
            self.collect(ended_BK, scores_BK)
        living.scores_BK = scores_BK.masked_fill(ended_BK, -math.inf)
        best_B = living.scores_BK.amax(1)
        done_B = (best_B == -math.inf) | (self.bound(best_B, length) <= self.best.nth_rank_B)
        if self.options.max_ratio == 0:
            done_B |= self.best.end_detected()
        # What is done may stay in the batch for a while; it must find nothing more.
        living.scores_BK = living.scores_BK.masked_fill(done_B[:, None], -math.inf)
        return Choice(tokens_BK, parents_BK, scores_BK, ended_BK, done_B)

    def choose(self, logp_BKV: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best K of all continuations of all hypotheses: scores, tokens, parents."""
        total_BKC, tokens_BKC = self.expand(logp_BKV)
        scores_BK, index_BK = top(total_BKC.flatten(1), self.options.beam)
        if self.ctc is not None:
            self.ctc.select(index_BK)
        return scores_BK, tokens_BKC.flatten(1).gather(1, index_BK), index_BK // tokens_BKC.size(2)

    def expand(self, logp_BKV: Tensor) -> tuple[Tensor, Tensor]:
        """The candidates that each hypothesis has: the scores that they would bring it to, and their tokens."""
        if self.options.ctc_weight == 1:
            logp_BKV = torch.zeros_like(logp_BKV)  # what the decoder says counts for nothing, be it impossible
        if self.any_shortest:
            early_B = self.shortest_B > self.living.length
            logp_BKV[:, :, self.end] = logp_BKV[:, :, self.end].masked_fill(early_B[:, None], -math.inf)
        if self.ctc is not None and self.options.ctc_weight == 1:
            return self.expand_by_ctc(logp_BKV, self.ctc)
        if self.ctc is not None:
            return self.expand_with_ctc(logp_BKV, self.ctc)
        # The best K of all are among the best K of each hypothesis.
        best_BKC, tokens_BKC = top(logp_BKV, self.options.beam)
        return best_BKC + (self.living.scores_BK + self.options.penalty)[:, :, None], tokens_BKC

    def expand_with_ctc(self, logp_BKV: Tensor, ctc: CTCPrefix) -> tuple[Tensor, Tensor]:
        """As `expand`; candidates are those that are best without CTC, and the end."""
        options = self.options
        weighted_BKV = (1.0 - options.ctc_weight) * logp_BKV + options.penalty
        part_BKC, tokens_BKC = top(weighted_BKV, int(PRE_BEAM * options.beam))
        part_BKC = part_BKC.masked_fill(tokens_BKC == self.end, -math.inf)  # it has its own column, the last
        tokens_BKC = torch.cat([tokens_BKC, torch.full_like(tokens_BKC[:, :, :1], self.end)], dim=2)
        part_BKC = torch.cat([part_BKC, possible(weighted_BKV[:, :, self.end :][:, :, :1])], dim=2)
        ctc_BKC = ctc.step(tokens_BKC, self.end)
        return part_BKC + options.ctc_weight * ctc_BKC + self.living.scores_BK[:, :, None], tokens_BKC

    def expand_by_ctc(self, allowed_BKV: Tensor, ctc: CTCPrefix) -> tuple[Tensor, Tensor]:
        """As `expand`, of all tokens: no decoder chooses among them. `allowed_BKV` is 0 or -inf."""
        tokens_BKV = torch.arange(allowed_BKV.size(2), device=allowed_BKV.device).expand_as(allowed_BKV)
        so_far_BK = self.living.scores_BK + self.options.penalty
        return allowed_BKV + ctc.step(tokens_BKV, self.end) + so_far_BK[:, :, None], tokens_BKV

    def rank(self, score: float, length: int) -> float:
        return self.options.rank(score, length)

    def ranks(self, choice: Choice) -> Tensor:
        """(B, K): by what the hypotheses of the last choice rank, those that it ended included."""
        cut_BK = choice.ended_BK & (choice.tokens_BK != self.end)
        return choice.scores_BK / (cut_BK + self.living.length) ** self.options.length_norm

    def bound(self, best_B: Tensor, length: int) -> Tensor:
        """A rank that no continuation of a hypothesis of this score exceeds, as log-probabilities are <= 0."""
        penalty, norm = self.options.penalty, self.options.length_norm
        # The end counts as a token; a hypothesis cut at the limit counts one that it has not.
        most_B = best_B + max(penalty, 0.0) * (self.longest_B - length).clamp(min=0)
        if norm == 0:
            return most_B
        longest_B = (self.longest_B + 1).to(most_B.dtype)
        return torch.where(most_B > 0, most_B / (length + 1) ** norm, most_B / longest_B**norm)

    def collect(self, ended_BK: Tensor, scores_BK: Tensor) -> None:
        """Store hypotheses that have ended."""
        for row, k in ended_BK.nonzero().tolist():
            tokens = self.living.tokens_BKL[row, k].tolist()
            cut = tokens[-1] != self.end
            hypothesis = Hypothesis(tokens if cut else tokens[:-1], float(scores_BK[row, k]), cut=cut)
            rank = self.rank(hypothesis.score, len(hypothesis.tokens) + 1)
            self.best.add(row, int(self.living.utterances_B[row]), rank, hypothesis)

    def partial(self) -> list[list[int]]:
        """The best hypothesis of each utterance so far, whether it has ended or lives."""
        tokens = [found[0][1].tokens if found else [] for found in self.best.found]
        best, which = self.living.scores_BK.max(1)
        for row, utterance in enumerate(self.living.utterances_B.tolist()):
            score, found = float(best[row]), self.best.found[utterance]
            if score > -math.inf and (not found or self.rank(score, self.living.length) > found[0][0]):
                tokens[utterance] = self.living.tokens_BKL[row, which[row]].tolist()
        return tokens

    def keep(self, rows: Tensor) -> None:
        self.living.keep(rows)
        self.best.keep(rows)
        self.longest_B, self.shortest_B = self.longest_B[rows], self.shortest_B[rows]
        if self.ctc is not None:
            self.ctc.keep(rows)

    def results(self) -> list[list[Hypothesis]]:
        """The n best of each utterance."""
        return listed(self.best.found)


def top(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest values and their places along the last axis; NaN counts as impossible."""
    count = min(count, values.size(-1))
    best, places = values.topk(count, dim=-1)
    if bool(best.isnan().any()):  # topk puts NaN first, so none hides
        best, places = possible(values).topk(count, dim=-1)
    return best, places


def possible(scores: Tensor) -> Tensor:
    """NaN and infinity become -inf, which says impossible, and is not to become the lowest finite number."""
    return scores.nan_to_num(-math.inf, posinf=-math.inf, neginf=-math.inf)


def remaining_rows(done_B: Tensor) -> Tensor:
    """Rows that go on, moved as little as possible: the last ones fill the gaps of those that are done."""
    alive = (~done_B).nonzero()[:, 0]
    stay, movers = alive[alive < len(alive)], alive[alive >= len(alive)]
    rows = torch.arange(len(alive), device=done_B.device)
    gap = torch.ones_like(rows, dtype=torch.bool)
    gap[stay] = False
    rows[gap] = movers
    return rows


def search(
    scorer: Scorer,
    lengths_B: Tensor,
    start_tokens: list[int],
    end: int,
    options: SearchOptions,
    ctc: CTCPrefix | None = None,
) -> list[list[Hypothesis]]:
    """The n best hypotheses of each utterance, best first; `lengths_B` are the memory's, which the ratios refer to."""
    beam = Beam(lengths_B, end, options, ctc)
    rows = len(lengths_B)
    if not rows:
        return []
    for token in start_tokens[:-1]:
        scorer.step(lengths_B.new_full((rows, 1), token, dtype=torch.long))
    tokens_BK = lengths_B.new_full((rows, 1), start_tokens[-1], dtype=torch.long)
    finished_B = torch.zeros(rows, dtype=torch.bool, device=lengths_B.device)
    while True:
        choice = beam.advance(scorer.step(tokens_BK))
        if isinstance(options, WatchedOptions):
            options.on_step(beam.partial())
        tokens_BK = choice.tokens_BK
        finished_B |= choice.done_B
        alive = len(finished_B) - int(finished_B.sum())
        if not alive:
            return beam.results()
        scorer.reorder(choice.parents_BK)
        if alive <= KEEP_BELOW * len(finished_B):
            kept = remaining_rows(finished_B)
            scorer.keep(kept)
            beam.keep(kept)
            tokens_BK, finished_B = tokens_BK[kept], finished_B[kept]
