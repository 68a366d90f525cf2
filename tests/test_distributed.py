"""Two processes under torchrun (gloo) train as one process does on the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espnet_ext import train
from espnet_ext.task_aware import maml
from espnet_ext.training.history import read_history
from tests.support.tiny_train import PARTS, arguments, make_dumps, write_config
from tests.support.toy_tasks import make_task_dumps

ROOT = Path(__file__).parent.parent
NO_DROPOUT = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0, "self_attention_dropout_rate": 0.0}
# sums of halves differ from the whole in the last bits, and the optimizer spreads that over the steps
TOLERANCE = 1e-4


def torchrun(arguments: list[str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command += ["-m", "espnet_ext.train", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_two_processes_interrupted_once_give_the_losses_of_one(tmp_path):
    make_dumps(tmp_path)
    for name in ("one", "two"):
        write_config(
            tmp_path / "conf" / f"{name}.yaml",
            model="asr",
            model_conf={"asr_ctc_weight": 0.3},
            encoder_conf={
                "output_size": 32,
                "input_layer": "conv2d",
                **PARTS,
                "dropout_rate": 0.0,
                "positional_dropout_rate": 0.0,
                "attention_dropout_rate": 0.0,
            },
            decoder_conf={**PARTS, **NO_DROPOUT, "src_attention_dropout_rate": 0.0},
            scheduler_conf={"warmup_steps": 10, "total_steps": 20},
            batch_bins=2000,
            accum_grad=2,
        )
    train.main(arguments(tmp_path, "one"))
    for epochs in (1, 2):
        run = torchrun(arguments(tmp_path, "two", "--set", f"max_epoch={epochs}"))
        assert run.returncode == 0, run.stderr[-3000:]
        assert run.stderr.count(f"epoch {epochs}/{epochs}: train") == 1  # only the first process speaks
    assert run.stderr.count("resumed at epoch 2, batch 0") == 1
    one, two = (read_history(tmp_path / "exp" / name / "history.jsonl") for name in ("one", "two"))
    assert len(one) == len(two) == 2
    for a, b in zip(one, two):
        assert a["step"] == b["step"] and a["valid"].keys() == b["valid"].keys()
        for phase in ("train", "valid"):
            for key in ("loss", "acc", "loss_asr", "loss_asr_ctc"):
                assert b[phase][key] == pytest.approx(a[phase][key], rel=TOLERANCE, abs=1e-3 if key == "acc" else 0)
        assert b["train"]["grad_norm"] == pytest.approx(a["train"]["grad_norm"], rel=1e-3)
        assert b["valid"]["wer_asr"] == pytest.approx(a["valid"]["wer_asr"], abs=5)
    states = [torch.load(tmp_path / "exp" / name / "model.pth", weights_only=True) for name in ("one", "two")]
    for key in states[0]:
        torch.testing.assert_close(states[1][key], states[0][key], rtol=1e-2, atol=1e-3, msg=key)
    rngs = torch.load(tmp_path / "exp" / "two" / "checkpoint.pth", weights_only=True)["rngs"]
    assert len(rngs) == 2 and not torch.equal(rngs[0]["torch"], rngs[1]["torch"])


def test_two_processes_learn_tasks_as_one_does(tmp_path):
    """A batch of text leaves the convolutions of speech without a gradient."""
    quiet = {"dropout_rate": 0.0, "positional_dropout_rate": 0.0, "attention_dropout_rate": 0.0}
    make_task_dumps(
        tmp_path,
        model="task_aware",
        encoder_conf={"output_size": 32, "input_layer": "conv1d8", **PARTS, **quiet},
        decoder_conf={**PARTS, **NO_DROPOUT, "src_attention_dropout_rate": 0.0},
        mixture={"batches": 12, "temperature": 2},
        max_epoch=1,
        greedy_every=0,
    )
    config = tmp_path / "conf" / "toy_tasks.yaml"
    for name in ("one", "two"):
        (tmp_path / "conf" / f"{name}.yaml").write_text(config.read_text())
    train.main(arguments(tmp_path, "one"))
    run = torchrun(arguments(tmp_path, "two"))
    assert run.returncode == 0, run.stderr[-3000:]
    (one,), (two,) = (read_history(tmp_path / "exp" / name / "history.jsonl") for name in ("one", "two"))
    assert one["train"].keys() == two["train"].keys() >= {"loss_asr", "loss_st", "loss_mt"}
    for phase in ("train", "valid"):
        for key, value in one[phase].items():
            assert two[phase][key] == pytest.approx(value, rel=TOLERANCE, abs=1e-3), key


RATE = 0.3


class Curved(torch.nn.Module):
    """A loss whose second derivative is not constant, so that the order of meta-learning is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.tensor([0.5, -0.2], dtype=torch.float64))

    def loss_of(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict]:
        return (batch["text"] * self.x**3).sum(1).mean(), {}


def parts_of_batch() -> list[torch.Tensor]:
    """What each process has: halves of 2 and 1 examples to meta-train on, of unlike size."""
    text = torch.arange(1.0, 17.0, dtype=torch.float64).view(8, 2)
    return [text[:5], text[5:]]


def meta_learn(rank: int, order: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    model = Curved()
    loss, _ = maml.maml_loss(model, model.loss_of, {"text": parts_of_batch()[rank]}, RATE, order, "tcn")
    loss.backward()
    torch.save((loss.detach(), model.x.grad), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("order", [1, 2])
def test_a_meta_learning_step_takes_the_mean_gradient_of_all_examples(order: int, tmp_path: Path) -> None:
    """g is that of the three examples of both processes; the mean of the outer gradients is that of the mean loss."""
    torch.multiprocessing.spawn(meta_learn, (order, tmp_path), nprocs=2)
    losses, gradients = zip(*(torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)), strict=True)
    model = Curved()
    halves = [maml.halves({"text": part}) for part in parts_of_batch()]
    together = torch.cat([train["text"] for train, _ in halves])
    (g,) = torch.autograd.grad(model.loss_of({"text": together})[0], [model.x], create_graph=True)
    moved = Curved()
    del moved.x
    moved.x = model.x - RATE * (g if order == 2 else g.detach())
    wanted = [moved.loss_of(test)[0] for _, test in halves]
    (gradient,) = torch.autograd.grad(sum(wanted) / 2, [model.x])
    torch.testing.assert_close(torch.stack(losses), torch.stack(wanted).detach())
    torch.testing.assert_close(sum(gradients) / 2, gradient)
