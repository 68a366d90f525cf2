"""`init:` takes parts of other experiments, says what it took, and refuses what does not fit."""

from pathlib import Path

import pytest
import torch
import yaml

from espnet_ext.training.errors import TrainError
from espnet_ext.training.warm_start import init_parts


def encoder(width: int = 3, layers: int = 2) -> torch.nn.Module:
    module = torch.nn.Module()
    module.embed = torch.nn.Linear(4, width)
    module.encoders = torch.nn.ModuleList(torch.nn.Linear(width, width) for _ in range(layers))
    return module


def system(**parts: torch.nn.Module) -> torch.nn.Module:
    module = torch.nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    """exp/ with a trained asr (two layers) and an ESPnet experiment; returns the folder of e2e."""
    torch.manual_seed(0)
    asr = system(encoder=encoder(), decoder=torch.nn.Linear(3, 5))
    (tmp_path / "asr").mkdir()
    torch.save(asr.state_dict(), tmp_path / "asr" / "model.pth")
    (tmp_path / "espnet").mkdir()
    torch.save(asr.state_dict(), tmp_path / "espnet" / "2epoch.pth")
    (tmp_path / "espnet" / "valid.acc.ave.pth").symlink_to("2epoch.pth")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "checkpoint.pth").touch()
    return tmp_path / "e2e"


def trained(exp: Path) -> dict[str, torch.Tensor]:
    return torch.load(exp.parent / "asr" / "model.pth", weights_only=True)


@pytest.mark.parametrize(
    "table, loaded, report",
    [
        ({"encoder": "asr"}, ["encoder"], "6 of 6 tensors loaded (39 numbers)"),
        ({"encoder": "asr", "decoder": "asr"}, ["encoder", "decoder"], "2 of 2 tensors"),
        ({"encoder.encoders": "asr"}, ["encoder.encoders"], "4 of 4"),
        ({"encoder.encoders.0": "asr"}, ["encoder.encoders.0"], "2 of 2"),
        ({"encoder": "espnet"}, ["encoder"], "valid.acc.ave.pth"),
        ({}, [], ""),
    ],
)
def test_parts_are_loaded(exp, table, loaded, report):
    model = system(encoder=encoder(), decoder=torch.nn.Linear(3, 5))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lines = list(init_parts(model, table, exp))
    assert len(lines) == len(table) and report in "\n".join(lines)
    for name, value in model.state_dict().items():
        is_loaded = any(name.startswith(part + ".") for part in loaded)
        assert torch.equal(value, trained(exp)[name] if is_loaded else before[name]), name


def test_an_absolute_path_is_a_source(exp):
    model = system(encoder=encoder())
    list(init_parts(model, {"encoder": str(exp.parent / "asr" / "model.pth")}, exp))
    assert torch.equal(model.encoder.embed.weight, trained(exp)["encoder.embed.weight"])


def test_a_part_may_have_another_name(exp):
    model = system(st_encoder=encoder())
    (line,) = init_parts(model, {"st_encoder": "asr:encoder"}, exp)
    assert "6 of 6" in line
    assert torch.equal(model.st_encoder.embed.weight, trained(exp)["encoder.embed.weight"])


@pytest.mark.parametrize(
    "layers, said",
    [
        (3, "6 of 8 tensors loaded (39 numbers); not there: 2 (encoder.encoders.2.bias, encoder.encoders.2.weight)"),
        (1, "4 of 4 tensors loaded (27 numbers); there but not here: 2 (encoder.encoders.1.bias, encoder.encoders.1."),
    ],
)
def test_the_report_names_what_was_not_loaded(exp, layers, said):
    (line,) = init_parts(system(encoder=encoder(layers=layers)), {"encoder": "asr"}, exp)
    assert said in line


def test_a_frozen_part_that_comes_from_nowhere_is_warned_of(exp):
    model = system(encoder=encoder(), decoder=torch.nn.Linear(3, 5))
    model.decoder.requires_grad_(False)
    *_, said = init_parts(model, {"encoder": "asr"}, exp)
    assert said == "WARNING: decoder is frozen and `init:` loads nothing for it, so parts of it stay random"
    assert all(line.startswith("init: ") for line in init_parts(model, {"decoder": "asr"}, exp))
    model.composed_of = ("decoder",)  # it was loaded when the model was built
    assert list(init_parts(model, {}, exp)) == []


@pytest.mark.parametrize(
    "table, message",
    [
        ({"encoder": "mt"}, r'there is no model in .*mt; train it first, e\.g\. --systems "mt e2e"'),
        ({"encoder": "../mini/exp/asr"}, r"there is no model in \.\./mini/exp/asr, nor in .*; train it first$"),
        ({"encoder": "unfinished"}, "the training of .*unfinished is not finished"),
        ({"encodr": "asr"}, "this model has no such part; it has decoder, encoder"),
        ({"decoder": "asr:st_decoder"}, "nothing in st_decoder there fits; nothing was loaded"),
        ({"decoder": "asr"}, r"decoder.weight has shape \(5, 3\) there and \(7, 3\) here"),
    ],
)
def test_what_cannot_be_loaded_is_refused(exp, table, message):
    model = system(encoder=encoder(), decoder=torch.nn.Linear(3, 7))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(TrainError, match=message):
        list(init_parts(model, table, exp))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def writer(size: int) -> torch.nn.Module:
    decoder = torch.nn.Module()
    decoder.embed = torch.nn.Sequential(torch.nn.Embedding(size, 3))
    decoder.output_layer = torch.nn.Linear(3, size)
    return system(encoder=encoder(), decoder=decoder)


@pytest.mark.parametrize(
    ("there", "here", "message"),
    [
        (["a", "b", "c"], ["a", "b", "c"], None),
        (
            ["a", "b", "c"],
            ["a", "b", "d"],
            "its sub-words differ: 3 there, 3 here; only there: c; only here: d; train",
        ),
        (
            ["a", "b", "c"],
            ["a", "c", "b"],
            "the same in another order, number 1 is b there and c here; train both with",
        ),
        (["a", "b", "c", "x"], ["a", "b", "c"], "4 there, 3 here; only there: x; train both with one vocabulary"),
    ],
)
def test_sub_words_of_a_decoder_are_the_same(exp: Path, there: list[str], here: list[str], message: str | None) -> None:
    st = exp.parent / "st"
    for folder, tokens in ((st, there), (exp, here)):
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump({"token_list": tokens, "src_token_list": None}))
    torch.save(writer(len(there)).state_dict(), st / "model.pth")
    model = writer(len(here))
    assert len(list(init_parts(model, {"encoder": "st"}, exp))) == 1  # an encoder has no sub-words
    if message is None:
        list(init_parts(model, {"decoder": "st"}, exp))
        return
    with pytest.raises(TrainError) as error:
        list(init_parts(model, {"decoder": "st"}, exp))
    assert message in str(error.value)
