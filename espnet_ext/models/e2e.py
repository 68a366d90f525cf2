"""End-to-end speech translation, with optional CTC branches over the transcript and over the translation."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, Memory, SpeechModel, Stats, mix, with_end, with_start
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(SpeechModel):
    data_names = ("speech", "src_text", "text")
    streams = ("st",)

    def __init__(self, parts: Parts, asr_ctc_weight: float = 0.0, st_ctc_weight: float = 0.0, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.sos = self.eos = parts.tgt_size - 1
        self.asr_ctc_weight = asr_ctc_weight
        self.st_ctc_weight = st_ctc_weight
        self.decoder = parts.decoder(parts.tgt_size)
        self.share_embeddings(self.decoder)
        self.ctc = parts.ctc(parts.src_size) if asr_ctc_weight > 0 else None
        self.st_ctc = parts.ctc(parts.tgt_size) if st_ctc_weight > 0 else None

    @classmethod
    def as_espnet(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        conf = config["model_conf"]
        ctc = conf.get("asr_ctc_weight", 0.0)
        weights = {"asr_weight": ctc, "mtlalpha": 1.0 if ctc > 0 else 0.0}
        return "st", {"model_conf": {**weights, "st_mtlalpha": conf.get("st_ctc_weight", 0.0)}}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        return self.loss_of(*self.predict(batch), batch)

    def predict(self, batch: Batch) -> tuple[torch.Tensor, Memory]:
        """The logits (B, L + 1, V) of the translation, teacher-forced, and the encoder's states."""
        memory = self.encode(batch["speech"], batch["speech_lengths"])
        tokens_BL, lengths_B = batch["text"], batch["text_lengths"]
        return self.decoder(*memory, with_start(tokens_BL, self.sos, self.eos), lengths_B + 1), memory

    def loss_of(self, logits_BLV: torch.Tensor, memory: Memory, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """The loss of what `predict` gave."""
        target = batch["text"], batch["text_lengths"]
        st_loss, acc = self.token_loss(logits_BLV, with_end(*target, self.eos))
        stats: Stats = {"loss_st": st_loss.detach(), "acc": acc}
        asr_ctc_loss = st_ctc_loss = None
        if self.st_ctc is not None:
            st_ctc_loss = self.ctc_loss(self.st_ctc, memory, *target)
            stats["loss_st_ctc"] = st_ctc_loss.detach()
        if self.ctc is not None:
            asr_ctc_loss = self.ctc_loss(self.ctc, memory, batch["src_text"], batch["src_text_lengths"])
            stats["loss_asr_ctc"] = asr_ctc_loss.detach()
        return mix(self.asr_ctc_weight, asr_ctc_loss, mix(self.st_ctc_weight, st_ctc_loss, st_loss)), stats

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode_slices(batch["speech"], batch["speech_lengths"])
        return {"st": self.search(self.decoder, memory, [self.sos], self.eos, options["st"], self.st_ctc)}
