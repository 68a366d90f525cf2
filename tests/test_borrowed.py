"""What must not count: examples that a rank borrows to keep in step, and what validation draws."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from espnet_ext.training.signals import StopRequest
from espnet_ext.training.step import Stepper
from espnet_ext.training.validate import validate
from tests.support.toy import ToyFactory, ToyModel, toy_options, train_toy


class Borrowing(ToyFactory):
    """After each batch comes one of borrowed examples: it has no ids."""

    def build_iter(self, epoch: int, start_batch: int = 0) -> Iterator[Any]:
        for ids, batch in super().build_iter(epoch, start_batch):
            yield ids, batch
            yield [], {name: value[:3] for name, value in batch.items()}


class Drawing(ToyFactory):
    """Draws random numbers while it is read."""

    def build_iter(self, epoch: int, start_batch: int = 0) -> Iterator[Any]:
        torch.rand(7)
        yield from super().build_iter(epoch, start_batch)


def test_borrowed_examples_do_not_change_an_update(tmp_path: Path) -> None:
    first, second = ToyModel(noise=False), None
    second = copy.deepcopy(first)
    own, borrowed = list(Borrowing().build_iter(1))[:2]
    assert own[0] and not borrowed[0]
    for model, group in ((first, [own]), (second, [own, borrowed])):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        stepper = Stepper(model, optimizer, scaler, toy_options(tmp_path), torch.device("cpu"))
        assert stepper.step(group, "here").updated
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_borrowed_examples_do_not_count_in_validation(tmp_path: Path) -> None:
    model, options = ToyModel(), toy_options(tmp_path)
    plain, borrowing = (validate(model, make(30), 1, options, False, StopRequest()) for make in (ToyFactory, Borrowing))
    assert plain == borrowing


def test_what_validation_draws_does_not_change_the_training(tmp_path: Path) -> None:
    plain = train_toy(tmp_path / "plain", valid=ToyFactory(30, seed=2))
    drawing = train_toy(tmp_path / "drawing", valid=Drawing(30, seed=2))
    for a, b in zip(plain.parameters(), drawing.parameters(), strict=True):
        assert torch.equal(a, b)
