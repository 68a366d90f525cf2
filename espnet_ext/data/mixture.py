"""How the batches of several tasks make up an epoch: a pure function of the shares, the seed and the epoch.

I tasks. A pass is every example of a task once. Nothing is stored from epoch to epoch: where in its passes a task goes
on follows from the number of the epoch and from its share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any


@dataclass(frozen=True)
class Stretch:
    """A part of one pass of a task: from one share of its batches up to another."""

    task: int
    number: int  # of the pass, from 1
    start: Fraction
    end: Fraction

    def slice_of(self, batches: int) -> slice:
        """Which of the pass's batches, whose number may differ a little from pass to pass."""
        return slice(int(self.start * batches), int(self.end * batches))


@dataclass(frozen=True)
class Mixture:
    """Batches of each task in an epoch (not whole numbers), and in one pass of it."""

    quota_I: tuple[Fraction, ...]
    pass_I: tuple[int, ...]

    @classmethod
    def of(
        cls, passes: Sequence[int], weights: Sequence[float | None], conf: Mapping[str, Any] | None = None
    ) -> "Mixture":
        """`passes` are the batches of one pass of each task, `conf` the section `mixture:`.

        Weights are shares of an epoch; where no task has one, the shares are as passes ** (1 / temperature). A task of
        weight 0 is left out of all this.
        """
        conf = {"temperature": 1.0, "batches": None, **(conf or {})}
        if any(weights):
            parts = [exact(1.0 if weight is None else weight) for weight in weights]
        else:
            natural = [exact(size ** (1 / conf["temperature"])) for size in passes]
            parts = [Fraction(0) if weight == 0 else part for part, weight in zip(natural, weights, strict=True)]
        batches = conf["batches"] or sum(size for size, part in zip(passes, parts, strict=True) if part)
        return cls(tuple(batches * part / sum(parts) for part in parts), tuple(passes))

    def stretches(self, epoch: int) -> list[Stretch]:
        """What each task gives to an epoch (from 1): the rest of a pass, whole passes, the beginning of another."""
        found = []
        for task, (quota, size) in enumerate(zip(self.quota_I, self.pass_I, strict=True)):
            at, end = ((epoch + step) * quota / size for step in (-1, 0))  # in passes since the first epoch
            while at < end:
                number = int(at)
                stop = min(end, Fraction(number + 1))
                found.append(Stretch(task, number + 1, at - number, stop - number))
                at = stop
        return found


def exact(number: float) -> Fraction:
    """The same on every machine, whatever the last bit of a power is there."""
    return Fraction(number).limit_denominator(10**6)
