"""Decoding with the interactive model: beside teacher forcing from scratch, and what must not matter."""

import itertools
import math
from typing import Any

import pytest
import torch

from espnet_ext.interactive.two_streams import search_pairs
from espnet_ext.machine.precision import DTYPES, prepare
from espnet_ext.search.beam import Beam
from espnet_ext.search.options import Hypothesis, SearchOptions
from tests.test_interactive import LAGS, forced, make
from tests.test_models import batch_of
from tests.test_pairs import TOY_END, ToyPairs

TINY = ["<blank>", "<unk>", "<asr_en>", "<st_de>", "a", "<sos/eos>"]


def ends_anywhere(model: Any) -> Any:
    """Its streams end by themselves, at different times, as what is heard and written matters more."""
    for layer in model.decoder.decoders:
        layer.src_attn.linear_out.weight.data.mul_(4.0)
    model.decoder.embed[0].weight.data.mul_(3.0)
    model.decoder.output_layer.bias.data[model.ends["st"]] = 0.5
    return model


def options_of(model: Any, **changes: Any) -> dict[str, SearchOptions]:
    found: dict[str, SearchOptions] = {s: o.replace(**changes) for s, o in model.search_options({}).items()}
    return found


def decode(model: Any, batch: dict[str, torch.Tensor], options: dict[str, SearchOptions]) -> Any:
    with torch.inference_mode():
        return model.decode({name: batch[name] for name in ("speech", "speech_lengths")}, options)


@torch.no_grad()
def forced_scores(model: Any, memory: Any, pairs: list[tuple[list[int], list[int]]], longest: int) -> torch.Tensor:
    """(N, 2): the log-probability of each side of pairs of one utterance, by teacher forcing."""
    count, end = len(pairs), model.ends["st"]
    written = [[side if len(side) == longest else [*side, end] for side in sides] for sides in zip(*pairs, strict=True)]
    rows = [torch.tensor([len(side) for side in sides]) for sides in written]
    labels = [torch.tensor([side + [end] * (longest - len(side)) for side in sides]) for sides in written]
    starts = list(model.starts.values())
    tokens = [torch.nn.functional.pad(side, (1, -1), value=start) for side, start in zip(labels, starts, strict=True)]
    repeated = memory[0].expand(count, -1, -1), memory[1].expand(count)
    scores = []
    for logits, side, size in zip(forced(model, repeated, tokens, rows), labels, rows, strict=True):
        each = logits.log_softmax(-1).gather(2, side[:, :, None])[:, :, 0]
        scores.append((each * (torch.arange(longest) < size[:, None])).sum(1))
    return torch.stack(scores, dim=1)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("wait_k", [0, 1, math.inf])
def test_sums_on_a_tiny_model_are_those_of_all_pairs_teacher_forced(wait_k: float, shared: bool, tmp_path: Any) -> None:
    model = make(tmp_path, conf_of={"token_list": TINY, "src_token_list": TINY}, wait_k=wait_k, shared_decoder=shared)
    longest, batch = 2, batch_of((1, 1), (40, 33))
    options = options_of(model, beam=1300, nbest=4, max_ratio=-longest, pairing="sum")
    found = decode(model, batch, options)
    end = len(TINY) - 1
    sides = [list(p) for n in range(longest + 1) for p in itertools.product(range(end), repeat=n)]
    pairs = list(itertools.product(sides, repeat=2))
    for row, frames in enumerate((40, 33)):
        with torch.no_grad():
            memory = model.encode(batch["speech"][row : row + 1, :frames], torch.tensor([frames]))
        scores = forced_scores(model, memory, pairs, longest)
        best = scores.sum(1).topk(4)
        for number, index in enumerate(best.indices.tolist()):
            got = [found[stream][row][number] for stream in model.streams]
            assert [h.tokens for h in got] == list(pairs[index])
            assert [h.score for h in got] == pytest.approx(scores[index].tolist(), abs=1e-4)


