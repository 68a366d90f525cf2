"""What the rules that learn have in common: a small network over the decoder's state, and how it is asked."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.simul.loop import Loops, Writing
from espnet_ext.simul.prefixes import Prefixes

# R rows, D width


class LearnedRule(nn.Module):
    """Stops where the network finds stopping more probable than `threshold`."""

    may_end = True
    learns = True
    decoding_options: tuple[str, ...] = ()  # those that training does not depend on
    threshold = 0.5

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden

    def build(self, width: int) -> None:
        """Two hidden layers, and a softmax over going on and stopping."""
        sizes = (width, self.hidden, self.hidden)
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        self.network = nn.Sequential(*layers, nn.Linear(self.hidden, 2))

    def policy(self, states_RD: Tensor) -> Tensor:
        """(R, 2): logits of going on and of stopping."""
        return self.network(states_RD.float())  # whatever the translator computes in

    def waits(self, seen: int, written: int) -> bool:
        return False

    def stops(self, states_RD: Tensor, seen_R: Tensor, written_R: Tensor) -> Tensor | None:
        return self.policy(states_RD).softmax(-1)[:, 1] > self.threshold


class Texts:
    """The sentences of a batch, as the loops read them: one source token at each outer step."""

    def __init__(self, batch: dict[str, Tensor], extra: int = 10) -> None:
        self.device, self.extra = batch["src_text"].device, extra
        self.sources, self.references = (
            [row[:n] for row, n in zip(batch[name].tolist(), batch[f"{name}_lengths"].tolist(), strict=True)]
            for name in ("src_text", "text")
        )

    def prefixes(self, translator: Any) -> Prefixes:
        prefixes = Prefixes(translator, self.device)
        for source in self.sources:
            prefixes.add(source, range(1, len(source) + 1))
        return prefixes

    def longest(self, seen: int) -> int:
        return 2 * seen + self.extra

    @torch.no_grad()
    def write(self, loops: Loops, copies: int = 1) -> list[Writing]:
        """Let the loops translate each sentence so many times."""
        loops.begin([i for i in range(len(self.sources)) for _ in range(copies)])
        return loops.run()
