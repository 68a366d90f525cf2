"""Beam search of two streams in step, hypotheses paired with hypotheses; docs/interactive.md defines what it finds."""

from collections.abc import Callable, Sequence

from espnet_ext.interactive.joint_beam import SummedPairs
from espnet_ext.interactive.pairs import PairScorer, Partial
from espnet_ext.interactive.ranked_pairs import RankedPairs
from espnet_ext.search.beam import KEEP_BELOW, Beam, remaining_rows
from espnet_ext.search.options import Hypothesis

OnStep = Callable[[Partial], None]


def search_pairs(
    scorer: PairScorer,
    beams: Sequence[Beam],
    starts: Sequence[int],
    wait_k: float,
    on_step: OnStep | None = None,
) -> list[list[list[Hypothesis]]]:
    """The n best hypotheses of each utterance, for the transcript and for the translation."""
    kinds = {beam.options.pairing for beam in beams}
    if len(kinds) > 1:
        raise ValueError("decode option pairing: rank for one stream and sum for the other; give both the same")
    pairs = (SummedPairs if kinds == {"sum"} else RankedPairs)(scorer, beams, starts, wait_k)
    while pairs.size:
        pairs.step()
        if on_step is not None:
            on_step(pairs.partial())
        done_B = pairs.done()
        alive = len(done_B) - int(done_B.sum())
        if not alive:
            break
        if alive <= KEEP_BELOW * len(done_B):
            pairs.keep(remaining_rows(done_B))
    return pairs.results()
