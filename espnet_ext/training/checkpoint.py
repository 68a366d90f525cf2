"""Everything that a run needs to go on as if it had never stopped, in one file that is whole or absent."""

import random
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.infra.files import atomic_open, cannot_write
from espnet_ext.infra.weights import DamagedError, load_tensors
from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import Epoch


@dataclass
class Position:
    """How far a run has come."""

    epoch: int = 1  # the epoch being trained, counted from 1
    batch: int = 0  # batches of it that are used up
    step: int = 0  # optimizer steps since the beginning
    skipped: int = 0  # steps without an update, since the beginning
    skipped_in_a_row: int = 0
    seconds: float = 0.0  # spent in training, over all restarts
    meter: dict[str, dict[str, float]] = field(default_factory=dict)  # the unfinished epoch's statistics
    history: list[Epoch] = field(default_factory=list)  # the finished epochs


def rng_state() -> dict[str, Any]:
    """The state of every random number generator of this process, as tensors and numbers."""
    version, numbers, gauss = random.getstate()
    numpy_state: Any = np.random.get_state()
    name, keys, position, has_gauss, cached = numpy_state
    state = {
        "python": [version, list(numbers), gauss],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def save(path: Path, value: Any, kept: str) -> None:
    """torch.save that leaves the file before it whole when the disk is full; `kept` says what is still there."""
    try:
        with atomic_open(path, "wb") as stream:
            torch.save(value, stream)
    except (OSError, RuntimeError) as error:
        raise TrainError(f"{cannot_write(path, error)}. {kept}") from error


class Checkpoint:
    """The file `checkpoint.pth` of an experiment."""

    def __init__(self, folder: Path, parts: dict[str, Any]) -> None:
        self.path = folder / "checkpoint.pth"
        self.parts = parts  # objects with state_dict and load_state_dict: model, optimizer, scheduler, scaler
        self.saved: str | None = None

    def save(self, position: Position, rngs: list[dict[str, Any]]) -> None:
        kept = f"The checkpoint of {self.saved} is whole." if self.saved else "There was no checkpoint before it."
        state = {name: part.state_dict() for name, part in self.parts.items()}
        save(self.path, {**state, "position": asdict(position), "rngs": rngs}, kept)
        self.saved = f"epoch {position.epoch}, batch {position.batch}"

    def load(self) -> tuple[Position, list[dict[str, Any]]]:
        """Put the saved state back into the parts; returns the position and the random states by rank."""
        try:
            # Not to a GPU: random states belong here, and the parts copy what is theirs to where they are.
            state = load_tensors(self.path, "cpu")
        except DamagedError as error:
            raise TrainError(
                f"{error}. This program never leaves half-written checkpoints: did another program write it, or is the "
                "disk damaged? Move it away to train from the beginning."
            ) from error
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
        position = Position(**state["position"])
        self.saved = f"epoch {position.epoch}, batch {position.batch}"
        return position, state["rngs"]
