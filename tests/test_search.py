"""The search: exhaustive search and ESPnet's as references, and inputs that must not stop it."""

import itertools
import logging
import math

import numpy as np
import pytest
import torch
from espnet2.asr.ctc import CTC
from espnet2.asr.decoder.transformer_decoder import TransformerDecoder as EspnetDecoder

from espnet_ext.espnet.nets import nets
from espnet_ext.nn.decoder import TransformerDecoder
from espnet_ext.nn.decoder_cache import CachedDecoder
from espnet_ext.search.beam import search
from espnet_ext.search.ctc import CTCPrefix, best_path
from espnet_ext.search.options import Hypothesis, SearchOptions

END = 3  # of the toy's four tokens


class ToyScorer:
    """Log-probabilities that are a fixed random function of the whole prefix; shows what a scorer must do."""

    def __init__(self, seeds: list[int], vocabulary: int = END + 1) -> None:
        self.seeds, self.vocabulary = seeds, vocabulary
        self.prefixes: list[list[tuple[int, ...]]] = [[()] for _ in seeds]

    def logp(self, seed: int, prefix: tuple[int, ...]) -> torch.Tensor:
        generator = torch.Generator().manual_seed(hash((seed, prefix)) % 2**31)
        return (2 * torch.randn(self.vocabulary, generator=generator)).log_softmax(-1)

    def step(self, tokens_BK: torch.Tensor) -> torch.Tensor:
        self.prefixes = [
            [(*prefix, token) for prefix, token in zip(prefixes, tokens)]
            for prefixes, tokens in zip(self.prefixes, tokens_BK.tolist())
        ]
        rows = zip(self.seeds, self.prefixes)
        return torch.stack([torch.stack([self.logp(seed, p) for p in prefixes]) for seed, prefixes in rows])

    def reorder(self, parents_BK: torch.Tensor) -> None:
        self.prefixes = [[old[p] for p in parents] for old, parents in zip(self.prefixes, parents_BK.tolist())]

    def keep(self, rows: torch.Tensor) -> None:
        self.seeds = [self.seeds[i] for i in rows.tolist()]
        self.prefixes = [self.prefixes[i] for i in rows.tolist()]


def exhaustive(seed: int, longest: int, options: SearchOptions) -> Hypothesis:
    """The best of all token sequences, ended or cut at the limit."""
    scorer, best, best_rank = ToyScorer([seed]), Hypothesis(), -math.inf
    for length in range(longest + 1):
        for tokens in itertools.product(range(END), repeat=length):
            whole = tokens if length == longest else (*tokens, END)
            if length < options.shortest(longest):
                continue
            prefixes = [(END, *whole[:i]) for i in range(len(whole))]
            score = sum(float(scorer.logp(seed, p)[t]) for p, t in zip(prefixes, whole))
            score += options.penalty * len(whole)
            rank = score / (length + 1) ** options.length_norm
            if rank > best_rank:
                best, best_rank = Hypothesis(list(tokens), score), rank
    return best


@pytest.mark.parametrize(
    "changes",
    [{}, {"penalty": 0.7}, {"penalty": -0.5}, {"length_norm": 1.0}, {"length_norm": 0.6, "penalty": 1.5}]
    + [{"min_ratio": 0.5}, {"min_ratio": 1.0, "length_norm": 1.0}],
)
def test_a_wide_beam_finds_the_best_of_all(changes: dict[str, float]) -> None:
    longest, seeds = 5, list(range(12))
    options = SearchOptions(beam=3**longest * 2, max_ratio=1.0, **changes)
    found = search(ToyScorer(seeds), torch.full((len(seeds),), longest), [END], END, options)
    for seed, nbest in zip(seeds, found):
        wanted = exhaustive(seed, longest, options)
        assert nbest[0].tokens == wanted.tokens
        assert nbest[0].score == pytest.approx(wanted.score, abs=1e-4)


