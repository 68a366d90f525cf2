"""The mean of the n best epochs' parameters: the model that decoding loads."""

from collections.abc import Sequence
from pathlib import Path

import torch

from espnet_ext.infra.weights import load_tensors


def average_states(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean of saved state dictionaries; integer buffers (counters) are taken from the first, the best."""
    if not paths:
        raise ValueError("no model to average: no epoch was finished")
    mean = load_state(paths[0])
    sums = {name: value.double() for name, value in mean.items() if value.is_floating_point()}
    for path in paths[1:]:
        state = load_state(path)
        if state.keys() != mean.keys():
            odd = sorted(state.keys() ^ mean.keys())[0]
            raise ValueError(f"{path}: not the same model as {paths[0]}: only one of them has {odd}")
        for name in sums:
            sums[name] += state[name]
    return {name: (sums[name] / len(paths)).to(value.dtype) if name in sums else value for name, value in mean.items()}


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """A saved state dictionary, on the CPU."""
    return load_tensors(path)
