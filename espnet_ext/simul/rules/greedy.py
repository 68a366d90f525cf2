"""Consecutive translation: nothing is written before the source has ended. The upper bound of the others."""

from espnet_ext.simul.rules._counting import CountingRule


class Rule(CountingRule):
    def waits(self, seen: int, written: int) -> bool:
        return True
