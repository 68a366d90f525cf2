"""The tight model: what its translator reads against a reference in loops, and against text."""

from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_ext.models.tight import BLANK, heard
from espnet_ext.training.warm_start import init_parts
from tests.test_models import CONF, END, FIRST, TOKENS, batch_of, build


def posteriors(paths: list[list[int]], size: int = 7, sharp: float = 2.0) -> torch.Tensor:
    """(B, T, V) in float64, whose best tokens are these."""
    torch.manual_seed(3)
    logits = torch.rand(len(paths), max(map(len, paths)), size, dtype=torch.float64)
    for row, path in enumerate(paths):
        logits[row, range(len(path)), path] += sharp
    return logits.softmax(-1)


def test_what_is_heard_is_the_mean_embedding_of_each_run_of_the_best_path() -> None:
    paths = [[0, 3, 3, 0, 3, 5, 0], [4, 4, 6, 6, 6], [0, 0, 0]]
    lengths = [len(path) for path in paths]
    probs = posteriors([path + [2] * (7 - len(path)) for path in paths])  # what is behind the end would be heard
    table = torch.randn(7, 4, dtype=torch.float64)
    x_BLD, count_B, best = heard(probs, torch.tensor(lengths), table)
    assert [row[row != BLANK].tolist() for row in best] == [[3, 3, 5], [4, 6], []]
    assert count_B.tolist() == [3, 2, 0]
    runs = [[[1, 2], [4], [5]], [[0, 1], [2, 3, 4]], []]
    for row, utterance in enumerate(runs):
        for place, frames in enumerate(utterance):
            mass = sum(probs[row, t, v] for t in frames for v in range(1, 7))
            wanted = sum(probs[row, t, v] * table[v] for t in frames for v in range(1, 7)) / mass
            assert torch.allclose(x_BLD[row, place].double(), wanted, atol=1e-6)
    assert torch.isfinite(x_BLD).all()


def test_without_doubt_it_reads_what_the_text_translator_reads(tmp_path: Path) -> None:
    """Posteriors that leave no doubt about a transcript, one frame a sub-word, give the states of that transcript."""
    model = build("tight", tmp_path).eval()
    batch = batch_of()
    tokens_BL = batch["src_text"].clamp(min=FIRST)
    tokens_BL[0, 2] = tokens_BL[0, 1]  # a repeated sub-word needs a blank between
    frames_BT = torch.zeros(3, 10, dtype=torch.long)
    frames_BT[:, 1::2] = tokens_BL

    class Certain(torch.nn.Module):
        def ctc_lo(self, memory: torch.Tensor) -> torch.Tensor:
            return 200.0 * torch.nn.functional.one_hot(frames_BT, len(TOKENS)).float()

    model.ctc = Certain()
    with torch.no_grad():
        (states, lengths), paths = model.read((torch.zeros(3, 10, 16), 2 * batch["src_text_lengths"]))
        wanted, wanted_lengths = model.mt.encode(tokens_BL, batch["src_text_lengths"])
    assert torch.equal(lengths, wanted_lengths)
    for row, size in enumerate(batch["src_text_lengths"].tolist()):
        assert paths[row][paths[row] != BLANK].tolist() == tokens_BL[row, :size].tolist()
        assert torch.allclose(states[row, : size + 1], wanted[row, : size + 1], atol=1e-5)


def test_the_loss_of_translation_reaches_the_speech_encoder(tmp_path: Path) -> None:
    model = build("tight", tmp_path, model_conf={"asr_ctc_weight": 0.0})
    model(**batch_of())[0].backward()
    reached = [p.grad for p in (*model.encoder.parameters(), *model.ctc.parameters())]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in reached)


def test_silence_is_translated_from_nothing(tmp_path: Path) -> None:
    model = build("tight", tmp_path).eval()
    torch.nn.init.zeros_(model.ctc.ctc_lo.weight)
    model.ctc.ctc_lo.bias.data = -10.0 * torch.arange(len(TOKENS))
    with torch.no_grad():
        found = model.decode(dict(list(batch_of().items())[:2]), model.search_options({"max_length": 4}))
    assert [nbest[0].tokens for nbest in found["asr"]] == [[], [], []]
    assert len({tuple(nbest[0].tokens) for nbest in found["st"]}) == 1
    assert all(0 <= token <= END for nbest in found["st"] for token in nbest[0].tokens)


def test_it_starts_as_the_systems_that_it_joins(tmp_path: Path) -> None:
    model = build("tight", tmp_path)
    for name in ("asr", "mt"):
        (tmp_path / name).mkdir()
        conf: dict[str, Any] = {"model_conf": {"asr_ctc_weight": 0.5}} if name == "asr" else {}
        torch.save(build(name, tmp_path, **conf).state_dict(), tmp_path / name / "model.pth")
    for said in init_parts(model, {"encoder": "asr", "ctc": "asr", "mt": "mt"}, tmp_path / "tight"):
        loaded, of = said.split(": ")[2].split(" tensors")[0].split(" of ")
        assert loaded == of, said


def test_a_text_encoder_that_cannot_be_given_embeddings_is_refused(tmp_path: Path) -> None:
    peer = {"encoder": "contextual_block_transformer", "encoder_conf": {**CONF, "input_layer": "embed"}}
    with pytest.raises(ValueError, match="text encoder must embed words itself"):
        build("tight", tmp_path, mt_peer=peer)
