"""A small system with tasks: two encoders and one decoder, which start tokens tell what to write."""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, Memory, SpeechModel, Stats
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(SpeechModel):
    data_names = ("speech", "src_text", "text")
    knows_tasks = True
    search_defaults = {"mt": {"max_ratio": 2.0, "max_extra": 10}}

    def __init__(self, parts: Parts, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.take_tasks(parts.tasks)
        self.starts = {name: parts.start_token(task.kind, task.tgt) for name, task in parts.tasks.items()}
        self.eos = parts.tgt_size - 1
        self.text_encoder = parts.mt_peer()[0].text_encoder()
        self.decoder = parts.decoder(parts.tgt_size)

    def read(self, batch: Batch, name: str) -> Memory:
        given = batch[name], batch[f"{name}_lengths"]
        return self.encode(*given) if name == "speech" else self.text_encoder(given[0].clamp(min=0), given[1])[:2]

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        task = self.streams[int(batch["task"][0])]
        memory = self.read(batch, self.stream(task).reads)
        target = batch["text"], batch["text_lengths"]
        loss, acc = self.attention_loss(self.decoder, memory, *target, self.starts[task], self.eos)
        return loss, {"acc": acc}

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        found = {}
        for task in self.streams_from(batch):
            if task in options:
                memory = self.read(batch, self.stream(task).reads)
                found[task] = self.search(self.decoder, memory, [self.starts[task]], self.eos, options[task])
        return found
