"""Supervised learning of when to read (Zheng et al. 2019): from sequences that an oracle makes with the translator.

The oracle goes through source prefixes and reference: it writes the next reference token if the translator ranks it
among its best, and reads on otherwise.
"""

# R prefixes, L target positions, D width, V vocabulary

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.simul.rules._learned import LearnedRule, Texts


class Rule(LearnedRule):
    decoding_options = ("rho",)

    def __init__(self, rho: float = 0.5, rank: int = 5, hidden: int = 64) -> None:
        """It reads on where that has a probability above `rho`; the oracle writes what is among the best `rank`."""
        super().__init__(hidden)
        if not 0 < rho < 1 or rank < 1:
            raise ValueError(f"rule sl: rho {rho} and rank {rank}; need one between 0 and 1, and at least 1")
        self.threshold, self.rank = rho, rank

    def loss(self, translator: Any, texts: Texts) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy of the oracle's decisions."""
        states_ND, stops_N = self.oracle(translator, texts)
        logits_N2 = self.policy(states_ND)
        loss = F.cross_entropy(logits_N2, stops_N.long(), reduction="sum") / max(len(stops_N), 1)
        right = (logits_N2.argmax(-1) == stops_N).float()  # whatever rho is: it is chosen afterwards
        return loss, {"acc": right.sum() / max(len(stops_N), 1), "stops": stops_N.float().sum() / max(len(stops_N), 1)}

    @torch.no_grad()
    def oracle(self, translator: Any, texts: Texts) -> tuple[Tensor, Tensor]:
        """The decoder's states (N, D) at the decisions of the oracle, and whether it stops there (N)."""
        prefixes = texts.prefixes(translator)
        steps = [(i, s) for i, source in enumerate(texts.sources) for s in range(len(source) - 1)]
        if not steps:
            nothing = torch.zeros(0, self.network[0].in_features, device=texts.device)
            return nothing, nothing[:, 0].bool()
        references = [torch.tensor(texts.references[i]) for i, _ in steps]
        read_RL = pad_sequence([F.pad(text, (1, 0), value=translator.sos) for text in references], batch_first=True)
        states_RLD = translator.decoder.states(*prefixes.memory(steps), read_RL.to(texts.device))
        wanted_RL = pad_sequence(references, batch_first=True).to(texts.device)
        logits_RLV = translator.decoder.output(states_RLD[:, :-1]).float()
        better_RL = (logits_RLV > logits_RLV.gather(2, wanted_RL[..., None])).sum(2)
        first = {i: row for row, (i, s) in reversed([*enumerate(steps)]) if s == 0}
        places, stops = [], []
        for i, row in sorted(first.items()):
            writes = (better_RL[row : row + len(texts.sources[i]) - 1] < self.rank).tolist()
            for s, t, stop in self.path(writes, len(texts.references[i])):
                places.append((row + s, t))
                stops.append(stop)
        rows, positions = zip(*places, strict=True)
        return states_RLD[list(rows), list(positions)], torch.tensor(stops, device=texts.device)

    @staticmethod
    def path(writes: list[list[bool]], length: int) -> list[tuple[int, int, bool]]:
        """(outer step, target position, whether to stop) of each decision; the last step is none."""
        found, s, t = [], 0, 0
        while s < len(writes) and t < length:
            stop = not writes[s][t]
            found.append((s, t, stop))
            s, t = s + stop, t + (not stop)
        return found
