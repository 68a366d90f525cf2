"""Test-time wait-k (Ma et al. 2019): read k tokens, then write one for each that is read."""

from espnet_ext.simul.rules._counting import CountingRule


class Rule(CountingRule):
    may_end = False  # or the delays would not be those of wait-k

    def __init__(self, k: int = 3) -> None:
        if k < 1:
            raise ValueError(f"rule waitk: k is {k}; it must be at least 1")
        self.k = k

    def waits(self, seen: int, written: int) -> bool:
        return written > seen - self.k
