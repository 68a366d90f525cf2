"""Text translation: the transcript in, the translation out."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import BaseModel, Batch, Memory, Stats, with_end, with_start
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(BaseModel):
    data_names = ("src_text", "text")
    streams = ("mt",)
    search_defaults = {"mt": {"max_ratio": 2.0, "max_extra": 10}}  # a translation may be longer than its source

    def __init__(self, parts: Parts, share_encoder_decoder_input_embed: bool = False, **conf: Any) -> None:
        super().__init__(**conf)
        self.sos = self.eos = parts.tgt_size - 1
        self.src_sos = self.src_eos = parts.src_size - 1
        self.frontend = parts.text_frontend()
        self.encoder = parts.text_encoder(self.frontend)
        self.decoder = parts.decoder(parts.tgt_size)
        source = (self.frontend or self.encoder).embed[0]
        self.share_embeddings(self.decoder, source if share_encoder_decoder_input_embed else None)

    @classmethod
    def as_espnet(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        ties = {name: value for name, value in config["model_conf"].items() if name.startswith("share_")}
        size = None if config["frontend"] else len(config["src_token_list"])
        return "mt", {"input_size": size, "model_conf": ties}

    def encode(self, src_text: torch.Tensor, src_text_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (B, L + 1, D) and their lengths; the source starts with <sos/eos>, as ESPnet's does."""
        tokens_BL = with_start(src_text[:, : src_text_lengths.max()], self.src_sos, self.src_eos)
        lengths_B = src_text_lengths + 1
        if self.frontend is not None:
            tokens_BL, lengths_B = self.frontend(tokens_BL, lengths_B)
        memory_BTD, lengths_B, _ = self.encoder(tokens_BL, lengths_B)
        return memory_BTD, lengths_B

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        return self.loss_of(self.predict(batch)[0], batch)

    def predict(self, batch: Batch) -> tuple[torch.Tensor, Memory]:
        """The logits (B, L + 1, V) of the translation, teacher-forced, and the encoder's states."""
        memory = self.encode(batch["src_text"], batch["src_text_lengths"])
        tokens_BL, lengths_B = batch["text"], batch["text_lengths"]
        return self.decoder(*memory, with_start(tokens_BL, self.sos, self.eos), lengths_B + 1), memory

    def loss_of(self, logits_BLV: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """The loss of what `predict` gave."""
        loss, acc = self.token_loss(logits_BLV, with_end(batch["text"], batch["text_lengths"], self.eos))
        return loss, {"loss_mt": loss.detach(), "acc": acc}

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode(batch["src_text"], batch["src_text_lengths"])
        return {"mt": self.search(self.decoder, memory, [self.sos], self.eos, options["mt"])}
