"""The training loop: gradients, bad steps, memory, precision, schedules, averaging, early stopping."""

import logging
import math
from argparse import Namespace
from typing import Any

import pytest
import torch

from espnet_ext.training.average import average_states
from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import epochs_since_best, ranked, read_history
from espnet_ext.training.meter import Meter
from espnet_ext.training.options import REFUSED, build_options
from espnet_ext.training.prefetch import prefetch
from espnet_ext.training.step import Stepper
from espnet_ext.training.validate import score
from tests.support.toy import ToyFactory, ToyModel, toy_options, train_toy

CPU = torch.device("cpu")


def stepper(model: Any, folder: Any, **changed: Any) -> Stepper:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    return Stepper(model, optimizer, scaler, toy_options(folder, **changed), CPU)


def parameters_after_step(group: list, folder: Any) -> torch.Tensor:
    torch.manual_seed(0)
    model = ToyModel(noise=False)
    assert stepper(model, folder, grad_clip=1e9).step(group, "here").updated
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("sizes", [[12], [4, 4, 4], [1, 9, 2]])
def test_accumulated_gradients_are_those_of_one_big_batch(tmp_path, sizes):
    data = ToyFactory(12)
    rows = torch.arange(12).split(sizes)
    group = [(["x"], {"speech": data.x[r], "text": data.y[r]}) for r in rows]
    whole = [(["x"], {"speech": data.x, "text": data.y})]
    torch.testing.assert_close(parameters_after_step(group, tmp_path), parameters_after_step(whole, tmp_path))


def test_gradients_are_clipped_to_their_norm(tmp_path):
    model = ToyModel(noise=False)
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    data = ToyFactory(12)
    stepper(model, tmp_path, grad_clip=0.01).step([(["x"], {"speech": data.x, "text": data.y})], "here")
    moved = torch.cat([p.detach().flatten() for p in model.parameters()]) - before
    assert moved.norm().item() == pytest.approx(0.1 * 0.01, rel=1e-3)  # learning rate * norm


class NaNModel(ToyModel):
    """Its loss is not a number for some of its calls in training."""

    def __init__(self, bad: range) -> None:
        super().__init__(noise=False)
        self.bad, self.calls = bad, 0

    def forward(self, **batch: Any) -> Any:
        loss, stats, weight = super().forward(**batch)
        self.calls += self.training
        if self.training and self.calls in self.bad:
            loss = loss * math.nan
            stats["loss"] = loss.detach()
        return loss, stats, weight


def test_a_bad_step_is_skipped_and_counted(tmp_path, capfd):
    model = train_toy(tmp_path, model=NaNModel(range(3, 5)), max_epoch=1)
    (entry,) = read_history(tmp_path / "history.jsonl")
    assert entry["skipped"] == 2 and math.isfinite(entry["train"]["loss"])
    assert all(p.isfinite().all() for p in model.parameters())
    assert (
        "epoch 1, batch 3: loss or gradient is NaN or infinite, step skipped (1 in a row): utt"
        in capfd.readouterr().err
    )


def test_ten_bad_steps_stop_the_run_with_the_ids(tmp_path):
    with pytest.raises(TrainError, match=r"epoch 2, batch 4: .* 10 steps in a row, last with 12 utterances \(utt\d+, "):
        train_toy(tmp_path, model=NaNModel(range(3, 99)), max_epoch=2)
    assert not (tmp_path / "model.pth").exists()


class GreedyForMemory(ToyModel):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, **batch: Any) -> Any:
        raise self.error


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_out_of_memory_names_the_batch_and_the_option(tmp_path, error):
    with pytest.raises(
        TrainError, match=r"out of memory on a batch of 12 utterances \(utt.*Lower batch_bins \(now 1000\)"
    ) as e:
        train_toy(tmp_path, model=GreedyForMemory(error))
    assert "epoch 1, batch 1:" in str(e.value) and "speech 12 x 6" in str(e.value)


def test_a_true_lack_of_memory_is_recognised(tmp_path):
    class Huge(ToyModel):
        def forward(self, speech: torch.Tensor, **batch: Any) -> Any:
            return torch.empty(1 << 60)

    with pytest.raises(TrainError, match="out of memory"):
        train_toy(tmp_path, model=Huge())


