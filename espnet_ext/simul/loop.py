"""The two loops of arXiv 1911.03154: outer steps bring source tokens, inner steps write until a rule stops them.

Many sentences at once, each at its own outer step: in every round each of them writes a token, or stops and reads on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from espnet_ext.simul.prefixes import Prefixes
from espnet_ext.simul.states import DecoderStates

# R rows at work, D width, V vocabulary
REUSE = ("none", "decoder", "encoder")


class Rule(Protocol):
    """When to stop writing and read on; asked at every outer step but the last, where all of the source is there."""

    may_end: bool  # the end may be predicted before the source has ended; writing then stops, and nothing is written

    def waits(self, seen: int, written: int) -> bool:
        """Whether the numbers of source and target tokens alone say that nothing more is to be written.

        If it waits when nothing is written, it waits however much is.
        """

    def stops(self, states_RD: Tensor, seen_R: Tensor, written_R: Tensor) -> Tensor | None:
        """(R,) true where the decoder's states say so, before a token is written; None: they are not looked at."""


@dataclass
class Writing:
    """A translation as it grows: its tokens, and for each of them how many source tokens had been seen."""

    tokens: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    score: float = 0.0  # log-probability of the tokens, each given the source seen
    step: int = 0  # outer step, counted from 0
    done: bool = False
    read: bool = False  # whether the decoder has looked at the source of this step


