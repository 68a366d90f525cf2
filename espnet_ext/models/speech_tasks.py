"""Recognition and translation of speech by one encoder and one decoder (docs/transfer.md).

What the decoder begins with says the language that is written, not whether it was spoken: so a decoder that has learned
to translate into a language goes on as that of a recogniser of it.
"""

from typing import Any

import torch

from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import Batch, SpeechModel, Stats, mix
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(SpeechModel):
    data_names = ("speech", "text")
    knows_tasks = True

    def __init__(self, parts: Parts, asr_ctc_weight: float = 0.3, **conf: Any) -> None:
        super().__init__(parts, **conf)
        self.take_tasks(parts.tasks)
        if texts := [task.name for task in parts.tasks.values() if task.reads == "text"]:
            raise ValueError(f"tasks: {texts[0]} reads text, and model speech_tasks speech only; remove this task")
        self.asr_ctc_weight = asr_ctc_weight
        self.starts = {task.name: parts.start_token("st", task.tgt) for task in parts.tasks.values()}
        self.eos = parts.tgt_size - 1
        self.decoder = parts.decoder(parts.tgt_size)
        self.share_embeddings(self.decoder)
        self.recognised = [name for name in self.streams if self.stream(name).kind == "asr"]
        self.ctc: Any = parts.ctc(parts.tgt_size) if self.recognised and asr_ctc_weight > 0 else None

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        task = self.streams[int(batch["task"][0])]
        memory = self.encode(batch["speech"], batch["speech_lengths"])
        target = batch["text"], batch["text_lengths"]
        loss, acc = self.attention_loss(self.decoder, memory, *target, self.starts[task], self.eos)
        if self.ctc is not None and task in self.recognised:
            loss = mix(self.asr_ctc_weight, self.ctc_loss(self.ctc, memory, *target), loss)
        return loss, {"acc": acc}

    def writers(self) -> dict[str, torch.nn.Module]:
        return dict.fromkeys(self.streams, self.decoder)

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        memory = self.encode_slices(batch["speech"], batch["speech_lengths"])
        found = {}
        for task in options:
            ctc = self.ctc if task in self.recognised else None
            found[task] = self.search(self.decoder, memory, [self.starts[task]], self.eos, options[task], ctc)
        return found
