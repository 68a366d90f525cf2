"""Length and EOS control (arXiv 1911.03154): stop when the target is as long as the source seen, less d."""

from espnet_ext.simul.rules._counting import CountingRule


class Rule(CountingRule):
    def __init__(self, d: int = 0) -> None:
        if d < 0:
            raise ValueError(f"rule le: d is {d}; it must be at least 0")
        self.d = d

    def waits(self, seen: int, written: int) -> bool:
        return written >= seen - self.d
