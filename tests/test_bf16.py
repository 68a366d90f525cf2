"""What this machine multiplies in: `auto`, warnings where bf16 is emulated, and where the choice is written down."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from espnet_ext import decode, models, train
from espnet_ext.machine import bf16
from espnet_ext.machine.precision import prepare
from espnet_ext.reporting.tables import origins
from tests.support.tiny_train import arguments, make_dumps, write_config
from tests.test_models import batch_of, build, read

KINDS = {"bf16": True, "none": False}  # what `amp: auto` is, by whether the machine multiplies in bf16


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("recipe")
    make_dumps(root)
    write_config(root / "conf" / "asr.yaml", amp="auto", max_epoch=1)
    return root


def machine(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(bf16, "is_native", lambda device="cpu": native)


def asr(root: Path, name: str, *changes: str) -> list[str]:
    """The command that trains asr as exp/NAME."""
    line = arguments(root, "asr", *(["--set", *changes] if changes else []))
    return [line[0], f"{root}/exp/{name}", *line[2:]]


def run_json(root: Path, name: str) -> dict:
    return json.loads((root / "exp" / name / "run.json").read_text())


@pytest.mark.parametrize(
    ("features", "onednn", "native"),
    [
        ({"avx512_bf16": True}, True, True),
        ({"amx_bf16": True}, True, True),
        ({"avx512_bf16": True}, False, False),  # told to use less
        ({}, True, False),  # AVX-512 of before: oneDNN has kernels, which emulate
        ({}, False, False),
        ({"architecture": "aarch64"}, True, True),
    ],
)
def test_cpus(monkeypatch, features, onednn, native):
    found = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False, **features}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
    assert bf16.is_native() is native


@pytest.mark.parametrize(("available", "native"), [(True, True), (True, False), (False, False)])
def test_gpus(monkeypatch, available, native):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native)
    assert bf16.is_native("cuda") is native


@pytest.mark.parametrize("native", [True, False])
def test_wishes(monkeypatch, native):
    machine(monkeypatch, native)
    assert bf16.choose("auto", "cpu", "none") == ("bf16" if native else "none")
    assert bf16.choose("bf16", "cpu", "none") == "bf16" and bf16.choose("int8", "cpu", "fp32") == "int8"
    assert "auto: " + ("bf16" if native else "fp32") in str(bf16.remark("--dtype", "auto", "cpu", "fp32"))
    assert bf16.remark("amp:", "none", "cpu", "none") is None


def test_emulated_bf16_is_measured(monkeypatch):
    machine(monkeypatch, True)
    assert bf16.remark("amp:", "bf16", "cpu", "none") is None
    machine(monkeypatch, False)
    monkeypatch.setattr(bf16, "seconds", lambda dtype, device: 61.2 if dtype == torch.bfloat16 else 1.0)
    told = bf16.remark("amp:", "bf16", "cpu", "none")
    assert told is not None and "takes 61.2 times as long as in fp32; auto or none is faster" in told


def test_a_product_is_timed():
    assert all(0 < bf16.seconds(dtype, "cpu") < 60 for dtype in (torch.float32, torch.bfloat16))


@pytest.mark.parametrize(("amp", "native"), KINDS.items())
def test_the_choice_is_printed_and_kept(root, monkeypatch, capfd, amp, native):
    machine(monkeypatch, native)
    train.main(asr(root, f"kept_{amp}"))
    assert f"amp: auto: {amp} on this machine" in capfd.readouterr().err
    assert run_json(root, f"kept_{amp}")["amp"] == [amp]
    assert yaml.safe_load((root / "exp" / f"kept_{amp}" / "config.yaml").read_text())["amp"] == amp


def test_another_machine_goes_on_only_if_told_to(root, monkeypatch):
    machine(monkeypatch, True)
    train.main(asr(root, "moved"))
    machine(monkeypatch, False)
    train.main(asr(root, "moved"))  # finished: nothing to choose
    refusal = r"begun with amp: bf16, and amp: auto means none on this machine.* --set amp=bf16 .* --set amp=none"
    with pytest.raises(SystemExit, match=refusal):
        train.main(asr(root, "moved", "max_epoch=2"))
    with pytest.raises(SystemExit, match=r"was trained with amp: bf16, and is finished, so amp: none has no effect"):
        train.main(asr(root, "moved", "amp=none"))
    train.main(asr(root, "moved", "max_epoch=2", "amp=none"))
    assert run_json(root, "moved")["amp"] == ["bf16", "none"]
    machine(monkeypatch, True)
    with pytest.raises(SystemExit, match="begun with amp: none, and amp: auto means bf16"):
        train.main(asr(root, "moved", "max_epoch=3"))


def test_decoding_takes_what_the_machine_has(root, monkeypatch, capfd):
    machine(monkeypatch, False)
    train.main(asr(root, "asr"))
    for wish, dtype in (("auto", "fp32"), ("bf16", "bf16")):
        out = root / "out" / wish
        decode.main([f"{root}/exp/asr", f"{root}/dump/dev", "--out", str(out), "--dtype", wish])
        assert json.loads((out / "decode.json").read_text())["options"]["dtype"] == dtype
    told = capfd.readouterr().err
    assert "--dtype auto: fp32 on this machine" in told and "--dtype bf16: emulated on this machine" in told


@pytest.mark.parametrize("dtype", ["bf16", "int8"])
def test_no_bf16_layer_is_packed_where_it_is_emulated(monkeypatch, dtype):
    """There oneDNN refuses to lay out weights in bf16."""
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", lambda weight: pytest.fail("packed"))
    machine(monkeypatch, False)
    model = prepare(nn.Sequential(nn.Linear(16, 16)), dtype)
    assert model(torch.ones(1, 16)).shape == (1, 16)


def test_tables_say_in_which_numbers():
    def result(amp: list[str] | None, **options: str) -> dict:
        return {
            "commit": "a",
            "seed": 1,
            "decode_options": options,
            "trained": {"commit": "a", "seed": 1, "amp": amp or []},
        }

    results = {"asr": result(["bf16"], dtype="fp32"), "mt": result(["bf16", "none"], dtype="fp32"), "e2e": result(None)}
    assert origins(results) == [
        "Trained: commit a, seed 1, bf16 (asr).",
        "Trained: commit a, seed 1, bf16 then fp32 (mt).",
        "Trained: commit a, seed 1 (e2e).",
        "Decoded: commit a, seed 1, fp32 (asr, mt).",
        "Decoded: commit a, seed 1 (e2e).",
    ]


@pytest.mark.parametrize("name", models.NAMES)
def test_every_system_decodes_in_bf16(name, tmp_path):
    """Whether it calls its parts whole, or an input layer alone, or has a part that is a system."""
    model = prepare(build(name, tmp_path), "bf16")
    options = {s: o.replace(beam=2, max_length=5) for s, o in model.search_options({}).items()}
    with torch.inference_mode():
        found = model.decode(read(model, model.inputs, batch_of()), options)
    assert all(nbest[0].score > float("-inf") for nbests in found.values() for nbest in nbests)
    left = [key for key, parameter in model.named_parameters() if parameter.dtype != torch.bfloat16]
    assert all(key.startswith("rule.") for key in left)  # what a rule has learned stays in fp32
