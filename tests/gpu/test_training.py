"""`python -m espnet_ext.train` on the device: every number format learns, and a stopped training goes on to the bit."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from espnet_ext import train
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.training.history import read_history
from espnet_ext.training.trainer import Loop
from tests.support.tiny_train import arguments, make_dumps, write_config
from tests.test_resume import assert_same_run, load

MASKS = {"specaug": "specaug", "specaug_conf": {"apply_time_warp": False, "freq_mask_width_range": [0, 10]}}
MASKS["specaug_conf"] |= {"time_mask_width_range": [0, 8], "num_time_mask": 1}  # type: ignore[operator]
SYSTEMS: dict[str, dict[str, Any]] = {
    "asr": {"model_conf": {"asr_ctc_weight": 0.3}},
    "e2e": MASKS,
    "mutual": {"best_model_criterion": [["valid", "acc", "max"]]},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    make_dumps(folder, utterances=30)
    return folder


def train_on(root: Path, device: str, name: str, *more: str) -> Path:
    """exp/<name>, trained."""
    train.main(arguments(root, name, "--ngpu", str(int(device == "cuda")), *more))
    return root / "exp" / name


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_learns_in_every_format(root: Path, system: str, amp: str, device: str) -> None:
    name = f"{system}_{amp}"
    write_config(root / "conf" / f"{name}.yaml", model=system, amp=amp, max_epoch=3, **SYSTEMS[system])
    exp = train_on(root, device, name)
    history = read_history(exp / "history.jsonl")
    assert history[-1]["valid"]["loss"] < 0.95 * history[0]["valid"]["loss"]
    assert history[-1]["skipped"] <= (3 if amp == "fp16" else 0), "fp16 begins with a scale that is too large"
    assert json.loads((exp / "run.json").read_text())["amp"] == [amp]
    assert all(entry["memory_gb"] > 0 for entry in history)
    assert all(p.device.type == "cpu" for p in load_experiment(exp).model.parameters())


@pytest.fixture()
def same_bits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Operations that give the same each time; of attention and of some others a GPU has faster ones that do not."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_stopped_training_goes_on_to_the_bit(
    root: Path, device: str, same_bits: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout and masks, so the GPU's random numbers go on where they were, too."""
    for name in ("whole", "stopped"):
        write_config(root / "conf" / f"{name}.yaml", model="e2e", **MASKS)
    whole = train_on(root, device, "whole")
    step = Loop._step

    def step_and_stop(self: Loop, group: Any) -> None:
        step(self, group)
        if (self.position.epoch, self.position.batch) == (2, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", step_and_stop)
        with pytest.raises(SystemExit) as end:
            train_on(root, device, "stopped")
    assert end.value.code == 128 + signal.SIGTERM
    stopped = train_on(root, device, "stopped")
    assert_same_run(whole, stopped)
    rngs = [load(exp / "checkpoint.pth")["rngs"][0] for exp in (whole, stopped)]
    assert ("cuda" in rngs[0]) == (device == "cuda")
    assert all(torch.equal(rngs[0][name], rngs[1][name]) for name in ("torch", "cuda") if name in rngs[0])
