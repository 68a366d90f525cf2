"""The trainable rule of arXiv 1911.03154: a network over the decoder's state, learned by policy gradient."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espnet_ext.scoring.latency import lag
from espnet_ext.simul.loop import Writing
from espnet_ext.simul.policy_gradient import SampledLoops, Trajectory, gradient_loss, normalised
from espnet_ext.simul.rewards import prefix_bleu
from espnet_ext.simul.rules._learned import LearnedRule, Texts


class Rule(LearnedRule):
    def __init__(self, d: float = 5.0, alpha: float = 0.04, trajectories: int = 5, hidden: int = 64) -> None:
        """`d` is the target delay d*, in source tokens; beyond it a token of average lagging costs `alpha`."""
        super().__init__(hidden)
        if d < 0 or alpha < 0 or trajectories < 1:
            raise ValueError(f"rule tn: d {d}, alpha {alpha}, trajectories {trajectories}; need >= 0, >= 0 and >= 1")
        self.d, self.alpha, self.copies = d, alpha, trajectories

    def loss(self, translator: Any, texts: Texts) -> tuple[Tensor, dict[str, Tensor]]:
        """The policy gradient over sampled trajectories; outside training, what the rule's own choices are worth."""
        sampled = SampledLoops(translator, self, texts.prefixes(translator), texts.longest)
        if not self.training:
            sampled.draw = lambda chances_N: chances_N > self.threshold  # type: ignore[method-assign]
        writings = texts.write(sampled, self.copies if self.training else 1)
        states_ND, stops_N, trajectories = sampled.trajectories()
        copies = len(writings) // max(len(texts.sources), 1)
        returns, stats = self.judge(writings, trajectories, texts, copies)
        loss = gradient_loss(self.policy(states_ND), stops_N, trajectories, normalised(returns))
        return loss, {name: torch.tensor(value) for name, value in stats.items()}

    def judge(
        self, writings: Sequence[Writing], trajectories: Sequence[Trajectory], texts: Texts, copies: int
    ) -> tuple[list[list[float]], dict[str, float]]:
        """The return of every decision, and the means over the trajectories."""
        returns, sums = [], {"reward": 0.0, "bleu": 0.0, "al": 0.0}
        for row, (writing, trajectory) in enumerate(zip(writings, trajectories, strict=True)):
            source, reference = texts.sources[row // copies], texts.references[row // copies]
            bleus = prefix_bleu(writing.tokens, reference)
            late = lag("al_hyp", writing.seen, len(source), len(reference)) or 0.0
            returns.append(self.returns(bleus, late, trajectory))
            for name, value in (("bleu", bleus[-1]), ("al", late), ("reward", bleus[-1] - self.cost(late))):
                sums[name] += value / len(writings)
        return returns, sums

    def cost(self, late: float) -> float:
        return self.alpha * max(0.0, late - self.d)

    def returns(self, bleus: Sequence[float], late: float, trajectory: Trajectory) -> list[float]:
        """R_t = sum_{i>=t} r_i: the growth of BLEU from token t on, then all of it and the lag with the end token."""
        return [bleus[-1] - bleus[tokens] + bleus[-1] - self.cost(late) for tokens in trajectory.tokens]
