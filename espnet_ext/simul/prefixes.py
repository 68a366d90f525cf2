"""The encoder's states of the source prefixes that a translation is written from."""

# R rows, T positions of a prefix (its start token included), D width

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from espnet_ext.nn.loss import IGNORE

Step = tuple[int, int]  # sentence, outer step
TOKENS = 4096  # of the prefixes that are encoded at a time


class Prefixes:
    """Prefixes of all sentences, encoded in batches and kept; a source may still grow."""

    def __init__(self, translator: Any, device: torch.device, reuse: bool = False) -> None:
        """With `reuse`, states of earlier positions stay as they were when these positions came in."""
        self.translator, self.device, self.reuse = translator, device, reuse
        self.is_skipped: Callable[[int], bool] = lambda seen: False  # nobody asks for prefixes of this length
        self.sources: list[list[int]] = []
        self.seen: list[list[int]] = []  # of each sentence, the source tokens seen at each outer step
        self.states: dict[Step, Tensor] = {}

    def add(self, tokens: Sequence[int], seen: Sequence[int]) -> None:
        """One more sentence."""
        self.sources.append(list(tokens))
        self.seen.append(list(seen))

    def grow(self, sentence: int, source: Sequence[int]) -> None:
        """A further outer step, at which this is the source; new text may have cut what was there into other tokens."""
        self.sources[sentence] = list(source)
        self.seen[sentence].append(len(source))

    def memory(self, steps: Sequence[Step]) -> tuple[Tensor, Tensor]:
        """States (R, T, D) of these prefixes, and their lengths."""
        if any(step not in self.states for step in steps):
            self.encode()
        found = [self.states[step] for step in steps]
        lengths_R = torch.tensor([len(states_TD) for states_TD in found], device=self.device)
        return pad_sequence(found, batch_first=True), lengths_R

    def encode(self) -> None:
        """Encode every prefix that is known and not encoded yet, those of like lengths together."""
        wanted = [
            (i, s)
            for i, seen in enumerate(self.seen)
            for s in range(len(seen))
            if (i, s) not in self.states
            and (s == len(seen) - 1 or self.reuse or not self.is_skipped(seen[s]))  # the last is always asked for
        ]
        wanted.sort(key=lambda step: self.seen[step[0]][step[1]])
        while wanted:
            # the longest come last; at least one at a time
            longest = self.seen[wanted[-1][0]][wanted[-1][1]] + 1
            size = max(1, TOKENS // longest)
            self.encode_slice(wanted[-size:])
            del wanted[-size:]
        if self.reuse:
            self.keep_first_states()

    def encode_slice(self, steps: list[Step]) -> None:
        prefixes = [torch.tensor(self.sources[i][: self.seen[i][s]], dtype=torch.long) for i, s in steps]
        tokens_RT = pad_sequence(prefixes, batch_first=True, padding_value=IGNORE).to(self.device)
        lengths_R = torch.tensor([len(prefix) for prefix in prefixes], device=self.device)
        memory_RTD, lengths_R = self.translator.encode(tokens_RT, lengths_R)
        for step, states_TD, length in zip(steps, memory_RTD, lengths_R.tolist(), strict=True):
            self.states[step] = states_TD[:length]

    def keep_first_states(self) -> None:
        """Eq. 10 of arXiv 1911.03154: a position keeps the state that it had when it came in."""
        for i, seen in enumerate(self.seen):
            for s in range(1, len(seen)):
                before_TD, now_TD = self.states[i, s - 1], self.states[i, s]
                self.states[i, s] = torch.cat([before_TD, now_TD[len(before_TD) :]])
