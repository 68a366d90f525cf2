"""Weighted means of a model's statistics over an epoch, kept on the device so that no step waits for them."""

from collections.abc import Mapping
from typing import Any

import torch


class Meter:
    """Running sums of `stats * weight` per name, in float64; a name may be missing from some batches."""

    def __init__(self, state: Mapping[str, Mapping[str, float]] | None = None) -> None:
        state = state or {}
        self.sums: dict[str, Any] = dict(state.get("sums", {}))
        self.weights: dict[str, Any] = dict(state.get("weights", {}))

    def add(self, stats: Mapping[str, Any], weight: torch.Tensor) -> None:
        weight = weight.detach().double().sum()
        for name, value in stats.items():
            if value is None:
                continue
            value = value.detach().double().mean() if isinstance(value, torch.Tensor) else float(value)
            self.sums[name] = self.sums.get(name, 0.0) + value * weight
            self.weights[name] = self.weights.get(name, 0.0) + weight

    def own_means(self) -> dict[str, float]:
        """The weighted mean of each name so far, of this process alone."""
        return {name: float(self.sums[name] / weight) for name, weight in self.weights.items() if weight}

    def state(self) -> dict[str, dict[str, float]]:
        """The sums over all processes, as numbers."""
        own = {
            "sums": {name: float(value) for name, value in self.sums.items()},
            "weights": {name: float(value) for name, value in self.weights.items()},
        }
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return own
        gathered: list[Any] = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(gathered, own)
        total: dict[str, dict[str, float]] = {"sums": {}, "weights": {}}
        for part in gathered:
            for kind, values in part.items():
                for name, value in values.items():
                    total[kind][name] = total[kind].get(name, 0.0) + value
        return total

    def means(self) -> dict[str, float]:
        """The weighted mean of each name over all processes."""
        state = self.state()
        return {name: state["sums"][name] / weight for name, weight in state["weights"].items() if weight}
