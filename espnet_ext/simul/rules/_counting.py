"""What the rules that only count have in common."""

from torch import Tensor


class CountingRule:
    """A rule that does not look at the decoder's states and learns nothing."""

    may_end = True

    def waits(self, seen: int, written: int) -> bool:
        raise NotImplementedError

    def stops(self, states_RD: Tensor, seen_R: Tensor, written_R: Tensor) -> Tensor | None:
        return None
