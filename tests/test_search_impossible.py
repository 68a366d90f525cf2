"""What is impossible is in no list; and with CTC alone the decoder forbids nothing."""

import math

import pytest
import torch

from espnet_ext.search.beam import Beam, search
from espnet_ext.search.ctc import CTCPrefix
from espnet_ext.search.options import SearchOptions
from tests.test_search import ToyScorer, make_models, run


def test_what_the_decoder_forbids_counts_for_nothing_beside_ctc_alone() -> None:
    _, ours, ctc = make_models()
    memory, lengths, options = torch.randn(2, 8, 32), torch.tensor([8, 6]), SearchOptions(ctc_weight=1.0, min_ratio=0.5)
    wanted = run(ours, ctc, memory, lengths, options)
    with torch.inference_mode():
        prefix = CTCPrefix(ctc.log_softmax(memory), lengths)
        nothing = ToyScorer([0, 1], 30)
        nothing.logp = lambda seed, tokens: torch.full((30,), -math.inf)  # type: ignore[method-assign]
        found = search(nothing, lengths, [29], 29, options, prefix)
    assert [nbest[0].tokens for nbest in found] == [nbest[0].tokens for nbest in wanted]
    assert all(len(nbest[0].tokens) >= n for nbest, n in zip(found, (4, 3)))


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_no_list_has_a_tail_of_what_is_impossible(weight: float) -> None:
    """Where the decoder allows a single token and NaN hides among the others, only that one is found."""
    options = SearchOptions(beam=4, nbest=4, max_ratio=-1.0, ctc_weight=weight)
    logp = torch.full((1, 1, 5), -math.inf)
    logp[0, 0, 1], logp[0, 0, 2] = -0.5, math.nan
    frames = torch.full((1, 3, 5), -math.inf)
    frames[:, :, 0] = frames[:, :, 1] = math.log(0.5)
    beam = Beam(torch.tensor([3]), 4, options, CTCPrefix(frames, torch.tensor([3])) if weight else None)
    beam.advance(logp.clone())
    (found,) = beam.results()
    assert all(h.score > -1e6 for h in found) and [1] in [h.tokens for h in found]
    assert weight == 1 or len(found) == 1
