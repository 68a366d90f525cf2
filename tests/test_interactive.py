"""The interactive model: what a row sees, in training and step by step, and what it is equal to in the limit."""

import math
from typing import Any

import pytest
import torch

from espnet_ext.interactive.decoder import Fusion, Visible, visible_rows
from espnet_ext.interactive.decoder_cache import PairedDecoder
from tests.test_models import END, FIRST, batch_of, build

LAGS = [0, 1, 3, math.inf]
FUSIONS = ["linear", "tanh", "gate"]
SIZES = (9, 6)  # tokens of transcript and translation
Conf = dict[str, Any]


def make(tmp_path: Any, name: str = "interactive", conf_of: Conf | None = None, **conf: Any) -> Any:
    """A model whose attention is sharp enough for what it sees to matter."""
    model = build(name, tmp_path, model_conf=conf, **(conf_of or {})).eval()
    for parameter_name, parameter in model.named_parameters():
        if ("self_attn" in parameter_name or "inter_qkv" in parameter_name) and parameter.dim() == 2:
            parameter.data.mul_(2.0)
    return model


def inputs(sizes: tuple[tuple[int, int], ...]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Tokens that begin with a start token, (B, L) of each stream, and their rows."""
    torch.manual_seed(5)
    rows = [torch.tensor(side) + 1 for side in zip(*sizes, strict=True)]
    tokens = [torch.randint(FIRST, END, (len(sizes), int(side.max()))) for side in rows]
    tokens[0][:, 0], tokens[1][:, 0] = 2, 3
    return tokens, rows


def memory_of(model: Any, utterances: int) -> tuple[torch.Tensor, torch.Tensor]:
    batch = batch_of((1,) * utterances, (70, 64, 33, 50)[:utterances])
    with torch.no_grad():
        memory: tuple[torch.Tensor, torch.Tensor] = model.encode(batch["speech"], batch["speech_lengths"])
    return memory


@torch.no_grad()
def forced(model: Any, memory: Any, tokens: list[torch.Tensor], rows: list[torch.Tensor]) -> list[torch.Tensor]:
    """(B, L, V) of each stream."""
    states = model.states(memory, tokens, rows)
    return [model.modules_of(stream)[0].output(x) for stream, x in zip(model.streams, states, strict=True)]


def test_rows_that_a_row_sees() -> None:
    """The picture of docs/interactive.md, k = 1: three rows of a transcript, four of its translation."""

    def masks(rows: list[int], size: int, wait_k: float) -> list[Any]:
        found = visible_rows([torch.tensor([n]) for n in rows], size, wait_k)
        return [mask[0].int().tolist() for mask in found]

    transcript, translation = masks([3, 4], 4, 1)
    assert transcript[:3] == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    assert translation == [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert masks([3, 3], 3, 0) == [[[1, 0, 0], [1, 1, 0], [1, 1, 1]]] * 2
    assert masks([2, 3], 3, math.inf) == [[[0, 0, 0]] * 3, [[1, 1, 0]] * 3]


def test_what_is_not_seen_stays_a_number_in_fp16() -> None:
    """A row that sees nothing of the other stream has these scores alone; -inf would make its weights NaN."""
    masks = visible_rows([torch.tensor([3]), torch.tensor([3])], 3, math.inf)
    bias = Visible.of(masks, Fusion("tanh", 0.3, 4), one_sum=False).to(torch.float16).bias
    scores = torch.full_like(bias, -100.0) + bias
    assert scores.dtype == torch.float16 and bool(scores.isfinite().all()) and float(bias.min()) < -10000


@pytest.mark.parametrize("own_attention", [False, True])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_attention_is_its_equation(fusion: str, own_attention: bool, tmp_path: Any) -> None:
    """One layer's interactive attention, row by row and head by head."""
    model = make(tmp_path, fusion=fusion, wait_k=1, inter_weight=0.7, own_attention=own_attention)
    layer, heads = model.decoder.decoders[0], 2
    tokens, rows = inputs(((4, 3),))
    x_2LD = model.decoder.embed(torch.stack([tokens[0], torch.nn.functional.pad(tokens[1], (0, 1))], 1).flatten(0, 1))
    with torch.no_grad():
        y_2LD = layer.norm1(x_2LD)
        self_qkv = layer.self_attn.linear_q, layer.self_attn.linear_k, layer.self_attn.linear_v
        of_self, of_inter = (
            [linear(y_2LD).unflatten(-1, (heads, -1)) for linear in linears]
            for linears in (self_qkv, layer.inter_qkv if own_attention else self_qkv)
        )
        seen: list[torch.Tensor] = []
        layer.src_attn.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        forced(model, memory_of(model, 1), tokens, rows)
        for stream, row in [(s, r) for s in range(2) for r in range(int(rows[s]))]:
            mixed = []
            for head in range(heads):

                def look(qkv: list[torch.Tensor], other: int, places: list[int]) -> torch.Tensor:
                    q, k, v = qkv
                    if not places:
                        return torch.zeros(v.size(-1))
                    scores = k[other, places, head] @ q[stream, row, head] / math.sqrt(q.size(-1))  # noqa: B023
                    return scores.softmax(0) @ v[other, places, head]  # noqa: B023

                own = look(of_self, stream, list(range(row + 1)))
                # k = 1: a translation's row also sees the transcript's next one, a transcript's row ends one before
                written = min(int(rows[1 - stream]), row + 2 if stream == 1 else row)
                inter = look(of_inter, 1 - stream, list(range(written)))
                if fusion == "gate":
                    inter = inter * layer.fusion.gate(torch.cat([own, inter])).sigmoid()
                mixed.append(own + 0.7 * (inter.tanh() if fusion == "tanh" else inter))
            wanted = layer.norm2(x_2LD[stream, row] + layer.self_attn.linear_out(torch.cat(mixed)))
            assert (seen[0].view_as(x_2LD)[stream, row] - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("wait_k", LAGS)
@torch.inference_mode()
def test_cached_steps_give_the_teacher_forced_logits_at_every_row(
    wait_k: float, fusion: str, shared: bool, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three utterances whose streams end at different times, the transcript first, or last, or both at once."""
    monkeypatch.setattr("espnet_ext.nn.decoder_cache.FEW", 0 if shared else 9)
    model = make(tmp_path, wait_k=wait_k, fusion=fusion, inter_weight=0.5, shared_decoder=shared)
    compare_steps(model, wait_k)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("fusion", "wait_k"), [("linear", 3), ("gate", 0), ("tanh", math.inf)])
@torch.inference_mode()
def test_cached_steps_with_an_attention_to_the_other_stream_of_its_own(
    wait_k: float, fusion: str, shared: bool, tmp_path: Any
) -> None:
    conf = {"wait_k": wait_k, "fusion": fusion, "inter_weight": 0.5, "shared_decoder": shared}
    compare_steps(make(tmp_path, own_attention=True, **conf), wait_k)


def compare_steps(model: Any, wait_k: float) -> None:
    sizes = ((9, 4), (3, 8), (5, 5))
    (tokens, rows), memory = inputs(sizes), memory_of(model, 3)
    wanted = [logits.log_softmax(-1) for logits in forced(model, memory, tokens, rows)]
    scorer = PairedDecoder(model.decoders, *memory)
    lengths = [int(side.max()) for side in rows]
    lag = int(min(wait_k, lengths[0]))
    zeros = torch.zeros(3, 1, dtype=torch.long)
    for time in range(max(lengths[0], lengths[1] + lag)):
        places = [time, time - lag]
        given, over = [], []
        for stream, place in enumerate(places):
            exists = 0 <= place < lengths[stream]
            given.append(tokens[stream][:, place : place + 1] if exists else None)
            over.append((place >= rows[stream])[:, None] if exists else None)
        partners = [zeros if time >= lag else None] * 2
        for stream, logp in enumerate(scorer.step(given, partners, over)):
            for row in range(3):
                if logp is not None and places[stream] < rows[stream][row]:
                    assert (logp[row, 0] - wanted[stream][row, places[stream]]).abs().max() < 2e-5


@pytest.mark.parametrize("wait_k", LAGS)
@pytest.mark.parametrize(("shared", "own_attention"), [(True, False), (False, False), (True, True)])
def test_no_row_depends_on_what_comes_later_in_either_stream(
    wait_k: float, shared: bool, own_attention: bool, tmp_path: Any
) -> None:
    """A token in row r of one stream changes exactly the rows of both that are computed with it or after it."""
    model = make(tmp_path, wait_k=wait_k, inter_weight=0.5, shared_decoder=shared, own_attention=own_attention)
    (tokens, rows), memory = inputs((SIZES,)), memory_of(model, 1)
    logits = forced(model, memory, tokens, rows)
    for stream, place in [(s, r) for s in range(2) for r in range(SIZES[s] + 1)]:
        other = [side.clone() for side in tokens]
        other[stream][0, place] = FIRST + (int(tokens[stream][0, place]) + 1 - FIRST) % (END - FIRST)
        changes = [(a - b).abs().amax((0, 2)) for a, b in zip(forced(model, memory, other, rows), logits, strict=True)]
        # The transcript's row r and the translation's row r - k are computed at the same time.
        first = place - wait_k if stream == 0 else place + wait_k
        for row, change in enumerate(changes[stream].tolist()):
            assert (change > 1e-6) == (row >= place)
        for row, change in enumerate(changes[1 - stream].tolist()):
            assert (change > 1e-7) == (row >= first), (stream, place, row)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS[:2])
def test_lambda_zero_is_the_multitask_model_to_the_bit(fusion: str, shared: bool, tmp_path: Any) -> None:
    conf = {"shared_decoder": shared, "asr_ctc_weight": 0.3}
    multitask = make(tmp_path, "multitask", **conf)
    model = make(tmp_path, inter_weight=0.0, fusion=fusion, **conf)
    model.load_state_dict(multitask.state_dict())
    (tokens, rows), memory = inputs((SIZES, (3, 8))), memory_of(model, 2)
    for ours, theirs in zip(forced(model, memory, tokens, rows), forced(multitask, memory, tokens, rows), strict=True):
        assert torch.equal(ours, theirs)
    batch = batch_of()
    assert torch.equal(model(**batch)[0], multitask(**batch)[0])
    options = {s: o.replace(beam=3, nbest=3, max_length=7) for s, o in model.search_options({}).items()}
    with torch.no_grad():
        found, wanted = (
            m.decode({k: batch[k] for k in ("speech", "speech_lengths")}, options) for m in (model, multitask)
        )
    for stream in model.streams:
        for ours, theirs in zip(found[stream], wanted[stream], strict=True):
            assert [h.tokens for h in ours] == [h.tokens for h in theirs]
            assert [h.score for h in ours] == pytest.approx([h.score for h in theirs], abs=1e-4)


def test_a_shared_decoder_goes_over_both_streams_at_once(tmp_path: Any) -> None:
    """As two passes would: the same logits, whatever stands in the other stream."""
    model = make(tmp_path, "multitask")
    (tokens, rows), memory = inputs((SIZES, (3, 8))), memory_of(model, 2)
    for stream, logits in enumerate(forced(model, memory, tokens, rows)):
        with torch.no_grad():
            alone = model.decoder(*memory, tokens[stream])
        assert (logits - alone).abs().max() < 1e-5


@pytest.mark.parametrize("wait_k", LAGS)
def test_padding_of_one_stream_is_not_seen_by_the_other(wait_k: float, tmp_path: Any) -> None:
    model = make(tmp_path, wait_k=wait_k, inter_weight=0.5)
    (tokens, rows), memory = inputs(((9, 4), (3, 8))), memory_of(model, 2)
    together = forced(model, memory, tokens, rows)
    for row in range(2):
        alone = [side[row : row + 1, : size[row]] for side, size in zip(tokens, rows, strict=True)]
        single = memory[0][row : row + 1, : memory[1][row]], memory[1][row : row + 1]
        for ours, theirs in zip(
            forced(model, single, alone, [size[row : row + 1] for size in rows]), together, strict=True
        ):
            assert (ours[0] - theirs[row, : ours.size(1)]).abs().max() < 1e-5


@pytest.mark.parametrize("wait_k", [0, 3, math.inf])
def test_bf16_training_is_close_to_fp32(wait_k: float, tmp_path: Any) -> None:
    """Also where a row sees nothing of the other stream."""
    model = build("interactive", tmp_path, model_conf={"wait_k": wait_k}).train()
    exact = model(**batch_of())[0]
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(**batch_of())[0]
    loss.backward()
    assert abs(loss.item() - exact.item()) < 0.03 * exact.item()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"wait_k": -1}, "wait_k: -1; must be a whole number from 0 on, or inf"),
        ({"wait_k": 1.5}, "wait_k: 1.5"),
        ({"fusion": "sum"}, "unknown fusion 'sum'; choose from linear, tanh, gate"),
        ({"inter_weight": 0, "own_attention": True}, "inter_weight: 0: .* the weights of own_attention stay random"),
        ({"inter_weight": 0.0, "fusion": "gate"}, "inter_weight: 0: .* the weights of fusion: gate stay random"),
    ],
)
def test_wrong_options_are_named(conf: Conf, message: str, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=message):
        build("interactive", tmp_path, model_conf=conf)


def test_infinity_may_be_written_as_a_word(tmp_path: Any) -> None:
    assert build("interactive", tmp_path, model_conf={"wait_k": "inf"}).wait_k == math.inf
