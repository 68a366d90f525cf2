"""The search for pairs on a toy, beside a plain implementation of `rank` and all pairs that there are for `sum`."""

import itertools
import math
from typing import Any

import pytest
import torch

from espnet_ext.interactive.two_streams import search_pairs
from espnet_ext.search.beam import Beam, search
from espnet_ext.search.options import Hypothesis, SearchOptions
from tests.test_interactive import LAGS

TOY_END = 4
Prefix = tuple[int, ...]


def toy_logp(seed: int, stream: int, own: Prefix, partner: Prefix | None) -> torch.Tensor:
    """Log-probabilities that are a fixed random function of all that a hypothesis sees."""
    generator = torch.Generator().manual_seed(hash((seed, stream, own, partner or (-1,))) % 2**31)
    return (2 * torch.randn(TOY_END + 1, generator=generator)).log_softmax(-1)


class ToyPairs:
    """The scorer of such a function."""

    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds
        self.prefixes: list[list[list[Prefix]]] = [[[()] for _ in seeds] for _ in range(2)]
        self.aside: list[list[list[Prefix]]] = [[[] for _ in seeds] for _ in range(2)]

    def step(self, tokens: Any, partners: Any, over: Any) -> Any:
        for stream, tokens_BK in enumerate(tokens):
            if tokens_BK is not None:
                self.extend(stream, tokens_BK.tolist(), None if over[stream] is None else over[stream].tolist())
        logps: list[torch.Tensor | None] = [None, None]
        for stream, tokens_BK in enumerate(tokens):
            if tokens_BK is not None:
                seen = None if partners[stream] is None else partners[stream].tolist()
                rows = [self.logps(stream, row, seen) for row in range(len(self.seeds))]
                logps[stream] = torch.stack(rows)
        return logps

    def extend(self, stream: int, tokens: list[list[int]], over: list[list[bool]] | None) -> None:
        for row, last in enumerate(tokens):
            old = self.prefixes[stream][row]
            old = old * len(last) if len(old) == 1 else old
            is_over = over[row] if over else [False] * len(last)
            self.prefixes[stream][row] = [p if o else (*p, t) for p, t, o in zip(old, last, is_over, strict=True)]

    def logps(self, stream: int, row: int, partners: Any) -> torch.Tensor:
        others = self.prefixes[1 - stream][row] + self.aside[1 - stream][row]
        own = self.prefixes[stream][row]
        seen = [others[i] for i in partners[row]] if partners else [None] * len(own)
        return torch.stack([toy_logp(self.seeds[row], stream, p, s) for p, s in zip(own, seen, strict=True)])

    def reorder(self, stream: int, parents: torch.Tensor) -> None:
        own = self.prefixes[stream]
        self.prefixes[stream] = [[old[p] for p in row] for old, row in zip(own, parents.tolist(), strict=True)]

    def set_aside(self, stream: int, chosen: torch.Tensor) -> None:
        lists = zip(self.prefixes[stream], self.aside[stream], chosen.tolist(), strict=True)
        self.aside[stream] = [[(hypotheses + aside)[i] for i in row] for hypotheses, aside, row in lists]

    def keep(self, rows: torch.Tensor) -> None:
        self.seeds = [self.seeds[i] for i in rows.tolist()]
        for lists in (self.prefixes, self.aside):
            lists[:] = [[stream[i] for i in rows.tolist()] for stream in lists]


def run_toy(
    seeds: list[int], lengths: list[int], options: SearchOptions, wait_k: float
) -> list[list[list[Hypothesis]]]:
    beams = [Beam(torch.tensor(lengths), TOY_END, options) for _ in range(2)]
    return search_pairs(ToyPairs(seeds), beams, [TOY_END, TOY_END], wait_k)