class Loops:
    """Translations of several sentences, as their rule lets them be written."""

    def __init__(
        self, translator: Any, rule: Rule, prefixes: Prefixes, longest: Callable[[int], int], reuse: str = "none"
    ) -> None:
        """`longest` gives the most target tokens for so many source tokens."""
        if reuse not in REUSE:
            raise ValueError(f"reuse: {reuse!r}; choose from {', '.join(REUSE)}")
        self.translator, self.rule, self.prefixes, self.longest = translator, rule, prefixes, longest
        prefixes.is_skipped = lambda seen: rule.waits(seen, 0)
        self.keeps_decoder = reuse == "decoder"
        self.rows: list[Writing] = []
        self.sentences: list[int] = []  # of each row; a sentence may have several rows
        self.whole: list[bool] = []  # whether all of a sentence's source is known
        self.states: DecoderStates | None = None

    def begin(self, sentences: Sequence[int], whole: bool = True) -> None:
        """One row for each of these sentences of the prefixes."""
        self.sentences = list(sentences)
        self.rows = [Writing() for _ in sentences]
        self.whole = [whole] * len(self.rows)

    def run(self) -> list[Writing]:
        """Write as far as the source that is there allows."""
        while self.round():
            pass
        return self.rows

    def seen(self, row: int) -> int:
        return self.prefixes.seen[self.sentences[row]][self.rows[row].step]

    def is_last(self, row: int) -> bool:
        """Whether the row's outer step is the terminal one."""
        return self.whole[row] and self.rows[row].step == len(self.prefixes.seen[self.sentences[row]]) - 1

    def is_full(self, row: int) -> bool:
        return len(self.rows[row].tokens) >= self.longest(self.seen(row))

    def read_on(self, row: int) -> None:
        writing = self.rows[row]
        writing.step, writing.read = writing.step + 1, False

    def is_open(self, row: int) -> bool:
        """Whether the row may write: it has not ended, and source tokens have come in for its step."""
        return not self.rows[row].done and self.rows[row].step < len(self.prefixes.seen[self.sentences[row]])

    def at_work(self) -> list[int]:
        """The rows that may write now, after those that need not ask the decoder have read on."""
        for row, writing in enumerate(self.rows):
            while self.is_open(row):
                full = self.is_full(row)
                if self.is_last(row):
                    writing.done = full
                    break
                if not full and not self.rule.waits(self.seen(row), len(writing.tokens)):
                    break
                self.read_on(row)
        return [row for row in range(len(self.rows)) if self.is_open(row)]

    def round(self) -> bool:
        """Let every row at work decide and write once; false when none is."""
        rows = self.at_work()
        if not rows:
            return False
        states_RD = self.new_states(rows)
        stops = self.ask(rows, states_RD)
        logits_RV = self.translator.decoder.output(states_RD).float()
        if not self.rule.may_end:
            early = [i for i, row in enumerate(rows) if not self.is_last(row)]
            logits_RV[early, self.translator.eos] = -torch.inf
        best_R, tokens_R = logits_RV.max(1)
        scores_R = best_R - logits_RV.logsumexp(1)
        for row, stop, token, score in zip(rows, stops, tokens_R.tolist(), scores_R.tolist(), strict=True):
            self.write(row, stop, token, score)
        return True

    def ask(self, rows: list[int], states_RD: Tensor) -> list[bool]:
        """What the rule says of each row; at the last outer step it has no say."""
        places = [i for i, row in enumerate(rows) if not self.is_last(row)]
        stops = [False] * len(rows)
        if places:
            asked = [rows[i] for i in places]
            seen, written = [self.seen(row) for row in asked], [len(self.rows[row].tokens) for row in asked]
            said = self.decide(asked, states_RD[places], seen, written)
            if said is not None:
                for i, stop in zip(places, said.tolist(), strict=True):
                    stops[i] = stop
        return stops

    def decide(self, asked: list[int], states_RD: Tensor, seen: list[int], written: list[int]) -> Tensor | None:
        """The rule's answer for the rows that are asked."""
        return self.rule.stops(states_RD, torch.tensor(seen), torch.tensor(written))

    def write(self, row: int, stop: bool, token: int, score: float) -> None:
        """One decision carried out."""
        writing, last = self.rows[row], self.is_last(row)
        ends = token == self.translator.eos
        if stop or (ends and not last):
            self.read_on(row)
        elif ends:
            writing.done = True
            writing.score += score
        else:
            writing.tokens.append(token)
            writing.seen.append(self.seen(row))
            writing.score += score

    def new_states(self, rows: list[int]) -> Tensor:
        """(R, D): the decoder's state of each row, from which its next token is predicted."""
        fresh = [row for row in rows if not self.rows[row].read]
        if fresh:
            memory_RTD, lengths_R = self.prefixes.memory([(self.sentences[r], self.rows[r].step) for r in fresh])
            if self.states is None:
                self.states = DecoderStates(self.translator.decoder, len(self.rows), memory_RTD)
            self.states.look_at(self.index(fresh), memory_RTD, lengths_R)
        # Eq. 13: all states are rebuilt from the new memory; eq. 12, the ablation: only the newest is.
        rebuilt = [] if self.keeps_decoder else fresh
        others = [row for row in rows if row not in set(rebuilt)]
        found: dict[int, Tensor] = {}
        for group, whole in ((rebuilt, True), (others, False)):
            if group:
                found.update(zip(group, self.feed(group, whole), strict=True))
        for row in fresh:
            self.rows[row].read = True
        return torch.stack([found[row] for row in rows])

    def feed(self, rows: list[int], whole: bool) -> Tensor:
        """States after feeding each row's translation, or just its last token."""
        assert self.states is not None  # made with the first memory
        texts = [[self.translator.sos, *self.rows[row].tokens] for row in rows]
        first = [0 if whole else len(text) - 1 for text in texts]
        new = [torch.tensor(text[start:]) for text, start in zip(texts, first, strict=True)]
        tokens_RL = torch.nn.utils.rnn.pad_sequence(new, batch_first=True, padding_value=self.translator.eos)
        counts_R = self.index([len(tokens) for tokens in new])
        return self.states.write(self.index(rows), tokens_RL.to(counts_R.device), self.index(first), counts_R)

    def index(self, numbers: list[int]) -> Tensor:
        return torch.tensor(numbers, device=self.prefixes.device)
