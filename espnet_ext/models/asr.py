"""Speech recognition: an attention decoder with an optional CTC branch, ESPnet's hybrid model."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, SpeechModel, Stats, mix
from espnet_ext.search.ctc import best_path
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(SpeechModel):
    data_names = ("speech", "src_text")
    streams = ("asr",)

    def __init__(self, parts: Parts, asr_ctc_weight: float = 0.3, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.sos = self.eos = parts.src_size - 1
        self.asr_ctc_weight = asr_ctc_weight
        self.decoder = parts.decoder(parts.src_size) if asr_ctc_weight < 1 else None
        if self.decoder is not None:
            self.share_embeddings(self.decoder)
        self.ctc: Any = parts.ctc(parts.src_size) if asr_ctc_weight > 0 else None

    @classmethod
    def as_espnet(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        weight = config["model_conf"].get("asr_ctc_weight", 0.3)
        return "asr", {"token_list": config["src_token_list"], "model_conf": {"ctc_weight": weight}}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        memory = self.encode(batch["speech"], batch["speech_lengths"])
        target = batch["src_text"], batch["src_text_lengths"]
        stats: Stats = {}
        ctc_loss = attention_loss = None
        if self.ctc is not None:
            ctc_loss = self.ctc_loss(self.ctc, memory, *target)
            stats["loss_asr_ctc"] = ctc_loss.detach()
        if self.decoder is not None:
            attention_loss, stats["acc"] = self.attention_loss(self.decoder, memory, *target, self.sos, self.eos)
            stats["loss_asr"] = attention_loss.detach()
        return mix(self.asr_ctc_weight, ctc_loss, attention_loss), stats

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode_slices(batch["speech"], batch["speech_lengths"])
        if self.decoder is None:
            return {"asr": best_path(self.ctc.ctc_lo(memory[0]), memory[1])}
        return {"asr": self.search(self.decoder, memory, [self.sos], self.eos, options["asr"], self.ctc)}
