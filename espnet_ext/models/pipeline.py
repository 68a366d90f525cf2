"""Recognition, then text translation of what was recognised: two trained systems, nothing trained here."""

import torch

from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.espnet.parts import Parts
from espnet_ext.models._base import BaseModel, Batch, Stats
from espnet_ext.search.options import Hypothesis, SearchOptions


class Model(BaseModel):
    data_names = ("speech", "src_text", "text")
    streams = ("asr", "st")
    composed_of = ("asr", "mt")
    search_defaults = {"st": {"max_ratio": 2.0, "max_extra": 10}}  # as text translation's

    def __init__(self, parts: Parts, asr_nbest: int = 1, asr_scale: float = 1.0) -> None:
        """`asr_nbest` transcripts are translated; the score is the translation's plus `asr_scale` transcript scores."""
        super().__init__()
        if asr_nbest < 1:
            raise ValueError(f"asr_nbest: {asr_nbest}; at least one transcript must be translated")
        asr, mt = (load_experiment(parts.folder_of(name)) for name in self.composed_of)
        self.asr, self.mt = asr.model, mt.model
        self.written, self.read = asr.src_subwords, mt.src_subwords
        self.subwords = asr.src_subwords, mt.tgt_subwords
        self.asr_nbest, self.asr_scale = asr_nbest, asr_scale

    @property
    def reads_waveforms(self) -> bool:
        return self.asr.reads_waveforms

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """The sum of the losses of both systems, for comparison with others."""
        losses = {"asr": self.asr.loss(batch)[0], "mt": self.mt.loss(batch)[0]}
        return losses["asr"] + losses["mt"], {f"loss_{name}": loss.detach() for name, loss in losses.items()}

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        wanted = max(self.asr_nbest, options["asr"].nbest)
        transcripts = self.asr.decode(batch, {"asr": options["asr"].replace(nbest=wanted)})["asr"]
        passed = [nbest[: self.asr_nbest] for nbest in transcripts]
        flat = [hypothesis for nbest in passed for hypothesis in nbest]
        translated = iter(self.mt.decode(self.as_source(flat, batch["speech"].device), {"mt": options["st"]})["mt"])
        merged = [self.merge(nbest, [next(translated) for _ in nbest], options) for nbest in passed]
        return {"asr": [nbest[: options["asr"].nbest] for nbest in transcripts], "st": merged}

    def as_source(self, transcripts: list[Hypothesis], device: torch.device) -> Batch:
        """Transcripts as a batch of the translator, in its own sub-words."""
        rows = [torch.tensor(self.read.encode(self.written.decode(h.tokens)), dtype=torch.long) for h in transcripts]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        return {
            "src_text": padded.to(device),
            "src_text_lengths": torch.tensor([len(row) for row in rows], device=device),
        }

    def merge(
        self, transcripts: list[Hypothesis], lists: list[list[Hypothesis]], options: dict[str, SearchOptions]
    ) -> list[Hypothesis]:
        """The best translations over all transcripts of an utterance, each token sequence once."""

        def rank(stream: str, hypothesis: Hypothesis) -> float:
            return options[stream].rank(hypothesis.score, len(hypothesis.tokens) + 1)  # as its search ranked it

        ranked = []
        for transcript, found in zip(transcripts, lists, strict=True):
            for hypothesis in found:
                # A factor 0 leaves out also a transcript that is impossible.
                heard = self.asr_scale * rank("asr", transcript) if self.asr_scale else 0.0
                score = hypothesis.score + (self.asr_scale * transcript.score if self.asr_scale else 0.0)
                ranked.append(
                    (rank("st", hypothesis) + heard, Hypothesis(hypothesis.tokens, score, cut=hypothesis.cut))
                )
        ranked.sort(key=lambda pair: -pair[0])
        best: dict[tuple[int, ...], Hypothesis] = {}
        for _, hypothesis in ranked:
            best.setdefault(tuple(hypothesis.tokens), hypothesis)
        return list(best.values())[: options["st"].nbest]