@pytest.mark.parametrize("pairing", ["rank", "sum"])
@pytest.mark.parametrize("wait_k", LAGS)
def test_beam_one_is_greedy_search_from_scratch(wait_k: float, pairing: str, tmp_path: Any) -> None:
    """Each step by a whole teacher-forced pass over the tokens so far."""
    model = ends_anywhere(make(tmp_path, wait_k=wait_k, inter_weight=0.6))
    frames, longest = (70, 64, 33, 90, 40, 120, 50), 9
    batch = batch_of((1,) * 7, frames)
    found = decode(model, batch, options_of(model, beam=1, max_ratio=-longest, pairing=pairing))
    lengths = set()
    for row, count in enumerate(frames):
        with torch.no_grad():
            memory = model.encode(batch["speech"][row : row + 1, :count], torch.tensor([count]))
        written: list[list[int]] = [[], []]  # the end included
        scores, over, begun, time = [0.0, 0.0], [False, False], [True, False], 0
        while not all(over):
            begun[1] = begun[1] or time >= wait_k or over[0]
            time += 1
            # The input of a row is the token before it: what is over has the rows that made its tokens.
            rows = [torch.tensor([len(side) + (not done)]) for side, done in zip(written, over, strict=True)]
            starts = list(model.starts.values())
            tokens = [
                torch.tensor([[start, *side]])[:, : int(n)]
                for start, side, n in zip(starts, written, rows, strict=True)
            ]
            logits = forced(model, memory, tokens, rows)
            for stream in range(2):
                if begun[stream] and not over[stream]:
                    score, token = logits[stream][0, -1].log_softmax(-1).max(0)
                    written[stream].append(int(token))
                    scores[stream] += float(score)
                    over[stream] = int(token) == model.ends["st"] or len(written[stream]) == longest
        for stream, name in enumerate(model.streams):
            wanted = [token for token in written[stream] if token != model.ends["st"]]
            assert found[name][row][0].tokens == wanted
            assert found[name][row][0].score == pytest.approx(scores[stream], abs=1e-4)
            lengths.add(len(wanted))
    assert len(lengths) > 2


CASES = [{"pairing": "rank"}, {"pairing": "sum"}, {"pairing": "rank", "ctc_weight": 0.3}]
CASES += [{"pairing": "sum", "ctc_weight": 0.3, "length_norm": 1.0}, {"pairing": "rank", "penalty": 0.5, "nbest": 3}]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("wait_k", [0, 3, math.inf])
def test_neither_padding_nor_order_nor_neighbours_matter(wait_k: float, options: dict[str, Any], tmp_path: Any) -> None:
    """Each utterance alone, and all of them, in two orders."""
    model = ends_anywhere(make(tmp_path, wait_k=wait_k, inter_weight=0.6, asr_ctc_weight=0.3, st_ctc_weight=0.3))
    frames = (70, 64, 33, 90, 40, 120)
    batch, given = batch_of((1,) * 6, frames), options_of(model, beam=3, max_ratio=0.6, **options)
    together = decode(model, batch, given)
    order = torch.tensor([3, 0, 5, 2, 1, 4])
    shuffled = decode(model, {name: value[order] for name, value in batch.items()}, given)
    for row, count in enumerate(frames):
        alone = {"speech": batch["speech"][row : row + 1, :count], "speech_lengths": torch.tensor([count])}
        place = order.tolist().index(row)
        for stream, (nbest,) in decode(model, alone, given).items():
            for other in (together[stream][row], shuffled[stream][place]):
                assert [h.tokens for h in other] == [h.tokens for h in nbest]
                assert [h.score for h in other] == pytest.approx([h.score for h in nbest], abs=1e-4)


@pytest.mark.parametrize("shared", [True, False])
def test_with_infinite_lag_translation_follows_the_best_transcript(shared: bool, tmp_path: Any) -> None:
    """The transcript is that of a search of its own; the translation's score is teacher-forced on it."""
    model = make(tmp_path, wait_k=math.inf, inter_weight=0.6, shared_decoder=shared)
    options, batch = options_of(model, beam=4, nbest=2, max_ratio=-7), batch_of((1,) * 3, (70, 64, 33))
    found = decode(model, batch, options)
    with torch.inference_mode():
        memory = model.encode(batch["speech"], batch["speech_lengths"])
        alone = model.search(model.decoders[0], memory, [model.starts["asr"]], model.ends["asr"], options["asr"])
    for row in range(3):
        assert [h.tokens for h in found["asr"][row]] == [h.tokens for h in alone[row]]
        single = memory[0][row : row + 1, : memory[1][row]], memory[1][row : row + 1]
        pairs = [(found["asr"][row][0].tokens, hypothesis.tokens) for hypothesis in found["st"][row]]
        wanted = forced_scores(model, single, pairs, 7)[:, 1].tolist()
        assert [h.score for h in found["st"][row]] == pytest.approx(wanted, abs=1e-4)


