"""Recognition and translation from one encoder: L = w L_asr + (1 - w) L_st.

Both tasks share one decoder, told apart by their start tokens, or (`shared_decoder: false`) have one each.
"""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.infra.streams import STREAMS
from espnet_ext.models._base import Batch, Memory, SpeechModel, Stats, mix, with_end, with_start
from espnet_ext.nn.decoder import TransformerDecoder, stack_streams
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(SpeechModel):
    data_names = ("speech", "src_text", "text")
    streams = ("asr", "st")
    decoder_classes: dict[str, type[TransformerDecoder]] = {}  # of streams that a variant has its own decoders for

    def __init__(
        self,
        parts: Parts,
        asr_weight: float = 0.3,
        shared_decoder: bool = True,
        asr_ctc_weight: float = 0.0,
        st_ctc_weight: float = 0.0,
        **conf: Any,
    ) -> None:
        super().__init__(parts, **conf)
        self.asr_weight = asr_weight
        self.ctc_weights = {"asr": asr_ctc_weight, "st": st_ctc_weight}
        self.ends = {"asr": parts.src_size - 1, "st": parts.tgt_size - 1}
        self.starts = dict(self.ends)
        self.decoder = self.make_decoder(parts, "st")
        self.extra_asr_decoder: Any = None  # ESPnet's name
        if shared_decoder:
            self.starts = parts.start_tokens()
        else:
            self.extra_asr_decoder = self.make_decoder(parts, "asr")
        self.ctc = parts.ctc(parts.src_size) if asr_ctc_weight > 0 else None
        self.st_ctc = parts.ctc(parts.tgt_size) if st_ctc_weight > 0 else None

    @classmethod
    def as_espnet(cls, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        conf = config["model_conf"]
        if conf.get("shared_decoder", True) or cls.decoder_classes:
            raise ValueError(
                f"{config['model']}: ESPnet has no decoder for two languages; only multitask with "
                "`shared_decoder: false` is exported"
            )
        weights = {"asr_weight": conf.get("asr_weight", 0.3), "mtlalpha": conf.get("asr_ctc_weight", 0.0)}
        extra = {"extra_asr_decoder": config["decoder"], "extra_asr_decoder_conf": config["decoder_conf"]}
        return "st", {**extra, "model_conf": {**weights, "st_mtlalpha": conf.get("st_ctc_weight", 0.0)}}

    def make_decoder(self, parts: Parts, stream: str) -> torch.nn.Module:
        size = STREAMS[stream].of(parts.src_size, parts.tgt_size)
        decoder = parts.decoder(size, make=self.decoder_classes.get(stream))
        self.share_embeddings(decoder)
        return decoder

    def modules_of(self, stream: str) -> tuple[torch.nn.Module, torch.nn.Module | None]:
        """The decoder of a stream and its CTC branch."""
        if stream == "asr":
            return self.extra_asr_decoder or self.decoder, self.ctc
        return self.decoder, self.st_ctc

    def writers(self) -> dict[str, torch.nn.Module]:
        return {stream: self.modules_of(stream)[0] for stream in self.streams}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        memory = self.encode(batch["speech"], batch["speech_lengths"])
        stats: Stats = {}
        losses = self.attention_losses(memory, batch, stats)
        for stream in self.streams:
            stats[f"loss_{stream}"] = losses[stream].detach()
            ctc = self.modules_of(stream)[1]
            if ctc is not None:
                target = target_of(stream, batch)
                ctc_loss = self.ctc_loss(ctc, memory, *target)
                stats[f"loss_{stream}_ctc"] = ctc_loss.detach()
                losses[stream] = mix(self.ctc_weights[stream], ctc_loss, losses[stream])
        stats["acc"] = stats["acc_st"]
        return mix(self.asr_weight, losses["asr"], losses["st"]), stats

    def attention_losses(self, memory: Memory, batch: Batch, stats: Stats) -> dict[str, torch.Tensor]:
        """The decoder's loss of each stream, teacher-forced."""
        targets = {stream: target_of(stream, batch) for stream in self.streams}
        tokens = [with_start(targets[s][0], self.starts[s], self.ends[s]) for s in self.streams]
        states = self.states(memory, tokens, [lengths_B + 1 for _, lengths_B in targets.values()])
        losses = {}
        for stream, x_BLD in zip(self.streams, states, strict=True):
            logits_BLV = self.modules_of(stream)[0].output(x_BLD)
            labels_BL = with_end(*targets[stream], self.ends[stream])
            losses[stream], stats[f"acc_{stream}"] = self.token_loss(logits_BLV, labels_BL)
        return losses

    def states(self, memory: Memory, tokens_2BL: list[torch.Tensor], rows_2B: list[torch.Tensor]) -> list[torch.Tensor]:
        """(B, L, D) of each stream: a shared decoder's last layer from one pass over both, the transcript first."""
        if self.extra_asr_decoder is not None:
            decoders = (self.modules_of(stream)[0] for stream in self.streams)
            return [decoder.states(*memory, tokens) for decoder, tokens in zip(decoders, tokens_2BL, strict=True)]
        x_BSLD = self.decoder.states(*memory, stack_streams(tokens_2BL).flatten(0, 1)).unflatten(0, (-1, 2))
        return [x_BSLD[:, i, : tokens_BL.size(1)] for i, tokens_BL in enumerate(tokens_2BL)]

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode_slices(batch["speech"], batch["speech_lengths"])
        found = {}
        for stream in self.streams:
            decoder, ctc = self.modules_of(stream)
            start, end = [self.starts[stream]], self.ends[stream]
            found[stream] = self.search(decoder, memory, start, end, options[stream], ctc)
        return found


def target_of(stream: str, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens that a stream should equal, and their lengths."""
    name = STREAMS[stream].writes
    return batch[name], batch[f"{name}_lengths"]
