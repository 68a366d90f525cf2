"""Attention pictures: the weights are those that the model uses, and they reach the page."""

import pytest
import torch
from torch.nn import functional as F

from espnet_ext import decode, report, score
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.infra.files import read_table
from espnet_ext.nn.attention import Attention
from espnet_ext.reporting.attention import attention_pictures, by_stream, record
from espnet_ext.scoring.texts import ScoringError
from tests.support.tiny_exp import make_dump, make_system

SYSTEMS = ("asr", "mt", "e2e", "multitask")
SEPARATE = {"model_conf": {"shared_decoder": False}}  # the tiny vocabularies are not joint


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("attention")
    dump = make_dump(root)
    for system in SYSTEMS:
        exp = make_system(root, system, **(SEPARATE if system == "multitask" else {}))
        decode.main([str(exp), str(dump), "--min_ratio", "0.3"])  # untrained systems would often say nothing
    return root


@pytest.mark.parametrize("system", SYSTEMS)
def test_utterances_with_an_output_are_drawn(root, system):
    outputs = [dict(read_table(path)) for path in (root / "exp" / system / "test").glob("hyp.*")]
    written = [key for key in outputs[0] if all(texts[key] for texts in outputs)][:2]
    pictures = attention_pictures(root / "exp", system, "test", root / "dump", ["utt1", *written])
    assert list(pictures) == written and written  # utt1 is too short to hold a word
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())


def test_recording_leaves_the_loss_alone(root):
    model = load_experiment(root / "exp/e2e").model
    torch.manual_seed(0)
    batch = {"speech": torch.randn(1, 90, 80), "speech_lengths": torch.tensor([90])}
    for name in ("src_text", "text"):
        batch |= {name: torch.tensor([[3, 4, 5]]), f"{name}_lengths": torch.tensor([3])}
    before = model(**batch)[0]
    recorded = record(model, batch)
    assert torch.equal(model(**batch)[0], before)
    assert [name for name, _ in recorded] == ["decoder.decoders.0.src_attn", "decoder.decoders.1.src_attn"]
    for _, weights_LS in recorded:
        assert weights_LS.size(0) == 4
        torch.testing.assert_close(weights_LS.sum(1), torch.ones(4))


def test_recorded_weights_are_those_of_sdpa():
    torch.manual_seed(0)
    holder = torch.nn.ModuleDict({"src_attn": Attention(2, 8)}).eval()
    queries_BLD, memory_BSD = torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    mask = torch.tensor([True, True, True, True, False])[None, None, None]
    holder.forward = lambda: holder["src_attn"](queries_BLD, memory_BSD, mask)
    attention = holder["src_attn"]
    recorded = record(holder, {})
    # Values that are the rows of the identity bring the weights to light.
    q, k = (
        attention.split(linear(x))
        for linear, x in ((attention.linear_q, queries_BLD), (attention.linear_k, memory_BSD))
    )
    expected = F.scaled_dot_product_attention(q, k, torch.eye(5).expand(1, 2, 5, 5), attn_mask=mask)[0].mean(0)
    torch.testing.assert_close(recorded[0][1], expected.detach())
    assert recorded[0][1][:, 4].abs().max() == 0


# Names of the source attention of two layers, in the order of a forward pass.
ORDERS = {
    "one decoder, twice": ["d.0.src_attn", "d.1.src_attn", "d.0.src_attn", "d.1.src_attn"],
    "a decoder each": ["a.0.src_attn", "a.1.src_attn", "d.0.src_attn", "d.1.src_attn"],
    "layer by layer": ["a.0.src_attn", "d.0.src_attn", "a.1.src_attn", "d.1.src_attn"],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lengths", [(3, 3), (3, 5), (5, 3)])
def test_layers_go_to_their_streams(order, lengths):
    streams = [0, 1, 0, 1] if order == "layer by layer" else [0, 0, 1, 1]
    recorded = [
        (name, torch.full((lengths[s] + 1, 9), float(s))) for name, s in zip(ORDERS[order], streams, strict=True)
    ]
    found = by_stream(recorded, {"asr": [7] * lengths[0], "st": [7] * lengths[1]})
    assert {stream: [float(w.mean()) for w in layers] for stream, layers in found.items()} == {
        "asr": [0.0, 0.0],
        "st": [1.0, 1.0],
    }


@pytest.mark.parametrize("lengths", [(3, 3), (3, 5), (5, 3)])
def test_layers_of_one_pass_over_both_streams_are_parted(lengths):
    size = max(lengths) + 1
    both = torch.cat([torch.full((size, 9), float(stream)) for stream in range(2)])
    tokens = {"asr": [7] * lengths[0], "st": [7] * lengths[1]}
    found = by_stream([("d.0.src_attn", both), ("d.1.src_attn", both)], tokens)
    for stream, length in enumerate(lengths):
        layers = found[list(tokens)[stream]]
        assert [len(weights) for weights in layers] == [length + 1] * 2
        assert all(bool((weights == stream).all()) for weights in layers)


def test_a_stream_that_is_written_first_is_found_by_its_length():
    recorded = [("d.0.src_attn", torch.zeros(3, 9)), ("d.0.src_attn", torch.ones(6, 9))]
    found = by_stream(recorded, {"asr": [7] * 5, "st": [7] * 2})
    assert found["asr"][0].mean() == 1 and found["st"][0].mean() == 0


def test_decoded_systems_are_scored_and_reported_with_pictures(root, monkeypatch):
    """What decode writes is what score and report read."""
    monkeypatch.chdir(root)
    common = ["exp", "--systems", " ".join(SYSTEMS), "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de"]
    score.main(common)
    report.main([*common, "--attention", "utt7"])
    page = (root / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == len(attention_counts(root))
    with pytest.raises(SystemExit, match="--attention 'nobody': no such utterance in test"):
        report.main([*common, "--attention", "nobody"])


def attention_counts(root) -> list[str]:
    return [s for s in SYSTEMS if attention_pictures(root / "exp", s, "test", root / "dump", ["utt7"])]


def test_unknown_utterance_is_named(root):
    with pytest.raises(ScoringError, match="no utterance 'utt99'"):
        attention_pictures(root / "exp", "e2e", "test", root / "dump", ["utt99"])
