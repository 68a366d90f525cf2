"""Multi-task learning of ST and MT: L = (LC_st + LC_mt) / 2, with one decoder for both."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, Stats
from espnet_ext.models._peers import Peers


class Model(Peers):
    def __init__(self, parts: Parts, shared_decoder: bool = True, joint_embeddings: bool = False, **conf: Any) -> None:
        """Without `shared_decoder` the tasks have no parameter in common and cannot learn from each other."""
        super().__init__(parts, **conf)
        if shared_decoder:
            self.mt.decoder = self.st.decoder
        if joint_embeddings:
            self.join_embeddings(parts)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        st_loss, stats = self.st.loss(batch)
        mt_loss, mt_stats = self.mt.loss(batch)
        return (st_loss + mt_loss) / 2, {**stats, "loss_mt": mt_stats["loss_mt"], "acc_mt": mt_stats["acc"]}
