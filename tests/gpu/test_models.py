"""Every system on the device: losses, gradients and hypotheses are those of the CPU, and it learns in each format."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_ext import models
from espnet_ext.machine.precision import prepare
from espnet_ext.training.step import iterate, make_steppers
from tests.support.toy import toy_options
from tests.test_models import CASES, batch_of, build, read, training_batches

LOSS = 1e-4  # most relative difference of losses in fp32; sums are in another order
GRADIENT = 1e-3  # and of gradients, relative to the largest of a parameter
SCORE = 1e-3  # most difference of a hypothesis's score, a sum of log-probabilities
COARSE = {"none": LOSS, "bf16": 0.05, "fp16": 0.02}  # most relative difference of losses by number format


def moved(batch: dict[str, torch.Tensor], device: str) -> dict[str, torch.Tensor]:
    return {name: value.to(device) for name, value in batch.items()}


def gradients(model: torch.nn.Module, batches: list[dict[str, torch.Tensor]], device: str) -> tuple[list, dict]:
    """The loss of each batch, and their gradients together, without dropout."""
    losses = []
    for batch in batches:
        loss = model(**moved(batch, device))[0]
        loss.backward()
        losses.append(loss.item())
    return losses, {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}


def found(model: torch.nn.Module, device: str, **search: Any) -> dict[str, list]:
    """Tokens and score of all hypotheses of each stream."""
    options = {s: o.replace(max_length=8, **search) for s, o in model.search_options({}).items()}
    with torch.inference_mode():
        streams = model.decode(moved(read(model, model.inputs, batch_of()), device), options)
    return {s: [(h.tokens, h.score) for nbest in nbests for h in nbest] for s, nbests in streams.items()}


@pytest.mark.parametrize(("name", "conf"), CASES, ids=[f"{name}-{','.join(conf) or 'plain'}" for name, conf in CASES])
def test_the_numbers_are_those_of_the_cpu(name: str, conf: dict[str, Any], tmp_path: Path, device: str) -> None:
    there, here = (build(name, folder, model_conf=conf).eval() for folder in folders(tmp_path))
    there.to(device)
    batches = training_batches(here, batch_of())
    losses, slopes = gradients(here, batches, "cpu")
    got, got_slopes = gradients(there, batches, device)
    assert got == pytest.approx(losses, rel=LOSS, abs=LOSS)
    assert got_slopes.keys() == slopes.keys()
    for key, wanted in slopes.items():
        assert (got_slopes[key] - wanted).abs().max() <= GRADIENT * wanted.abs().max() + 1e-6, key
    for search in ({"beam": 1}, {"beam": 3, "nbest": 3}):
        wanted_streams, streams = found(here, "cpu", **search), found(there, device, **search)
        assert streams.keys() == wanted_streams.keys()
        for stream, pairs in wanted_streams.items():
            assert [tokens for tokens, _ in streams[stream]] == [tokens for tokens, _ in pairs]
            assert [s for _, s in streams[stream]] == pytest.approx([s for _, s in pairs], abs=SCORE)


def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "here", tmp_path / "there"]
    for folder in made:
        folder.mkdir()
    return made


def steppers_of(model: Any, folder: Path, device: str, amp: str) -> list:
    """As the training loop makes them, with Adam."""
    parts = [getattr(model, name) for name in model.phases] or [model]
    optimizers = [torch.optim.Adam([p for p in part.parameters() if p.requires_grad], 1e-3) for part in parts]
    scaler = torch.amp.GradScaler(device, enabled=amp == "fp16", init_scale=256.0)
    return make_steppers(model, optimizers, scaler, toy_options(folder, amp=amp), torch.device(device))


TRAINED = [name for name in models.NAMES if models.find(name).learns({})]


@pytest.mark.parametrize("name", TRAINED)
def test_a_system_learns(name: str, tmp_path: Path, device: str) -> None:
    """In each number format the loss begins where it does in fp32, and falls."""
    model = build(name, tmp_path)
    batches = [moved(batch, device) for batch in training_batches(model, batch_of())]
    first: dict[str, float] = {}
    for amp, coarse in COARSE.items():
        learner = copy.deepcopy(model).to(device)
        steppers, losses = steppers_of(learner, tmp_path, device, amp), []
        torch.manual_seed(4)  # networks that characterise tasks have dropout even here
        for learner.iteration in range(1, 5):
            outcomes = [iterate(steppers, [(["a", "b", "c"], dict(batch))], "here") for batch in batches]
            assert all(outcome.updated for outcome in outcomes)
            losses.append(sum(float(outcome.stats[0][0]["loss"]) for outcome in outcomes))
        first[amp] = losses[0]
        assert losses[-1] < losses[0], amp
        assert losses[0] == pytest.approx(first["none"], rel=coarse), amp


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", models.NAMES)
def test_padding_changes_nothing(name: str, dtype: str, tmp_path: Path, device: str) -> None:
    """The best hypothesis of an utterance is the same alone; bf16 has 3 digits, and a score may differ by that."""
    model = prepare(build(name, tmp_path), dtype, device)
    whole, sizes, frames = batch_of(), (5, 3, 1), (70, 64, 33)
    options = {s: o.replace(beam=3, max_length=6) for s, o in model.search_options({}).items()}
    with torch.inference_mode():
        together = model.decode(moved(read(model, model.inputs, whole), device), options)
        for i in range(3):
            one = {key: value[i : i + 1] for key, value in whole.items()}
            one["speech"] = one["speech"][:, : frames[i]]
            one |= {text: one[text][:, : sizes[i]] for text in ("src_text", "text")}
            for stream, nbest in model.decode(moved(read(model, model.inputs, one), device), options).items():
                alone, among = nbest[0][0], together[stream][i][0]
                assert alone.score == pytest.approx(among.score, abs=SCORE if dtype == "fp32" else 0.5)
                assert dtype == "bf16" or alone.tokens == among.tokens
