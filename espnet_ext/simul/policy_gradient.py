"""Learning when to stop by policy gradient: trajectories of many sentences are drawn together."""

# N decisions, D width

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from espnet_ext.simul.loop import Loops


@dataclass
class Decisions:
    """What was decided in one round."""

    rows: list[int]
    tokens: list[int]  # how many the row had written
    seen: list[int]  # how many source tokens it had seen
    states_ND: Tensor
    stops_N: Tensor


@dataclass
class Trajectory:
    """The decisions of one row, in their order: numbers in the list of all, target positions, choices."""

    numbers: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    stops: list[bool] = field(default_factory=list)


class SampledLoops(Loops):
    """Loops whose rule draws its decisions, which are kept."""

    rule: Any  # one that has a policy

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.decisions: list[Decisions] = []

    def decide(self, asked: list[int], states_RD: Tensor, seen: list[int], written: list[int]) -> Tensor:
        stops_N = self.draw(self.rule.policy(states_RD).softmax(-1)[:, 1])
        self.decisions.append(Decisions(asked, written, seen, states_RD, stops_N))
        return stops_N

    def draw(self, chances_N: Tensor) -> Tensor:
        return torch.rand_like(chances_N) < chances_N

    def trajectories(self) -> tuple[Tensor, Tensor, list[Trajectory]]:
        """The states (N, D) and choices (N) of all decisions, and which of them are whose."""
        found = [Trajectory() for _ in self.rows]
        number = 0
        for decided in self.decisions:
            for i, row in enumerate(decided.rows):
                found[row].numbers.append(number + i)
                found[row].tokens.append(decided.tokens[i])
                found[row].seen.append(decided.seen[i])
                found[row].stops.append(bool(decided.stops_N[i]))
            number += len(decided.rows)
        nothing = torch.zeros(0, self.translator.decoder.embed[0].embedding_dim, device=self.prefixes.device)
        states = [nothing, *(decided.states_ND for decided in self.decisions)]
        stops = [nothing[:, 0].bool(), *(decided.stops_N for decided in self.decisions)]
        return torch.cat(states), torch.cat(stops), found


def gradient_loss(
    logits_N2: Tensor, stops_N: Tensor, trajectories: Sequence[Trajectory], returns: Sequence[Sequence[float]]
) -> Tensor:
    """-sum R log pi(a | z) over all decisions, for each trajectory; its gradient is that of the expected reward."""
    returns_N = logits_N2.new_zeros(len(stops_N))
    for trajectory, values in zip(trajectories, returns, strict=True):
        returns_N[trajectory.numbers] = logits_N2.new_tensor(list(values))
    logp_N = logits_N2.log_softmax(-1).gather(1, stops_N.long()[:, None])[:, 0]
    return -(returns_N * logp_N).sum() / max(len(trajectories), 1)


def normalised(returns: Sequence[Sequence[float]]) -> list[list[float]]:
    """All returns of a batch less their mean, over their standard deviation; there is no other baseline."""
    flat = torch.tensor([value for values in returns for value in values])
    if len(flat) < 2:
        return [[0.0 for _ in values] for values in returns]
    mean, deviation = float(flat.mean()), float(flat.std()) + 1e-8
    return [[(value - mean) / deviation for value in values] for values in returns]
