"""Two systems in one: M_st translates speech, M_mt its transcript, and what they learn from each other.

B batch, L target positions, V vocabulary.
"""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models import e2e, mt
from espnet_ext.models._base import BaseModel, Batch, Stats, with_end
from espnet_ext.nn.loss import IGNORE
from espnet_ext.search.options import Hypothesis, SearchOptions

CHOICES = {"direction": ("both", "kl1", "kl2"), "stop_gradient": ("peer", "target")}


class Peers(BaseModel):
    """`st` is the system e2e and `mt` the system mt, whole, so that `init: {st.encoder: asr, mt: mt}` fits."""

    data_names = ("speech", "src_text", "text")
    streams: tuple[str, ...] = ("st", "mt")
    peers = ("st", "mt")
    search_defaults = mt.Model.search_defaults

    def __init__(
        self,
        parts: Parts,
        asr_ctc_weight: float = 0.0,
        st_ctc_weight: float = 0.0,
        joint_embeddings: bool = False,
        **conf: Any,
    ) -> None:
        super().__init__(**conf)
        self.st = e2e.Model(parts, asr_ctc_weight, st_ctc_weight, **conf)
        mt_parts, mt_conf = parts.mt_peer()
        self.mt = mt.Model(mt_parts, **{**conf, **mt_conf})
        if joint_embeddings:
            self.join_embeddings(parts)

    def join_embeddings(self, parts: Parts) -> None:
        """Source and target of MT and the target of ST have one table; output layers too where they are shared."""
        if parts.args.token_list != parts.args.src_token_list:
            raise ValueError("joint_embeddings: source and target have two vocabularies; set `subwords: joint`")
        table, other = self.mt.decoder.embed[0], self.st.decoder.embed[0]
        if table.weight.shape != other.weight.shape:
            raise ValueError(
                f"joint_embeddings: the peers' widths are {other.embedding_dim} (st) and {table.embedding_dim} (mt); "
                "make them agree in encoder_conf and mt_peer"
            )
        self.mt.share_embeddings(self.mt.decoder, (self.mt.frontend or self.mt.encoder).embed[0])
        self.st.share_embeddings(self.mt.decoder, other)
        self.st.share_embeddings(self.st.decoder)

    @property
    def frontend(self) -> torch.nn.Module | None:
        return self.st.frontend

    def writers(self) -> dict[str, torch.nn.Module]:
        return {stream: getattr(self, stream).decoder for stream in self.streams}

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        """Each stream from its own input, as far as the batch has it."""
        found: dict[str, list[list[Hypothesis]]] = {}
        for stream in self.streams_from(batch):
            if stream in options:
                found |= getattr(self, stream).decode(batch, {stream: options[stream]})
        return found


class MimickingPeers(Peers):
    """Peers with the mimicry loss beta (KL1 + KL2), KL1 = KL(p_mt || p_st), KL2 = KL(p_st || p_mt); docs/mutual.md."""

    def __init__(
        self,
        parts: Parts,
        beta_ratio: float = 0.5,
        beta_cycle: int = 5000,
        direction: str = "both",
        stop_gradient: str = "peer",
        temperature: float = 1.0,
        **conf: Any,
    ) -> None:
        super().__init__(parts, **conf)
        self.beta_ratio, self.beta_cycle = beta_ratio, beta_cycle
        self.direction, self.stop_gradient, self.temperature = direction, stop_gradient, temperature
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: {getattr(self, name)!r}; choose from {', '.join(choices)}")
        if not (0 < beta_ratio <= 1 and beta_cycle >= 0 and temperature > 0):
            raise ValueError(
                f"beta_ratio {beta_ratio}, beta_cycle {beta_cycle}, temperature {temperature}: the first must be over "
                "0 and at most 1, the second at least 0 (0: beta is 1), the third over 0"
            )

    @property
    def beta(self) -> float:
        """Of this iteration; 1 in validation, so that epochs compare."""
        return cyclical_beta(self.iteration, self.beta_ratio, self.beta_cycle) if self.training else 1.0

    def mimicry(self, logits: dict[str, torch.Tensor], batch: Batch) -> tuple[torch.Tensor, Stats]:
        """beta times the divergences that `direction` chooses, and all figures of it."""
        targets_BL = with_end(batch["text"], batch["text_lengths"], self.st.eos)
        stop, by_length = self.stop_gradient == "target", self.length_normalized_loss
        kl1, kl2 = divergences(logits["st"], logits["mt"], targets_BL, self.temperature, stop, by_length)
        scale = 1 / len(targets_BL)  # as the reconstruction losses are
        terms = {"kl1": kl1 * scale, "kl2": kl2 * scale}
        total = sum((term for name, term in terms.items() if self.direction in ("both", name)), torch.zeros(()))
        stats = {name: term.detach() for name, term in terms.items()}
        if self.training:
            stats["beta"] = torch.tensor(self.beta)
        return self.beta * total, stats

    def frozen_logits(self, name: str, batch: Batch, dropout: bool) -> torch.Tensor:
        """What a peer predicts while the other one learns: without gradients, and without noise unless `dropout`."""
        peer = getattr(self, name)
        was_training = peer.training
        peer.train(was_training and dropout)
        with torch.no_grad():
            logits_BLV = peer.predict(batch)[0]
        peer.train(was_training)
        return logits_BLV


def cyclical_beta(t: int, ratio: float, cycle: int) -> float:
    """Eqs. 11 and 12: from 0 to 1 in the first `ratio` of every `cycle` iterations, then 1; t counts from 1."""
    if cycle == 0:
        return 1.0
    r = (t - 1) % cycle
    return r / (ratio * cycle) if r <= ratio * cycle else 1.0


def divergences(
    st_BLV: torch.Tensor,
    mt_BLV: torch.Tensor,
    targets_BL: torch.Tensor,
    temperature: float = 1.0,
    stop: bool = False,
    by_length: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """KL(p_mt || p_st) and KL(p_st || p_mt) in float32, summed over the vocabulary and the positions less padding.

    Both are of softmax(logits / temperature), times temperature squared, which keeps the size of the gradients.
    With `stop` no gradient flows into the first distribution of each; with `by_length` each utterance's is its mean.
    """
    real_BL = targets_BL != IGNORE
    log_st_BLV, log_mt_BLV = ((x_BLV.float() / temperature).log_softmax(-1) for x_BLV in (st_BLV, mt_BLV))

    def divergence(first_BLV: torch.Tensor, second_BLV: torch.Tensor) -> torch.Tensor:
        first_BLV = first_BLV.detach() if stop else first_BLV
        each_BL = (first_BLV.exp() * (first_BLV - second_BLV)).sum(-1)
        each_BL = each_BL.masked_fill(~real_BL, 0.0)
        return temperature**2 * (each_BL / real_BL.sum(1, keepdim=True) if by_length else each_BL).sum()

    return divergence(log_mt_BLV, log_st_BLV), divergence(log_st_BLV, log_mt_BLV)
