"""Recognition, then translation that looks at the speech and at the states of the recogniser's decoder."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models import multitask
from espnet_ext.models._base import Batch, Memory, with_start
from espnet_ext.nn.decoder_cache import CachedDecoder
from espnet_ext.nn.loss import IGNORE
from espnet_ext.nn.two_memory_decoder import TwoSourceDecoder
from espnet_ext.search.beam import search
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(multitask.Model):
    decoder_classes = {"st": TwoSourceDecoder}  # extra_asr_decoder is the first stage, decoder the second

    def __init__(self, parts: Parts, joint_embeddings: bool = True, **conf: Any) -> None:
        """With `joint_embeddings` both decoders have one table of embeddings, which needs `subwords: joint`."""
        super().__init__(parts, shared_decoder=False, **conf)
        if joint_embeddings:
            self.starts = parts.start_tokens()
            self.share_embeddings(self.decoder, self.extra_asr_decoder.embed[0])
            self.share_embeddings(self.extra_asr_decoder)

    def states(self, memory: Memory, tokens_2BL: list[torch.Tensor], rows_2B: list[torch.Tensor]) -> list[torch.Tensor]:
        first_BLD = self.extra_asr_decoder.states(*memory, tokens_2BL[0])
        return [first_BLD, self.decoder.states(*memory, tokens_2BL[1], (first_BLD, rows_2B[0]))]

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode_slices(batch["speech"], batch["speech_lengths"])
        start, end = [self.starts["asr"]], self.ends["asr"]
        transcripts = self.search(self.extra_asr_decoder, memory, start, end, options["asr"], self.ctc)
        read = self.read_again(memory, [nbest[0].tokens for nbest in transcripts])
        prefix = self.ctc_prefix(self.st_ctc, memory, options["st"])
        scorer = CachedDecoder(self.decoder, *memory, read)
        found = search(scorer, memory[1], [self.starts["st"]], self.ends["st"], options["st"], prefix)
        return {"asr": transcripts, "st": found}

    def read_again(self, memory: Memory, transcripts: list[list[int]]) -> Memory:
        """The first decoder's states on these transcripts."""
        rows = [torch.tensor(tokens, dtype=torch.long) for tokens in transcripts]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORE).to(memory[1].device)
        tokens_BL = with_start(padded, self.starts["asr"], self.ends["asr"])
        lengths_B = torch.tensor([len(row) + 1 for row in rows], device=memory[1].device)
        return self.extra_asr_decoder.states(*memory, tokens_BL), lengths_B
