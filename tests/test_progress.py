"""What is said while a training runs: no estimate before there is ground for one."""

import pytest
import torch

from espnet_ext.training import progress
from espnet_ext.training.progress import SLOW_BATCHES, Progress


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def line(shown: Progress, batch: int, capsys: pytest.CaptureFixture[str]) -> str:
    shown.utterances = 8 * batch
    shown.show(batch, {"loss": 1.0})
    return capsys.readouterr().err


def test_slow_first_batches_do_not_count_in_the_time_left(time: list[float], capsys) -> None:
    shown = Progress("epoch 1/3", 0, 110, 2, torch.device("cpu"))
    time[0] += 60  # kernels are made
    assert "time left not known yet" in line(shown, 4, capsys)
    time[0] += 60
    assert "time left not known yet" in line(shown, SLOW_BATCHES, capsys)  # from here on it is measured
    time[0] += 5
    text = line(shown, SLOW_BATCHES + 10, capsys)
    assert "left 0:00:45 of the epoch, 0:02:35 of the training" in text and "loss 1.000" in text


def test_every_task_has_its_loss_and_accuracy(time: list[float], capsys) -> None:
    shown = Progress("epoch 1/3", 0, 110, 2, torch.device("cpu"), ("asr", "st", "mt"))
    time[0] += 60
    means = {"loss": 3.0, "acc": 0.5, "loss_st": 2.0, "acc_st": 0.25, "loss_asr": 4.0, "acc_asr": 0.75}
    shown.show(20, means)
    assert "loss 3.000, acc 0.500 (asr 4.000 0.750, st 2.000 0.250), " in capsys.readouterr().err


def test_a_validation_says_only_what_is_left_of_it(time: list[float], capsys) -> None:
    shown = Progress("validation after epoch 2", 0, 30, 0, torch.device("cpu"))
    assert not shown.is_due()
    time[0] += progress.LOG_SECONDS + 1
    assert shown.is_due()
    line(shown, 10, capsys)
    time[0] += 10
    text = line(shown, 20, capsys)
    assert text.startswith("validation after epoch 2: batch 20/30") and "left 0:00:10\n" in text
