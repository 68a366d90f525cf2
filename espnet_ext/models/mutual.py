"""Mutual learning of ST and MT: L_ml = beta (KL1 + KL2) + LC_st + LC_mt, one peer learning at a time.

An iteration is Algorithm 1: M_st learns while M_mt is frozen, then M_mt learns from the M_st that has just moved.
"""

from typing import Any

import torch
from espnet2.torch_utils.device_funcs import force_gatherable

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, Stats
from espnet_ext.models._peers import MimickingPeers


class Model(MimickingPeers):
    phases = ("st", "mt")

    def __init__(self, parts: Parts, frozen_dropout: bool = False, **conf: Any) -> None:
        """With `frozen_dropout` the peer that does not learn predicts with dropout and SpecAugment, too."""
        super().__init__(parts, **conf)
        self.frozen_dropout = frozen_dropout

    def forward(self, phase: str | None = None, **batch: torch.Tensor) -> tuple[torch.Tensor, Stats, torch.Tensor]:
        """With a `phase`, the loss has gradients for that peer alone."""
        if phase is None:
            return super().forward(**batch)
        loss, stats = self.st_phase(batch) if phase == "st" else self.mt_phase(batch)
        return force_gatherable((loss, stats, len(batch["speech"])), loss.device)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """L_ml with gradients for both: what validation reports."""
        st_BLV, memory = self.st.predict(batch)
        mt_BLV, _ = self.mt.predict(batch)
        mimicry, stats = self.mimicry({"st": st_BLV, "mt": mt_BLV}, batch)
        st_loss, st_stats = self.st.loss_of(st_BLV, memory, batch)
        mt_loss, mt_stats = self.mt.loss_of(mt_BLV, batch)
        return mimicry + st_loss + mt_loss, {**st_stats, **renamed(mt_stats), **stats}

    # The peer that learns predicts first: autocast keeps a bf16 copy of a weight that both share, and keeps it
    # with its gradient only if it is made where gradients are recorded.

    def st_phase(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """Eq. 9: theta_mt is frozen, so LC_mt is a constant, here only for the report."""
        st_BLV, memory = self.st.predict(batch)
        mt_BLV = self.frozen_logits("mt", batch, self.frozen_dropout)
        mimicry, stats = self.mimicry({"st": st_BLV, "mt": mt_BLV}, batch)
        st_loss, st_stats = self.st.loss_of(st_BLV, memory, batch)
        loss = mimicry + st_loss + self.mt.loss_of(mt_BLV, batch)[0]
        return loss, {"loss": loss.detach(), **st_stats, **stats}

    def mt_phase(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """Eq. 10: theta_st is frozen where Eq. 9 has put it, and LC_st is left out."""
        mt_BLV, _ = self.mt.predict(batch)
        st_BLV = self.frozen_logits("st", batch, self.frozen_dropout)
        mimicry, _ = self.mimicry({"st": st_BLV, "mt": mt_BLV}, batch)
        mt_loss, stats = self.mt.loss_of(mt_BLV, batch)
        return mimicry + mt_loss, renamed(stats)


def renamed(stats: Stats) -> Stats:
    """M_mt's figures beside M_st's, whose `acc` chooses the best epochs."""
    return {"loss_mt": stats["loss_mt"], "acc_mt": stats["acc"]}
