"""Recognition and translation in step: two streams whose decoder rows see each other (docs/interactive.md).

Liu et al., Synchronous Speech Recognition and Speech-to-Text Translation with Interactive Decoding, AAAI 2020.
"""

import math
from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.interactive.decoder import InteractiveDecoder, interactive_states
from espnet_ext.interactive.decoder_cache import PairedDecoder
from espnet_ext.interactive.two_streams import search_pairs
from espnet_ext.models import multitask
from espnet_ext.models._base import Batch, Memory
from espnet_ext.search.beam import Beam
from espnet_ext.search.options import Hypothesis, SearchOptions, watcher


class Model(multitask.Model):
    decoder_classes = {"asr": InteractiveDecoder, "st": InteractiveDecoder}

    def __init__(
        self,
        parts: Parts,
        inter_weight: float = 0.3,
        wait_k: float | str = 3,
        fusion: str = "linear",
        own_attention: bool = False,
        **conf: Any,
    ) -> None:
        """`wait_k` rows lie between transcript and translation; `inf`: translation begins when the transcript ends.

        With `own_attention` the other stream is read by queries, keys and values of its own, and not by those of
        self-attention, as the paper's is.
        """
        super().__init__(parts, **conf)
        self.wait_k = float(wait_k)
        if self.wait_k < 0 or not (self.wait_k == math.inf or self.wait_k.is_integer()):
            raise ValueError(f"wait_k: {wait_k}; must be a whole number from 0 on, or inf")
        unread = [name for name, has in (("own_attention", own_attention), ("fusion: gate", fusion == "gate")) if has]
        if inter_weight == 0 and unread:
            raise ValueError(
                f"inter_weight: 0: nothing would read the other stream, and the weights of {unread[0]} stay random; "
                "give it a weight above 0, or leave that out"
            )
        for decoder in self.decoders:
            decoder.use_fusion(fusion, inter_weight, own_attention)

    @property
    def decoders(self) -> list[InteractiveDecoder]:
        """The one that both streams share, or one each."""
        return [self.decoder] if self.extra_asr_decoder is None else [self.extra_asr_decoder, self.decoder]

    def states(self, memory: Memory, tokens_2BL: list[torch.Tensor], rows_2B: list[torch.Tensor]) -> list[torch.Tensor]:
        if self.decoder.inter_weight == 0:  # the multi-task model
            return super().states(memory, tokens_2BL, rows_2B)
        return interactive_states(self.decoders, memory, tokens_2BL, rows_2B, self.wait_k)

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode_slices(batch["speech"], batch["speech_lengths"])
        beams = [
            Beam(memory[1], self.ends[s], options[s], self.ctc_prefix(self.modules_of(s)[1], memory, options[s]))
            for s in self.streams
        ]
        scorer = PairedDecoder(self.decoders, *memory)
        starts = [self.starts[stream] for stream in self.streams]
        on_step = watcher([options[stream] for stream in self.streams])
        found = search_pairs(scorer, beams, starts, self.wait_k, on_step)
        return dict(zip(self.streams, found, strict=True))