def ranked_reference(seed: int, longest: int, options: SearchOptions, wait_k: float) -> list[Hypothesis]:
    """`rank`, with lists: of each stream the living [(tokens, score)], and the ended, by rank."""
    living: list[list[tuple[Prefix, float]]] = [[((), 0.0)], [((), 0.0)]]
    ended: list[list[tuple[float, Prefix, float]]] = [[], []]
    begun, time = [True, False], 0

    def rank(score: float, tokens: int) -> float:
        return score / tokens**options.length_norm

    while any(living):
        begun[1] = begun[1] or time >= wait_k or not living[0]
        time += 1
        active = [stream for stream in range(2) if begun[stream] and living[stream]]
        lists: list[list[Prefix]] = []
        for stream in range(2):  # what the other stream sees: inputs so far, the start token first
            now = [(rank(s, max(len(t), 1)), (TOY_END, *t)) for t, s in living[stream]]
            now += [
                (r, (TOY_END, *t[: longest - 1]))
                for r, t, _ in (ended[stream] if living[stream] else ended[stream][:1])
            ]
            lists.append([prefix for _, prefix in sorted(now, key=lambda pair: -pair[0])][: options.beam])
        for stream in active:
            others = lists[1 - stream] if begun[1 - stream] else None
            found = []
            ranks = [rank(s, max(len(t), 1)) for t, s in living[stream]]
            for own, (tokens, score) in zip(ranks, living[stream], strict=True):
                number = sum(r > own for r in ranks + [r for r, _, _ in ended[stream]])
                seen = others[number if number < len(others) else 0] if others else None
                logp = toy_logp(seed, stream, (TOY_END, *tokens), seen)
                found += [((*tokens, t), score + float(logp[t])) for t in range(TOY_END + 1)]
            best = sorted(found, key=lambda pair: -pair[1])[: options.beam]
            living[stream] = []
            for tokens, score in best:
                if tokens[-1] == TOY_END:
                    ended[stream].append((rank(score, len(tokens)), tokens[:-1], score))
                elif len(tokens) == longest:
                    ended[stream].append((rank(score, longest + 1), tokens, score))
                else:
                    living[stream].append((tokens, score))
            ended[stream].sort(key=lambda triple: -triple[0])
            bounds = [rank(s, longest + 1) for _, s in living[stream]]  # of what may still come
            if not bounds or (ended[stream] and max(bounds) <= ended[stream][0][0]):
                living[stream] = []
    return [Hypothesis(list(ended[stream][0][1]), ended[stream][0][2]) for stream in range(2)]


@pytest.mark.parametrize("norm", [0.0, 1.0])
@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("wait_k", LAGS)
def test_ranked_pairs_are_those_of_a_plain_implementation(wait_k: float, beam: int, norm: float) -> None:
    """Also in a batch, which utterances leave at different times."""
    seeds, options = list(range(24)), SearchOptions(beam=beam, max_ratio=1.0, length_norm=norm)
    lengths = [3 + seed % 6 for seed in seeds]
    found = run_toy(seeds, lengths, options, wait_k)
    for seed, length in zip(seeds, lengths, strict=True):
        wanted = ranked_reference(seed, length, options, wait_k)
        for stream in range(2):
            assert found[stream][seed][0].tokens == wanted[stream].tokens, (seed, stream)
            assert found[stream][seed][0].score == pytest.approx(wanted[stream].score, abs=1e-4)


def best_pairs(seed: int, longest: int, options: SearchOptions, wait_k: float) -> list[tuple[float, Any]]:
    """All pairs of token sequences by the sum of their ranks, the best first."""
    found = []
    whole = [()] + [p for n in range(1, longest + 1) for p in itertools.product(range(TOY_END), repeat=n)]
    for pair in itertools.product(whole, repeat=2):
        written = [tokens if len(tokens) == longest else (*tokens, TOY_END) for tokens in pair]
        lag = int(min(wait_k, len(written[0])))
        ranks = []
        for stream, own in enumerate(written):
            other, score = written[1 - stream], 0.0
            for row in range(len(own)):
                rows = min(row + 1 + (lag if stream else -lag), len(other))  # of the other stream that exist
                seen = (TOY_END, *other[: rows - 1]) if rows > 0 else None
                score += float(toy_logp(seed, stream, (TOY_END, *own[:row]), seen)[own[row]])
            ranks.append(score / (len(pair[stream]) + 1) ** options.length_norm)
        found.append((sum(ranks), pair))
    return sorted(found, key=lambda entry: -entry[0])


@pytest.mark.parametrize("norm", [0.0, 1.0])
@pytest.mark.parametrize("wait_k", [0, 1, math.inf])
def test_a_wide_beam_of_sums_finds_the_best_of_all_pairs(wait_k: float, norm: float) -> None:
    longest, seeds = 2, list(range(6))
    options = SearchOptions(beam=500, nbest=3, max_ratio=1.0, length_norm=norm, pairing="sum")
    found = run_toy(seeds, [longest] * len(seeds), options, wait_k)
    for seed in seeds:
        wanted = best_pairs(seed, longest, options, wait_k)[:3]
        pairs = list(zip(found[0][seed], found[1][seed], strict=True))
        assert [(tuple(a.tokens), tuple(b.tokens)) for a, b in pairs] == [pair for _, pair in wanted]
        sums = [sum(h.score / (len(h.tokens) + 1) ** norm for h in pair) for pair in pairs]
        assert sums == pytest.approx([total for total, _ in wanted], abs=1e-4)


def test_one_stream_of_a_toy_is_searched_as_alone() -> None:
    """The transcript, as long as no translation exists."""
    from tests.test_search import ToyScorer

    class Alone(ToyScorer):
        def logp(self, seed: int, prefix: Prefix) -> torch.Tensor:
            return toy_logp(seed, 0, prefix, None)

    seeds, options = list(range(10)), SearchOptions(beam=3, nbest=2, max_ratio=1.0)
    alone = search(Alone(seeds, TOY_END + 1), torch.full((10,), 6), [TOY_END], TOY_END, options)
    assert run_toy(seeds, [6] * 10, options, math.inf)[0] == alone
