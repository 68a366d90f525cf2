"""Attention pictures: the weights are those that the model uses, and they reach the page."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from espnet_ext import decode, report, score
from espnet_ext.data.dataset import SpeechTextData
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.infra.files import read_table
from espnet_ext.nn.attention import Attention
from espnet_ext.reporting import attention
from espnet_ext.reporting.attention import attention_pictures, by_stream, record
from espnet_ext.scoring.texts import ScoringError
from tests.support.tiny_exp import make_dump, make_system
from tests.test_models import FIRST, batch_of, build

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


# A system and its options, and for each stream the decoder that writes it and its number among the streams of that one.
WRITERS = [
    ("multitask", {"shared_decoder": True}, {"asr": ("decoder", 0), "st": ("decoder", 1)}),
    ("multitask", {"shared_decoder": False}, {"asr": ("extra_asr_decoder", 0), "st": ("decoder", 0)}),
    ("interactive", {"shared_decoder": True}, {"asr": ("decoder", 0), "st": ("decoder", 1)}),
    ("interactive", {"shared_decoder": False}, {"asr": ("extra_asr_decoder", 0), "st": ("decoder", 0)}),
    ("two_stage", {}, {"asr": ("extra_asr_decoder", 0), "st": ("decoder", 0)}),
]


@pytest.mark.parametrize("lengths", [(3, 3), (3, 5), (5, 3)])
@pytest.mark.parametrize(("system", "conf", "writers"), WRITERS)
def test_layers_go_to_the_stream_that_their_decoder_writes(tmp_path, system, conf, writers, lengths):
    model = build(system, tmp_path, model_conf=conf).eval()
    batch = {"speech": torch.randn(1, 70, 80), "speech_lengths": torch.tensor([70])}
    tokens = dict(zip(("asr", "st"), ([FIRST] * length for length in lengths), strict=True))
    for stream, name in (("asr", "src_text"), ("st", "text")):
        batch |= {name: torch.tensor([tokens[stream]]), f"{name}_lengths": torch.tensor([len(tokens[stream])])}
    recorded = record(model, batch)
    found = by_stream(model, recorded, tokens)
    for stream, (decoder, number) in writers.items():
        rows = slice(number * (max(lengths) + 1), number * (max(lengths) + 1) + len(tokens[stream]) + 1)
        wanted = [weights_LS[rows] for name, weights_LS in recorded if name.startswith(f"{decoder}.")]
        assert len(found[stream]) == len(wanted) == len(model.decoder.decoders)
        assert all(torch.equal(a, b) for a, b in zip(found[stream], wanted, strict=True))


def test_of_two_peers_with_one_decoder_the_one_that_hears_is_shown(tmp_path):
    model = build("mtl", tmp_path).eval()
    batch = batch_of((3,), (70,))
    recorded = record(model, batch)
    found = by_stream(model, recorded, {"st": batch["text"][0].tolist()})
    assert len(recorded) == 2 * len(found["st"]) and all(
        torch.equal(a, b) for a, (_, b) in zip(found["st"], recorded, strict=False)
    )


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


@pytest.mark.parametrize(
    "composed_of, tasks, why", [(("asr", "mt"), {}, "is made of asr and mt"), ((), {"st_de": None}, "has tasks")]
)
def test_a_system_without_pictures_is_named(monkeypatch, capsys, tmp_path, composed_of, tasks, why):
    found = SimpleNamespace(model=SimpleNamespace(composed_of=composed_of, tasks=tasks))
    monkeypatch.setattr(attention, "load_experiment", lambda folder: found)
    assert attention_pictures(tmp_path, "joint", "test", tmp_path, ["utt1"]) == {}
    assert f"{tmp_path / 'joint'}: {why}, so its attention is not drawn" in capsys.readouterr().err


def test_a_system_that_reads_waveforms_is_given_waveforms(root, monkeypatch):
    """As one with a pretrained encoder; what makes features of them here stands for it."""
    experiment = load_experiment(root / "exp/e2e")
    monkeypatch.setattr(type(experiment.model), "reads_waveforms", True)
    made = []
    monkeypatch.setattr(attention, "SpeechTextData", lambda *_, **options: made.append(options) or open_dump(root))
    monkeypatch.setattr(attention, "units_per_second", lambda model, name: made.append(name) or 100)
    assert attention_pictures(root / "exp", "e2e", "test", root / "dump", ["utt7"])
    assert made[0]["waveforms"] is True and set(made[1:]) == {"speech"}


def open_dump(root) -> SpeechTextData:
    experiment = load_experiment(root / "exp/e2e")
    both = experiment.src_subwords, experiment.tgt_subwords
    return SpeechTextData(root / "dump/test", "en", "de", *both, names=experiment.model.data_names)


def test_an_utterance_of_which_nothing_was_written_is_named(root, capsys):
    assert attention_pictures(root / "exp", "e2e", "test", root / "dump", ["utt1"]) == {}  # too short to hold a word
    assert "exp/e2e: wrote nothing for utt1, so no attention is drawn" in capsys.readouterr().err


def test_unknown_utterance_is_named(root):
    with pytest.raises(ScoringError, match="no utterance 'utt99'"):
        attention_pictures(root / "exp", "e2e", "test", root / "dump", ["utt99"])
