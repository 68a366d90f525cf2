"""What the finished epochs say: which are the best, and whether training should stop."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.training.errors import TrainError

Epoch = dict[str, Any]  # {"epoch": 3, "step": 120, "lr": 1e-3, ..., "train": {"loss": ...}, "valid": {"acc": ...}}
Criterion = Sequence[str]  # (phase, key, "min" or "max")


def ranked(history: Sequence[Epoch], criterion: Criterion) -> list[int]:
    """Epoch numbers from best to worst; the earlier of two equals wins, and NaN is worst."""
    phase, key, mode = criterion
    for entry in history:
        if key not in entry.get(phase, {}):
            known = ", ".join(f"{p} {k}" for p in ("train", "valid") for k in entry.get(p, {}))
            raise ValueError(
                f"criterion {phase} {key} {mode}: epoch {entry['epoch']} has no such value; it has {known}"
            )
    sign = {"min": 1, "max": -1}[mode]
    order = sorted((math.isnan(e[phase][key]), sign * e[phase][key], e["epoch"]) for e in history)
    return [epoch for _, _, epoch in order]


def epochs_since_best(history: Sequence[Epoch], criterion: Criterion) -> int:
    """How many epochs have gone by without an improvement."""
    return history[-1]["epoch"] - ranked(history, criterion)[0] if history else 0


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write one line per epoch; always the whole file, so that a resumed run repeats none."""
    with atomic_open(path) as stream:
        stream.writelines(json.dumps(entry) + "\n" for entry in history)


def read_history(path: Path) -> list[Epoch]:
    epochs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            epochs.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise TrainError(f"{path}:{number}: not JSON ({error.msg}); train again or remove the line") from error
    return epochs