@pytest.mark.parametrize("changes", [{}, {"penalty": 0.3}, {"length_norm": 1.0}, {"length_norm": 0.5, "penalty": 0.3}])
def test_stopping_early_loses_nothing(changes: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The n best are those of a search that goes on to the limit."""
    lengths = torch.randint(3, 14, (20,), generator=torch.Generator().manual_seed(0))
    options = SearchOptions(beam=4, nbest=3, max_ratio=1.0, **changes)
    early = search(ToyScorer(list(range(20))), lengths, [END], END, options)
    monkeypatch.setattr("espnet_ext.search.beam.Beam.bound", lambda self, best, length: torch.full_like(best, math.inf))
    assert early == search(ToyScorer(list(range(20))), lengths, [END], END, options)


def test_greedy_search_takes_the_best_token_each_time() -> None:
    options, scorer = SearchOptions(beam=1, max_ratio=1.0), ToyScorer([])
    for seed in range(10):
        tokens: list[int] = []
        while len(tokens) < 8:
            token = int(scorer.logp(seed, (END, *tokens)).argmax())
            if token == END:
                break
            tokens.append(token)
        assert search(ToyScorer([seed]), torch.tensor([8]), [END], END, options)[0][0].tokens == tokens


def test_start_tokens_are_forced_and_not_scored() -> None:
    options = SearchOptions(beam=4, max_ratio=1.0)
    (with_task,) = search(ToyScorer([7]), torch.tensor([6]), [END, 1, 2], END, options)
    scorer = ToyScorer([7])
    scorer.prefixes = [[(END, 1)]]
    assert with_task == search(scorer, torch.tensor([6]), [2], END, options)[0]


def make_models(seed: int = 0) -> tuple[EspnetDecoder, TransformerDecoder, CTC]:
    torch.manual_seed(seed)
    theirs = EspnetDecoder(30, 32, 4, 64, 2).eval()
    ctc = CTC(30, 32).eval()
    for parameter in [*theirs.parameters(), ctc.ctc_lo.weight]:
        if parameter.dim() > 1:
            parameter.data.mul_(2.5)
    ours = TransformerDecoder(30, 32, 4, 64, 2).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours, ctc


def run(
    decoder: TransformerDecoder, ctc: CTC, memory: torch.Tensor, lengths: torch.Tensor, options: SearchOptions
) -> list[list[Hypothesis]]:
    with torch.inference_mode():
        memory = memory[:, : lengths.max()]
        prefix = CTCPrefix(ctc.log_softmax(memory), lengths) if options.ctc_weight else None
        return search(CachedDecoder(decoder, memory, lengths), lengths, [29], 29, options, prefix)


OPTIONS = {
    "plain": {"beam": 5},
    "greedy": {"beam": 1},
    "penalty": {"beam": 5, "penalty": 0.5},
    "ratios": {"beam": 5, "max_ratio": 0.8},
    "fixed-length": {"beam": 4, "max_ratio": -6.0},
    "ctc": {"beam": 5, "ctc_weight": 0.3},
    "ctc-penalty": {"beam": 3, "ctc_weight": 0.3, "penalty": 0.3, "max_ratio": 0.9},
    "ctc-only": {"beam": 5, "ctc_weight": 1.0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_finds_what_espnet_finds(name: str) -> None:
    """The n best of BatchBeamSearch and their scores, end detection included."""
    logging.disable(logging.INFO)
    options = SearchOptions(nbest=3, **OPTIONS[name])
    theirs, ours, ctc = make_models()
    lengths = torch.randint(4, 24, (16,))
    memory = torch.randn(16, 24, 32)
    reference = nets("batch_beam_search").BatchBeamSearch(
        beam_size=options.beam,
        vocab_size=30,
        weights={"decoder": 1 - options.ctc_weight, "ctc": options.ctc_weight, "length_bonus": options.penalty},
        scorers={
            "decoder": theirs,
            "ctc": nets("scorers.ctc").CTCPrefixScorer(ctc, 29),
            "length_bonus": nets("scorers.length_bonus").LengthBonus(30),
        },
        sos=29,
        eos=29,
        pre_beam_score_key=None if options.ctc_weight == 1 else "full",  # as ESPnet's commands do
    )
    found = run(ours, ctc, memory, lengths, options)
    for nbest, x, length in zip(found, memory, lengths):
        with torch.no_grad():
            wanted = reference(x=x[:length], maxlenratio=float(options.max_ratio))
        best = [([t for t in h.yseq.tolist() if t != 29], float(h.score)) for h in wanted[: len(nbest)]]
        assert [h.tokens for h in nbest] == [tokens for tokens, _ in best]
        assert [h.score for h in nbest] == pytest.approx([score for _, score in best], abs=1e-4)
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", ["plain", "penalty", "ctc"])
def test_batch_order_and_neighbours_change_nothing(name: str) -> None:
    options = SearchOptions(nbest=2, **OPTIONS[name])
    _, ours, ctc = make_models(3)
    lengths = torch.randint(1, 30, (17,))
    memory = torch.randn(17, 30, 32)
    together = run(ours, ctc, memory, lengths, options)
    order = torch.randperm(17)
    for rows in (*order.split(5), *torch.arange(17).split(1)):
        for row, nbest in zip(rows.tolist(), run(ours, ctc, memory[rows], lengths[rows], options)):
            assert [h.tokens for h in nbest] == [h.tokens for h in together[row]]
            assert [h.score for h in nbest] == pytest.approx([h.score for h in together[row]], abs=1e-4)


def brute_force(logp_TV: torch.Tensor, labels: list[int], whole: bool) -> float:
    """The probability of all frame label paths whose sequence is, or begins with, `labels`."""
    total, (frames, size) = -math.inf, logp_TV.shape
    for path in itertools.product(range(size), repeat=frames):
        found = [label for label, _ in itertools.groupby(path) if label]
        if found == labels if whole else found[: len(labels)] == labels:
            total = float(np.logaddexp(total, sum(float(logp_TV[t, c]) for t, c in enumerate(path))))
    return total


def test_ctc_prefix_scores_equal_the_sum_over_all_paths() -> None:
    torch.manual_seed(1)
    lengths, end = torch.tensor([5, 3]), 4
    logp = (2 * torch.randn(2, 5, 4, dtype=torch.float64)).log_softmax(-1)
    ctc = CTCPrefix(torch.cat([logp, torch.full((2, 5, 1), -1e9)], dim=2), lengths)
    prefixes: list[list[list[int]]] = [[[]], [[]]]
    candidates = torch.tensor([1, 2, 3, end])
    for _ in range(3):
        gains = ctc.step(candidates.expand(2, len(prefixes[0]), 4).clone(), end)
        for b, k, c in itertools.product(range(2), range(len(prefixes[0])), range(4)):
            prefix, token = prefixes[b][k], int(candidates[c])
            before = brute_force(logp[b, : lengths[b]], prefix, whole=False)
            after = brute_force(logp[b, : lengths[b]], prefix + [token] * (token != end), whole=token == end)
            wanted = after - before if after > -math.inf else -math.inf
            assert float(gains[b, k, c]) == pytest.approx(wanted, abs=1e-5)
        chosen = torch.randint(0, len(prefixes[0]), (2, 3)) * 4 + torch.tensor([[0, 0, 1], [1, 0, 2]])
        tokens, parents = ctc.select(chosen)
        pairs = zip(prefixes, parents.tolist(), tokens.tolist())
        prefixes = [[old[p] + [t] for p, t in zip(ps, ts)] for old, ps, ts in pairs]


class Strange(ToyScorer):
    """A scorer that gives one value everywhere, or on some rows only."""

    def __init__(self, utterances: int, value: float, rows: slice = slice(None), token: int | None = None) -> None:
        super().__init__(list(range(utterances)))
        self.value, self.rows, self.token = value, rows, slice(None) if token is None else token

    def step(self, tokens_BK: torch.Tensor) -> torch.Tensor:
        logp = super().step(tokens_BK)
        bad = torch.tensor([seed in range(len(logp) + 99)[self.rows] for seed in self.seeds])
        logp[bad.nonzero()[:, 0], :, self.token] = self.value
        return logp


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_impossible_scores_give_an_empty_hypothesis_and_a_warning(
    value: float, caplog: pytest.LogCaptureFixture
) -> None:
    found = search(Strange(4, value, slice(1, 2)), torch.full((4,), 6), [END], END, SearchOptions(max_ratio=1.0))
    alone = search(ToyScorer([0, 1, 2, 3]), torch.full((4,), 6), [END], END, SearchOptions(max_ratio=1.0))
    assert found[1] == [Hypothesis([], -math.inf)]
    assert "1 utterances have no possible hypothesis" in caplog.text
    assert [found[i] for i in (0, 2, 3)] == [alone[i] for i in (0, 2, 3)]


def test_one_nan_does_not_hide_the_other_tokens() -> None:
    found = search(Strange(3, math.nan, token=1), torch.full((3,), 6), [END], END, SearchOptions(max_ratio=1.0))
    without = search(Strange(3, -math.inf, token=1), torch.full((3,), 6), [END], END, SearchOptions(max_ratio=1.0))
    assert found == without and all(nbest[0].score > -math.inf for nbest in found)


@pytest.mark.parametrize("value, length", [(0.0, 0), (-math.inf, 9)])
def test_only_ends_and_never_an_end(value: float, length: int) -> None:
    found = search(Strange(2, value, token=END), torch.tensor([9, 9]), [END], END, SearchOptions(length_norm=0.0))
    assert [len(nbest[0].tokens) for nbest in found] == [length, length]


def test_no_utterances_and_no_frames() -> None:
    _, ours, ctc = make_models()
    assert search(ToyScorer([]), torch.zeros(0, dtype=torch.long), [END], END, SearchOptions()) == []
    memory, lengths = torch.randn(3, 8, 32), torch.tensor([8, 0, 3])
    for options in (SearchOptions(), SearchOptions(ctc_weight=0.5)):
        found = run(ours, ctc, memory, lengths, options)
        assert found[1] == [Hypothesis([], -math.inf)]
        assert found[2][0].tokens == run(ours, ctc, memory[2:], lengths[2:], options)[0][0].tokens


def test_nan_in_ctc_spoils_only_its_utterance() -> None:
    _, ours, ctc = make_models()
    memory, lengths, options = torch.randn(2, 8, 32), torch.tensor([8, 6]), SearchOptions(ctc_weight=0.5)
    wanted = run(ours, ctc, memory, lengths, options)
    logp = ctc.log_softmax(memory)
    logp[0, 3, 4] = math.nan
    logp[1, 6:] = math.nan  # padding
    with torch.inference_mode():
        found = search(CachedDecoder(ours, memory, lengths), lengths, [29], 29, options, CTCPrefix(logp, lengths))
    assert found[0] == [Hypothesis([], -math.inf)]
    assert found[1][0].tokens == wanted[1][0].tokens


def test_best_path_of_ctc() -> None:
    labels = torch.tensor([[0, 2, 2, 0, 2, 1, 1, 0]])
    logits = torch.nn.functional.one_hot(labels, 4) * 20.0
    assert [best_path(logits, torch.tensor([n]))[0][0].tokens for n in (8, 4, 1)] == [[2, 2, 1], [2], []]
