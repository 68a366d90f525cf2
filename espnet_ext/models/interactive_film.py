"""Recognition and translation in step (`interactive`), each stream's rows modulated by the embedding of its task.

The encoder is read by both streams and stays as it is; docs/task_aware.md has the equations.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.interactive.decoder import InteractiveDecoder, interactive_states
from espnet_ext.models import interactive
from espnet_ext.models._base import Memory
from espnet_ext.task_aware.film import FiLM
from espnet_ext.task_aware.tcn import ExplicitTCN


class FilmDecoder(InteractiveDecoder):
    """An interactive decoder whose blocks know which rows are of which stream."""

    tcn: ExplicitTCN

    def know_tasks(self, tcn: ExplicitTCN) -> None:
        self.__dict__["tcn"] = tcn  # the model's child, not this decoder's
        self.film = FiLM([self.entry, *(layer.out for layer in self.decoders)])

    def of_streams(self, streams: Sequence[int], sizes: Sequence[int]) -> AbstractContextManager:
        device = self.tcn.ffn.weight.device
        rows = torch.tensor(streams, device=device).repeat_interleave(torch.tensor(sizes, device=device))
        return self.film.by(self.tcn(rows)[None])


class Model(interactive.Model):
    decoder_classes = {"asr": FilmDecoder, "st": FilmDecoder}

    def __init__(self, parts: Parts, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.tcn = ExplicitTCN(FiLM.start(len(self.streams), self.decoder.embed[0].embedding_dim))
        for decoder in self.decoders:
            decoder.know_tasks(self.tcn)  # type: ignore[attr-defined] # see decoder_classes

    def states(self, memory: Memory, tokens_2BL: list[torch.Tensor], rows_2B: list[torch.Tensor]) -> list[torch.Tensor]:
        return interactive_states(self.decoders, memory, tokens_2BL, rows_2B, self.wait_k)
