"""A trained translator that writes while its source is still coming in: one text at a time, with any rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from espnet_ext.infra.languages import is_spaced, text_unit
from espnet_ext.simul import rules
from espnet_ext.simul.hearing import Recogniser
from espnet_ext.simul.loop import Loops
from espnet_ext.simul.prefixes import Prefixes

DEFAULT_RULE = "le"


class LiveTranslator:
    """A translator of whole sentences and the rule that says when it writes."""

    def __init__(
        self,
        exp: str | Path,
        rule: str | None = None,
        options: Mapping[str, Any] | None = None,
        reuse: str | None = None,
        device: str = "cpu",
    ) -> None:
        """`exp`, a folder or a pack, is a text translator, a pipeline (which gives `recogniser` too), or a simultaneous
        system, whose rule, options and reuse hold as far as none are given."""
        from espnet_ext.machine.precision import prepare
        from espnet_ext.packing.read import load

        experiment = load(exp, device)
        config, model = experiment.config, experiment.model
        is_pipeline = model.composed_of == ("asr", "mt") and not model.learns(config["model_conf"])
        if model.streams != ("mt",) and not is_pipeline:
            raise ValueError(
                f"{exp}: {config['model']} writes {', '.join(model.streams)}; give a translator of text (mt, or "
                "simultaneous), or a pipeline"
            )
        self.model: Any = prepare(model, "fp32", device)
        self.translator = getattr(self.model, "mt", self.model)
        self.read = getattr(self.model, "read", experiment.src_subwords)
        self.written = experiment.tgt_subwords
        self.langs = getattr(self.model, "langs", (config["src_lang"], config["tgt_lang"]))
        options_of = model.search_options(config.get("decode"))
        self.limits = options_of["st" if is_pipeline else "mt"]
        self.rule = self.choose_rule(exp, config["model_conf"], rule, dict(options or {}))
        self.reuse: Any = reuse or getattr(self.model, "reuse", "none")
        self.device = device
        self.recogniser = (
            Recogniser(self.model.asr, experiment.src_subwords, options_of["asr"], device) if is_pipeline else None
        )

    def choose_rule(self, exp: str | Path, conf: Mapping[str, Any], name: str | None, options: dict[str, Any]) -> Any:
        """The system's own rule, with other options if some are given, or another rule."""
        own: Any = getattr(self.model, "rule", None)
        own_name = conf.get("rule", DEFAULT_RULE) if own is not None else None
        name = name or own_name or DEFAULT_RULE
        if name != own_name:
            found = rules.make(name, options)
            if found.learns:
                raise ValueError(f"{exp}: rule {name} must be trained; give the folder of such a system, as exp/{name}")
            return found
        if not options:
            return own
        known = rules.option_names(name)
        found = rules.make(name, {key: value for key, value in conf.items() if key in known} | options)
        if found.learns:
            found.network = own.network
        return found

    def longest(self, seen: int) -> int:
        """The most target tokens; the translator's memory has a start token, which the limits of length count."""
        return self.limits.longest(seen + 1)

    def begin(self) -> "GrowingText":
        """A new text of which nothing is known."""
        return GrowingText(self)


class GrowingText:
    """A translation as it grows with its source."""

    def __init__(self, live: LiveTranslator) -> None:
        self.live = live
        self.prefixes = Prefixes(live.translator, torch.device(live.device), reuse=live.reuse == "encoder")
        self.prefixes.add([], [])
        self.loops = Loops(live.translator, live.rule, self.prefixes, live.longest, live.reuse)
        self.loops.begin([0], whole=False)
        self.source: list[int] = []

    @torch.inference_mode()
    def read_on(self, text: str, last: bool = False) -> None:
        """Write as far as the rule allows; `text` is the source so far, and all of it if `last`."""
        self.source = self.live.read.encode(text)
        self.prefixes.grow(0, self.source)
        self.loops.whole = [last]
        if self.source:
            self.loops.run()

    @property
    def is_done(self) -> bool:
        return self.loops.whole[0]

    @property
    def tokens(self) -> list[int]:
        return self.loops.rows[0].tokens

    @property
    def text(self) -> str:
        """All that is written; its last word may still grow."""
        return " ".join(self.live.written.decode(self.tokens).split())

    @property
    def units(self) -> list[str]:
        """The words (or characters, where no spaces part words) that are known to be whole."""
        if text_unit(self.live.langs[1]) == "char":
            return list("".join(self.text.split()))
        words = self.text.split()
        return words if self.is_done else words[:-1]


def joined(units: list[str], lang: str) -> str:
    return (" " if is_spaced(lang) else "").join(units)
