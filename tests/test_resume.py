"""After kill -9 at any moment, SIGTERM, or a full disk, the same command goes on and gives the same bits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espnet_ext.training import checkpoint
from espnet_ext.training.checkpoint import save
from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import read_history
from tests.support.toy import ToyFactory, ToyModel, train_toy

TIMES = ("seconds", "utterances_per_second", "memory_gb")


def epochs(folder: Path) -> list[dict]:
    """The history without what a clock measured."""
    return [{k: v for k, v in entry.items() if k not in TIMES} for entry in read_history(folder / "history.jsonl")]


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def assert_same_run(one: Path, other: Path) -> None:
    """Bit by bit the same models, optimizer and history."""
    assert epochs(one) == epochs(other)
    assert sorted(p.name for p in one.glob("*.pth")) == sorted(p.name for p in other.glob("*.pth"))
    for name in [p.name for p in one.glob("*.pth") if p.name != "checkpoint.pth"]:
        a, b = load(one / name), load(other / name)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a), name
    a, b = load(one / "checkpoint.pth"), load(other / "checkpoint.pth")
    for index, state in a["optimizer"]["state"].items():
        assert all(torch.equal(value, b["optimizer"]["state"][index][key]) for key, value in state.items())
    assert torch.equal(a["rngs"][0]["torch"], b["rngs"][0]["torch"])


def test_ten_kills_change_no_bit(tmp_path):
    command = [sys.executable, "-m", "tests.support.kill_and_resume", str(tmp_path), "10", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:] + (tmp_path / "killed.log").read_text()[-3000:]
    assert json.loads(done.stdout)["kills"] == 10
    assert (tmp_path / "killed.log").read_text().count("resumed at") >= 5
    assert_same_run(tmp_path / "undisturbed", tmp_path / "killed")
    assert len(epochs(tmp_path / "killed")) == 12
    assert not list((tmp_path / "killed").glob(".*.tmp"))


def test_kills_change_no_bit_of_a_training_of_tasks(tmp_path):
    command = [sys.executable, "-m", "tests.support.kill_and_resume", str(tmp_path), "5", "2", "tasks"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:] + (tmp_path / "killed.log").read_text()[-3000:]
    assert (tmp_path / "killed.log").read_text().count("resumed at") >= 2
    assert_same_run(tmp_path / "undisturbed", tmp_path / "killed")


class InterruptedFactory(ToyFactory):
    """Sends this process a signal in the middle of an epoch, as Slurm does before it preempts."""

    def __init__(self, number: int, at: tuple[int, int], **options) -> None:
        super().__init__(**options)
        self.number, self.at = number, at

    def build_iter(self, epoch, start_batch=0):
        for number, item in enumerate(super().build_iter(epoch, start_batch), start_batch):
            if (epoch, number) == self.at:
                os.kill(os.getpid(), self.number)
            yield item


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_the_run(tmp_path, capfd, number):
    train_toy(tmp_path / "whole", max_epoch=2)
    with pytest.raises(SystemExit) as end:
        train_toy(tmp_path / "stopped", train=InterruptedFactory(number, (2, 3)), max_epoch=2)
    assert end.value.code == 128 + number
    assert "stopped by signal" in capfd.readouterr().err
    assert not (tmp_path / "stopped" / "model.pth").exists()
    train_toy(tmp_path / "stopped", max_epoch=2)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_a_signal_during_validation(tmp_path):
    train_toy(tmp_path / "whole", max_epoch=2)
    valid = InterruptedFactory(signal.SIGTERM, (1, 1), utterances=30, seed=2, size=6)
    with pytest.raises(SystemExit):
        train_toy(tmp_path / "stopped", valid=valid, max_epoch=2)
    train_toy(tmp_path / "stopped", max_epoch=2)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


def test_more_epochs_go_on_from_the_last(tmp_path, capfd):
    train_toy(tmp_path, max_epoch=1)
    train_toy(tmp_path, max_epoch=2)
    assert "resumed at epoch 2, batch 0" in capfd.readouterr().err
    assert [entry["epoch"] for entry in epochs(tmp_path)] == [1, 2]


def test_a_full_disk_leaves_the_checkpoint_before_whole(tmp_path, monkeypatch):
    train_toy(tmp_path, max_epoch=1)
    before = (tmp_path / "checkpoint.pth").read_bytes()
    written = []

    def full(value, stream):
        stream.write(b"half of it")
        written.append(stream.name)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full)
    with pytest.raises(
        TrainError, match=r"epoch\.pth.*No space left on device.*The checkpoint of epoch 2, batch 0 is w"
    ):
        train_toy(tmp_path, max_epoch=2)
    assert written and (tmp_path / "checkpoint.pth").read_bytes() == before
    assert not list(tmp_path.glob(".*.tmp"))


def test_a_write_limit_is_reported(tmp_path):
    """A real failing write, by the limit on the size of files."""
    script = (
        "import resource, signal, sys, torch; from pathlib import Path\n"
        "from espnet_ext.training.checkpoint import save\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))\n"
        "path = Path(sys.argv[1]); save(path, torch.zeros(10), ''); before = path.read_bytes()\n"
        "try: save(path, torch.zeros(100000), 'The first is whole.')\n"
        "except Exception as error: print(type(error).__name__, error, path.read_bytes() == before)\n"
    )
    root = Path(__file__).parent.parent
    command = [sys.executable, "-c", script, str(tmp_path / "x.pth")]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    assert (
        said.startswith("TrainError")
        and "The first is whole." in said
        and "make room on this disk" in said
        and said.endswith("True\n")
    )
    assert [p.name for p in tmp_path.iterdir()] == ["x.pth"]


def test_a_damaged_checkpoint_is_named(tmp_path):
    train_toy(tmp_path, max_epoch=1)
    (tmp_path / "checkpoint.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(TrainError, match=r"checkpoint\.pth: damaged, or no file of tensors .* Move it away"):
        train_toy(tmp_path, max_epoch=2)


def test_save_is_readable_without_trust(tmp_path):
    train_toy(tmp_path, max_epoch=1)
    state = load(tmp_path / "checkpoint.pth")
    assert {"model", "optimizer", "scheduler", "scaler", "position", "rngs"} == state.keys()
    save(tmp_path / "again.pth", state, "")
    assert load(tmp_path / "again.pth")["model"].keys() == ToyModel().state_dict().keys()
