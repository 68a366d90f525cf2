"""What the rules that learn by policy gradient have in common; they differ in how they reward haste."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from espnet_ext.scoring.latency import lag
from espnet_ext.simul.loop import Writing
from espnet_ext.simul.policy_gradient import SampledLoops, Trajectory, gradient_loss, normalised
from espnet_ext.simul.rewards import prefix_bleu
from espnet_ext.simul.rules._learned import LearnedRule, Texts


class PolicyGradientRule(LearnedRule):
    """The growth of BLEU rewards each token, and BLEU the end; a subclass says what waiting costs."""

    def __init__(self, trajectories: int, hidden: int) -> None:
        super().__init__(hidden)
        if trajectories < 1:
            raise ValueError(f"trajectories: {trajectories}; at least one of each sentence must be drawn")
        self.copies = trajectories

    def costs(self, writing: Writing, trajectory: Trajectory, source: int) -> tuple[list[float], float]:
        """What each decision costs, and the whole at its end."""
        raise TypeError(f"{type(self).__module__}: a rule must define costs(writing, trajectory, source)")

    def loss(self, translator: Any, texts: Texts) -> tuple[Tensor, dict[str, Tensor]]:
        """The policy gradient over sampled trajectories; outside training, what the rule's own choices are worth."""
        sampled = SampledLoops(translator, self, texts.prefixes(translator), texts.longest)
        if not self.training:
            sampled.draw = lambda chances_N: chances_N > self.threshold  # type: ignore[method-assign]
        copies = self.copies if self.training else 1
        writings = texts.write(sampled, copies)
        states_ND, stops_N, trajectories = sampled.trajectories()
        returns, stats = self.judge(writings, trajectories, texts, copies)
        loss = gradient_loss(self.policy(states_ND), stops_N, trajectories, normalised(returns))
        return loss, {name: torch.tensor(value) for name, value in stats.items()}

    def judge(
        self, writings: Sequence[Writing], trajectories: Sequence[Trajectory], texts: Texts, copies: int
    ) -> tuple[list[list[float]], dict[str, float]]:
        """The return of every decision, and the means over the trajectories."""
        returns, sums = [], {"reward": 0.0, "bleu": 0.0, "al": 0.0}
        for row, (writing, trajectory) in enumerate(zip(writings, trajectories, strict=True)):
            source = len(texts.sources[row // copies])
            bleus = prefix_bleu(writing.tokens, texts.references[row // copies])
            each, last = self.costs(writing, trajectory, source)
            returns.append(returns_to_go(bleus, trajectory, each, last))
            late = lag("al_hyp", writing.seen, source, 1) or 0.0
            for name, value in (("bleu", bleus[-1]), ("al", late), ("reward", bleus[-1] - sum(each) - last)):
                sums[name] += value / len(writings)
        return returns, sums


def returns_to_go(bleus: Sequence[float], trajectory: Trajectory, each: Sequence[float], last: float) -> list[float]:
    """R_t = sum_{i>=t} r_i: the growth of BLEU from token t on, then all of it with the end token, less what it costs.

    A decision about token t bears on nothing that was written before.
    """
    costs = [*accumulate(reversed(each))][::-1]
    return [2 * bleus[-1] - bleus[t] - cost - last for t, cost in zip(trajectory.tokens, costs, strict=True)]