def test_other_errors_pass(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"):
        train_toy(tmp_path, model=GreedyForMemory(RuntimeError("shapes do not fit")))


def test_bf16_trains(tmp_path):
    seen = []
    model = ToyModel()
    model.encoder.register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    train_toy(tmp_path, model=model, amp="bf16", max_epoch=4)
    losses = [entry["train"]["loss"] for entry in read_history(tmp_path / "history.jsonl")]
    assert set(seen) == {torch.bfloat16} and losses[-1] < 0.8 * losses[0]
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def arguments(**changed: Any) -> Namespace:
    return Namespace(**{**vars(toy_options("exp")), "ngpu": 0, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"amp": "fp16"}, "amp: fp16 needs a GPU"),
        ({"use_amp": True}, "set amp: auto"),
        ({"use_wandb": True}, "does not support it"),
        ({"best_model_criterion": [["valid", "acc", "max"], ["train", "loss", "min"]]}, "exactly one"),
        ({"accum_grad": 0}, "at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(changed, message):
    with pytest.raises(TrainError, match=message):
        build_options(arguments(**changed))


def test_options_that_can_be():
    assert build_options(arguments(keep_nbest_models=3, **dict.fromkeys(REFUSED, False))).nbest == 3


def test_average_of_states(tmp_path):
    states = [
        {
            "weight": torch.tensor([1.0, 2.0]),
            "half": torch.tensor([1.0], dtype=torch.bfloat16),
            "count": torch.tensor(7),
        },
        {
            "weight": torch.tensor([3.0, 6.0]),
            "half": torch.tensor([2.0], dtype=torch.bfloat16),
            "count": torch.tensor(9),
        },
    ]
    paths = [tmp_path / f"{i}epoch.pth" for i in range(2)]
    for path, state in zip(paths, states):
        torch.save(state, path)
    mean = average_states(paths)
    assert mean["weight"].tolist() == [2.0, 4.0] and mean["half"].tolist() == [1.5] and mean["count"].item() == 7
    assert [mean[name].dtype for name in states[0]] == [value.dtype for value in states[0].values()]
    torch.save({"weight": torch.zeros(2)}, paths[1])
    with pytest.raises(ValueError, match="only one of them has count"):
        average_states(paths)


def test_the_model_is_the_mean_of_the_best_epochs(tmp_path):
    train_toy(tmp_path, max_epoch=5, keep_nbest_models=[2])
    kept = sorted(path.name for path in tmp_path.glob("*epoch.pth"))
    best = ranked(read_history(tmp_path / "history.jsonl"), ["valid", "acc", "max"])[:2]
    assert kept == sorted(f"{epoch}epoch.pth" for epoch in best)
    model, one, two = (torch.load(tmp_path / n, weights_only=True)["decoder.weight"] for n in ("model.pth", *kept))
    torch.testing.assert_close(model, (one + two) / 2)


def test_early_stopping(tmp_path, capfd):
    class Worse(ToyModel):
        epochs = 0

        def train(self, mode: bool = True) -> Any:
            self.epochs += mode
            return super().train(mode)

        def forward(self, **batch: Any) -> Any:
            loss, stats, weight = super().forward(**batch)
            return loss, {**stats, "loss": stats["loss"] * 0 + abs(self.epochs - 3.0)}, weight  # best at the second

    train_toy(tmp_path, model=Worse(), max_epoch=20, patience=2)
    history = read_history(tmp_path / "history.jsonl")
    assert len(history) - ranked(history, ["valid", "loss", "min"])[0] == 3 and len(history) < 20
    assert "training ends early" in capfd.readouterr().err


def entry(epoch: int, value: float) -> dict:
    return {"epoch": epoch, "train": {}, "valid": {"acc": value}}


@pytest.mark.parametrize(
    "values, mode, best, since",
    [
        ([0.1, 0.3, 0.2], "max", [2, 3, 1], 1),
        ([0.1, 0.3, 0.2], "min", [1, 3, 2], 2),
        ([0.5, 0.5], "max", [1, 2], 1),
        ([math.nan, 0.1], "max", [2, 1], 0),
    ],
)
def test_ranking_of_epochs(values, mode, best, since):
    history = [entry(i, value) for i, value in enumerate(values, 1)]
    assert ranked(history, ["valid", "acc", mode]) == best
    assert epochs_since_best(history, ["valid", "acc", mode]) == since


def test_an_unknown_criterion_says_what_there_is():
    with pytest.raises(ValueError, match="valid bleu max: epoch 1 has no such value; it has valid acc"):
        ranked([entry(1, 0.5)], ["valid", "bleu", "max"])


def test_meter_weights_batches():
    meter = Meter()
    meter.add({"loss": torch.tensor(1.0), "acc": None}, torch.tensor(1.0))
    meter.add({"loss": torch.tensor(4.0), "acc": torch.tensor(0.5)}, torch.tensor(3.0))
    assert meter.means() == {"loss": 3.25, "acc": 0.5}
    assert Meter(meter.state()).means() == meter.means()


def test_prefetch_keeps_order_and_errors():
    assert list(prefetch(range(9), lambda i: i * i)) == [i * i for i in range(9)]
    with pytest.raises(ZeroDivisionError):
        list(prefetch([1, 0], lambda i: 1 / i))
    for _ in prefetch(range(10**9), lambda i: i):  # leaving early must not hang
        break


@pytest.mark.parametrize(
    "stream, lang, reference, hypothesis, name, value",
    [
        ("asr", "en", "a b c d", "a x c", "wer", 50.0),
        ("asr", "zh", "我们来了", "我来了", "cer", 25.0),
        ("st", "de", "das ist ein Haus", "das ist ein Haus", "bleu", 100.0),
        ("mt", "zh", "我们来了。", "我们来了。", "bleu", 100.0),
    ],
)
def test_greedy_scores(stream, lang, reference, hypothesis, name, value):
    found, figure = score(stream, lang, [reference], [hypothesis])
    assert found == name and figure == pytest.approx(value)


def test_tensorboard_and_curves(tmp_path):
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    train_toy(tmp_path, max_epoch=2, use_tensorboard=True)
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    losses = [entry["valid"]["loss"] for entry in read_history(tmp_path / "history.jsonl")]
    assert [event.value for event in events.Scalars("loss/valid")] == pytest.approx(losses)
