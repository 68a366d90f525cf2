"""Two streams whose hypotheses see each other by rank: the best of one sees the best of the other, and so on."""

# B utterances, K hypotheses, P places of a list of hypotheses

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_ext.interactive.pairs import Each, Pairs, PairScorer, Partial
from espnet_ext.search.beam import Beam
from espnet_ext.search.hypotheses import Choice


@dataclass
class Ranking:
    """A stream's hypotheses, alive or ended, the best first.

    The scorer knows them by number: 0 to K - 1 are the K hypotheses of the last choice, K + p is place p of its list of
    those that have ended, which it keeps beside them.
    """

    numbers_BP: Tensor  # in the order of ranks
    places_BK: Tensor  # of the K hypotheses in that order
    ended_ranks_BP: Tensor | None = None  # of those that have ended, the best first; none before the first one

    def keep(self, rows: Tensor) -> "Ranking":
        ended = None if self.ended_ranks_BP is None else self.ended_ranks_BP[rows]
        return Ranking(self.numbers_BP[rows], self.places_BK[rows], ended)


class RankedPairs(Pairs):
    """Each hypothesis sees that in its own place in the other stream, alive or ended; paired anew at every step."""

    def __init__(self, scorer: PairScorer, beams: Sequence[Beam], starts: Sequence[int], wait_k: float) -> None:
        super().__init__(scorer, beams, starts, wait_k)
        first_B1 = torch.zeros_like(beams[0].living.utterances_B)[:, None]
        self.rankings = [Ranking(first_B1, first_B1) for _ in beams]

    def advance(self, given: Each) -> None:
        partners = [self.partners(stream, tokens) for stream, tokens in enumerate(given)]
        for stream, logp_BKV in enumerate(self.scorer.step(given, partners, (None, None))):
            if logp_BKV is not None:
                choice = self.beams[stream].advance(logp_BKV)
                self.tokens[stream] = choice.tokens_BK
                self.scorer.reorder(stream, choice.parents_BK)
                self.finished[stream] |= choice.done_B
                self.rankings[stream] = self.rank(stream, choice)

    def partners(self, stream: int, tokens_BK: Tensor | None) -> Tensor | None:
        """For each hypothesis the one in its own place in the other stream, or its best where it has fewer."""
        numbers_BP, places_BK = self.rankings[1 - stream].numbers_BP, self.rankings[stream].places_BK
        if tokens_BK is None or self.tokens[1 - stream] is None:
            return None
        return numbers_BP.gather(1, places_BK.where(places_BK < numbers_BP.size(1), 0))

    def rank(self, stream: int, choice: Choice) -> Ranking:
        """Order what the stream has; when an utterance has finished it, its best stands for all."""
        beam, ended_before = self.beams[stream], self.rankings[stream].ended_ranks_BP
        count = choice.scores_BK.size(1)
        if ended_before is None and not bool(choice.ended_BK.any()):
            as_chosen = torch.arange(count, device=choice.scores_BK.device).expand_as(choice.scores_BK)
            return Ranking(as_chosen, as_chosen)
        ranks_BK = beam.ranks(choice)
        ended = [ranks_BK.masked_fill(~choice.ended_BK, -math.inf)]
        ended += [] if ended_before is None else [ended_before]
        ended_BP, chosen_BP = torch.cat(ended, dim=1).topk(count)
        self.scorer.set_aside(stream, chosen_BP)
        living_BK = ranks_BK.masked_fill(beam.living.scores_BK == -math.inf, -math.inf)
        best_BP, numbers_BP = torch.cat([living_BK, ended_BP], dim=1).topk(count)
        numbers_BP = numbers_BP.where(best_BP > -math.inf, numbers_BP[:, :1])
        best_ended = count  # its number
        numbers_BP = numbers_BP.masked_fill(self.finished[stream][:, None], best_ended)
        places_BK = (best_BP[:, None] > living_BK[:, :, None]).sum(2)
        return Ranking(numbers_BP, places_BK, ended_BP)

    def keep(self, rows: Tensor) -> None:
        super().keep(rows)
        self.rankings = [ranking.keep(rows) for ranking in self.rankings]

    def partial(self) -> Partial:
        both: Partial = []
        for stream, beam in enumerate(self.beams):
            tokens: list[list[int]] = [found[0][1].tokens if found else [] for found in beam.best.found]
            living, best_B = beam.living, self.rankings[stream].numbers_BP[:, 0]
            rows = zip(living.utterances_B.tolist(), best_B.tolist(), self.finished[stream].tolist())
            for row, (utterance, best, finished) in enumerate(rows):
                lives = best < living.tokens_BKL.size(1)
                if lives and not finished:
                    tokens[utterance] = living.tokens_BKL[row, best].tolist()
            both.append(tokens)
        return both