def test_ctc_scores_the_transcript_as_in_a_search_of_its_own(tmp_path: Any) -> None:
    """With infinite lag, where the transcript's search knows of no translation."""
    model = make(tmp_path, wait_k=math.inf, asr_ctc_weight=0.3)
    batch = batch_of((1,) * 3, (90, 64, 33))
    options = options_of(model, beam=4, nbest=3, ctc_weight=0.5, max_ratio=0.5)
    options["st"] = options["st"].replace(ctc_weight=0.0)
    found = decode(model, batch, options)["asr"]
    with torch.inference_mode():
        memory = model.encode(batch["speech"], batch["speech_lengths"])
        alone = model.search(model.decoder, memory, [model.starts["asr"]], model.ends["asr"], options["asr"], model.ctc)
    assert found == [[Hypothesis(h.tokens, pytest.approx(h.score, abs=1e-4)) for h in nbest] for nbest in alone]
    with pytest.raises(ValueError, match=r"ctc_weight: 0.5, but this stream has no CTC"):
        decode(model, batch, {**options, "st": options["asr"]})


@pytest.mark.parametrize("pairing", ["rank", "sum"])
def test_what_is_shown_on_the_way(pairing: str, tmp_path: Any) -> None:
    """The transcript grows first, the translation follows wait_k steps later, and the last view is the result."""
    model = make(tmp_path, wait_k=2)
    views: list[list[Any]] = [[], []]
    batch, options = batch_of((1,) * 2, (70, 33)), options_of(model, beam=3, max_ratio=-6, pairing=pairing)
    watched = {name: options[name].watched(view.append) for name, view in zip(model.streams, views, strict=True)}
    found = decode(model, batch, watched)
    seen = list(zip(*views, strict=True))
    assert [len(view[0][0]) for view in seen[:2]] == [1, 2] and [len(view[1][0]) for view in seen[:3]] == [0, 0, 1]
    for stream, name in enumerate(model.streams):
        assert [nbest[0].tokens for nbest in found[name]] == seen[-1][stream]


def test_both_streams_have_one_pairing(tmp_path: Any) -> None:
    model = make(tmp_path)
    options = options_of(model)
    with pytest.raises(ValueError, match="give both the same"):
        decode(model, batch_of(), {**options, "st": options["st"].replace(pairing="sum")})
    with pytest.raises(ValueError, match="decode option pairing: 'best'; must be rank or sum"):
        SearchOptions(pairing="best")


def test_nothing_to_decode_and_impossible_scores(tmp_path: Any) -> None:
    """No utterance, and one whose scores are all NaN beside two others."""
    empty = [Beam(torch.zeros(0, dtype=torch.long), TOY_END, SearchOptions()) for _ in range(2)]
    assert search_pairs(ToyPairs([]), empty, [TOY_END, TOY_END], 3) == [[], []]
    model = make(tmp_path, wait_k=1)
    batch, options = batch_of((1,) * 3, (70, 64, 33)), options_of(model, beam=3, max_ratio=-6)
    wanted = decode(model, batch, options)
    batch["speech"][1] = math.nan
    found = decode(model, batch, options)
    for stream in model.streams:
        assert found[stream][1] == [Hypothesis()]
        assert [found[stream][i][0].tokens for i in (0, 2)] == [wanted[stream][i][0].tokens for i in (0, 2)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("conf", [{}, {"shared_decoder": False}, {"fusion": "gate"}], ids=str)
def test_every_number_format_decodes(dtype: str, conf: dict[str, Any], tmp_path: Any) -> None:
    """By either kind of attention; in fp32 what is found is the same to the last digits."""
    model, batch = make(tmp_path, **conf), batch_of((1,) * 6, (70, 64, 33, 90, 40, 120))
    options = options_of(model, beam=3, min_ratio=0.3, max_ratio=0.3)
    wanted, ready = decode(model, batch, options), prepare(model, dtype)
    for rows in (3, 6):
        found = decode(ready, {name: value[:rows] for name, value in batch.items()}, options)
        for stream in model.streams:
            for (ours, *_), (theirs, *_) in zip(found[stream], wanted[stream][:rows], strict=True):
                assert len(ours.tokens) == len(theirs.tokens)
                assert ours.score == pytest.approx(theirs.score, abs=1e-4 if dtype == "fp32" else 1.0)
                assert dtype != "fp32" or ours.tokens == theirs.tokens
