"""The reward of Gu et al. (2017) with a target of consecutive waits: reading on for longer costs each time."""

from espnet_ext.simul.loop import Writing
from espnet_ext.simul.policy_gradient import Trajectory
from espnet_ext.simul.rules._policy import PolicyGradientRule


class Rule(PolicyGradientRule):
    def __init__(self, cw: int = 5, alpha: float = 0.025, trajectories: int = 5, hidden: int = 64) -> None:
        """A decision to read the c-th token in a row costs alpha (sgn(c - `cw`) + 1)."""
        super().__init__(trajectories, hidden)
        if cw < 1 or alpha < 0:
            raise ValueError(f"rule rl: cw {cw} and alpha {alpha}; need at least 1 and 0")
        self.cw, self.alpha = cw, alpha

    def costs(self, writing: Writing, trajectory: Trajectory, source: int) -> tuple[list[float], float]:
        found = []
        for tokens, seen, stop in zip(trajectory.tokens, trajectory.seen, trajectory.stops, strict=True):
            waited = seen + 1 - (writing.seen[tokens - 1] if tokens else 0)  # with the token that it reads now
            found.append(self.alpha * (1 + (waited > self.cw) - (waited < self.cw)) if stop else 0.0)
        return found, 0.0
