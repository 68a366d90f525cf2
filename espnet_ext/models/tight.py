"""The pipeline as one network: text translation reads what the CTC branch heard, before it is decided.

The best path of CTC says where a sub-word begins and ends, but what is read there is the mean of all sub-words'
embeddings by their posteriors, so the translator sees the doubt and its loss reaches the speech encoder. After Bahar et
al., Tight Integrated End-to-End Training for Cascaded Speech Translation, SLT 2021, who read a decoder's posteriors.
B batch, T frames, L sub-words, D width, V vocabulary.
"""

from typing import Any

import torch
from torch import nn

from espnet_ext.espnet.encoders import FullContext
from espnet_ext.espnet.parts import Parts
from espnet_ext.models import mt
from espnet_ext.models._base import Batch, Memory, SpeechModel, Stats, mix
from espnet_ext.nn.padding import length_mask
from espnet_ext.search.options import Hypothesis, SearchOptions

BLANK = 0


class Model(SpeechModel):
    """`mt` is the system mt, whole, so that `init: {encoder: asr, ctc: asr, mt: mt}` fits."""

    data_names = ("speech", "src_text", "text")
    streams = ("asr", "st")
    peers = ("mt",)
    search_defaults = {"st": mt.Model.search_defaults["mt"]}

    def __init__(self, parts: Parts, asr_ctc_weight: float = 0.3, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.asr_ctc_weight = asr_ctc_weight
        self.ctc = parts.ctc(parts.src_size)
        mt_parts, mt_conf = parts.mt_peer()
        self.mt = mt.Model(mt_parts, **{**conf, **mt_conf})
        if self.mt.frontend is not None or not isinstance(self.mt.encoder, FullContext):
            raise ValueError("tight: its text encoder must embed words itself and see them all; set mt_peer to that")

    def writers(self) -> dict[str, torch.nn.Module]:
        return {"st": self.mt.decoder}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        memory = self.encode(batch["speech"], batch["speech_lengths"])
        ctc_loss = self.ctc_loss(self.ctc, memory, batch["src_text"], batch["src_text_lengths"])
        target = batch["text"], batch["text_lengths"]
        st_loss, acc = self.attention_loss(self.mt.decoder, self.read(memory)[0], *target, self.mt.sos, self.mt.eos)
        stats = {"loss_st": st_loss.detach(), "acc": acc, "loss_asr_ctc": ctc_loss.detach()}
        return mix(self.asr_ctc_weight, ctc_loss, st_loss), stats

    def read(self, memory: Memory) -> tuple[Memory, torch.Tensor]:
        """The text encoder's states over what CTC heard in each utterance, and its best path, as `heard` gives it."""
        posteriors_BTV = self.ctc.ctc_lo(memory[0]).float().softmax(-1)
        table, add_positions = self.mt.encoder.embed
        x_BLD, lengths_B, path_BT = heard(posteriors_BTV, memory[1], table.weight)
        x_BLD = torch.cat([table.weight[self.mt.src_sos].expand(len(x_BLD), 1, -1), x_BLD], 1)
        x_BLD = add_positions(x_BLD.to(table.weight.dtype))
        states_BLD, lengths_B, _ = self.mt.encoder.blocks(x_BLD, lengths_B + 1)
        return (states_BLD, lengths_B), path_BT

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        """The transcript is the best path of CTC, which the translation is made from; it has no search and no score."""
        memory, path_BT = self.read(self.encode_slices(batch["speech"], batch["speech_lengths"]))
        found = self.search(self.mt.decoder, memory, [self.mt.sos], self.mt.eos, options["st"])
        return {"asr": [[Hypothesis(path_T[path_T != BLANK].tolist(), 0.0)] for path_T in path_BT], "st": found}


def heard(
    posteriors_BTV: torch.Tensor, lengths_B: torch.Tensor, table_VD: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For each sub-word of the best path the mean embedding over its frames (B, L, D), by all posteriors but blank's;
    how many there are; which, in the frame where each begins, and blanks (B, T).
    """
    best_BT = posteriors_BTV.argmax(-1)
    mask_BT = length_mask(lengths_B, best_BT.size(1))
    if mask_BT is not None:
        best_BT = best_BT.masked_fill(~mask_BT, BLANK)
    begins_BT = (best_BT != BLANK) & (best_BT != nn.functional.pad(best_BT[:, :-1], (1, 0), value=BLANK))
    place_BT = begins_BT.cumsum(1).masked_fill(best_BT == BLANK, 0)  # from 1 on; blanks go to 0, which is dropped
    weights_BTV = posteriors_BTV[..., BLANK + 1 :]
    # One column more than D: the sum of the weights.
    sums_BTD = weights_BTV @ table_VD[BLANK + 1 :].to(weights_BTV)
    sums_BTD = torch.cat([sums_BTD, weights_BTV.sum(-1, keepdim=True)], -1).float()
    count_B = begins_BT.sum(1)
    sums_BLD = sums_BTD.new_zeros(len(sums_BTD), int(count_B.max()) + 1, sums_BTD.size(-1))
    sums_BLD = sums_BLD.scatter_add(1, place_BT[..., None].expand_as(sums_BTD), sums_BTD)[:, 1:]
    path_BT = best_BT.masked_fill(~begins_BT, BLANK)
    return sums_BLD[..., :-1] / sums_BLD[..., -1:].clamp(min=1e-6), count_B, path_BT
