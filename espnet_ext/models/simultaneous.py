"""Simultaneous translation by a trained translator of whole sentences: it reads prefixes, and a rule says when to stop.

docs/simultaneous.md says what the rules are and when a sentence's source comes in.
"""

from collections.abc import Mapping
from typing import Any

import torch

from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.models._base import BaseModel, Batch, Stats
from espnet_ext.search.options import Hypothesis, SearchOptions
from espnet_ext.simul import rules
from espnet_ext.simul.delays import in_units, steps_of, word_steps
from espnet_ext.simul.loop import Loops
from espnet_ext.simul.prefixes import Prefixes
from espnet_ext.simul.rules._learned import Texts


class Model(BaseModel):
    data_names = ("src_text", "text")
    streams = ("mt",)
    composed_of = ("mt",)
    search_defaults = {"mt": {"max_ratio": 2.0, "max_extra": 10}}  # as text translation's; the rest is not used

    def __init__(
        self, parts: Any, rule: str = "le", step: int | str = 1, reuse: str = "none", **options: int | float
    ) -> None:
        """`step` source tokens come in at a time, or one `word`; `options` are those of the rule."""
        super().__init__()
        if not (step == "word" or (isinstance(step, int) and step >= 1)):
            raise ValueError(f"step: {step!r}; choose a number of source tokens from 1 on, or word")
        translator = load_experiment(parts.folder_of("mt"))
        self.mt = translator.model
        self.read, self.written = self.subwords = translator.src_subwords, translator.tgt_subwords
        self.langs = translator.config["src_lang"], translator.config["tgt_lang"]
        self.rule = rules.make(rule, options)
        self.step, self.reuse = step, reuse
        if self.rule.learns:
            self.mt.requires_grad_(False)
            self.rule.build(self.mt.decoder.embed[0].embedding_dim)

    @classmethod
    def more_options(cls, conf: Mapping[str, Any]) -> set[str]:
        return rules.option_names(conf.get("rule", "le"))

    @classmethod
    def decoding_options(cls, conf: Mapping[str, Any]) -> set[str]:
        return {"step", "reuse", *rules.find(conf.get("rule", "le")).decoding_options}

    @classmethod
    def learns(cls, conf: Mapping[str, Any]) -> bool:
        return rules.find(conf.get("rule", "le")).learns

    def train(self, mode: bool = True) -> "Model":
        """A translator that does not learn has no dropout either."""
        super().train(mode)
        self.mt.train(mode and not self.rule.learns)
        return self

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Stats]:
        """That of the rule; of one that learns nothing the translator's, for comparison with others."""
        if not self.rule.learns:
            return self.mt.loss(batch)
        # in full precision, as it is decoded: single decisions in small matrices, whose probabilities are learned
        with torch.autocast(batch["src_text"].device.type, enabled=False):
            loss, stats = self.rule.loss(self.mt, Texts(batch))
        return loss, stats

    def decode(self, batch: Batch, options: dict[str, SearchOptions]) -> dict[str, list[list[Hypothesis]]]:
        tokens_BL, lengths_B = batch["src_text"], batch["src_text_lengths"]
        sources = [row[:length] for row, length in zip(tokens_BL.tolist(), lengths_B.tolist(), strict=True)]
        prefixes = Prefixes(self.mt, tokens_BL.device, reuse=self.reuse == "encoder")
        for source in sources:
            prefixes.add(source, self.steps(source))
        # the translator's memory has a start token, which the limits of length count
        loops = Loops(self.mt, self.rule, prefixes, lambda seen: options["mt"].longest(seen + 1), self.reuse)
        loops.begin(range(len(sources)))
        found = []
        for source, writing in zip(sources, loops.run(), strict=True):
            delays = in_units(self.read, self.written, source, writing.tokens, writing.seen, self.langs)
            found.append([Hypothesis(writing.tokens, writing.score, delays)])
        return {"mt": found}

    def steps(self, source: list[int]) -> list[int]:
        if self.step == "word":
            return word_steps(self.read, source, self.langs[0])
        return steps_of(len(source), int(self.step))
