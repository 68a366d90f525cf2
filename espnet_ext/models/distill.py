"""Knowledge distillation from text translation: L = beta (KL1 + KL2) + LC_st, with a trained M_mt that never moves."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, Stats
from espnet_ext.models._peers import MimickingPeers


class Model(MimickingPeers):
    streams = ("st",)

    def __init__(self, parts: Parts, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.mt.requires_grad_(False)
        self.mt.eval()

    def train(self, mode: bool = True) -> "Model":
        super().train(mode)
        self.mt.eval()  # a teacher has no dropout
        return self

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        student_BLV, memory = self.st.predict(batch)
        logits = {"st": student_BLV, "mt": self.frozen_logits("mt", batch, dropout=False)}
        mimicry, stats = self.mimicry(logits, batch)
        st_loss, st_stats = self.st.loss_of(student_BLV, memory, batch)
        return mimicry + st_loss, {**st_stats, **stats}
