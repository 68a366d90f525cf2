"""The trainable rule of arXiv 1911.03154: waiting is free, but average lagging beyond a target costs."""

from espnet_ext.scoring.latency import lag
from espnet_ext.simul.loop import Writing
from espnet_ext.simul.policy_gradient import Trajectory
from espnet_ext.simul.rules._policy import PolicyGradientRule


class Rule(PolicyGradientRule):
    def __init__(self, d: float = 5.0, alpha: float = 0.04, trajectories: int = 5, hidden: int = 64) -> None:
        """`d` is the target delay d* in source tokens; a token of lag beyond it costs `alpha`; BLEU is 1 at most."""
        super().__init__(trajectories, hidden)
        if d < 0 or alpha < 0:
            raise ValueError(f"rule tn: d {d} and alpha {alpha}; neither may be below 0")
        self.d, self.alpha = d, alpha

    def costs(self, writing: Writing, trajectory: Trajectory, source: int) -> tuple[list[float], float]:
        late = lag("al_hyp", writing.seen, source, 1) or 0.0
        return [0.0] * len(trajectory.stops), self.alpha * max(0.0, late - self.d)
