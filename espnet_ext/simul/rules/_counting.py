"""What the rules that only count have in common."""

from torch import Tensor


class CountingRule:
    """A rule that does not look at the decoder's states and learns nothing."""

    may_end = True
    learns = False
    decoding_options = ()

    def stops(self, states_RD: Tensor, seen_R: Tensor, written_R: Tensor) -> Tensor | None:
        return None
