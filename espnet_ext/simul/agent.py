"""Every rule as an agent of SimulEval: `simuleval --agent-class espnet_ext.simul.agent.TextAgent --exp exp/le ...`

SimulEval must be installed; nothing else imports this file.
"""

from argparse import ArgumentParser, Namespace
from typing import Any

import numpy as np
import yaml
from simuleval.agents import SpeechToTextAgent, TextToTextAgent
from simuleval.agents.actions import Action, ReadAction, WriteAction

from espnet_ext.simul.hearing import RATE
from espnet_ext.simul.live import DEFAULT_RULE, LiveTranslator, joined
from espnet_ext.simul.loop import REUSE
from espnet_ext.simul.rules import NAMES
from espnet_ext.simul.speech import Interpreter, load_recogniser


class TextAgent(TextToTextAgent):
    """Text to text: SimulEval brings a word, the rule says what is written; only whole words leave."""

    def __init__(self, args: Namespace) -> None:
        self.live = LiveTranslator(args.exp, args.rule, dict(args.set), args.reuse, args.device)
        super().__init__(args)

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        parser.add_argument("--exp", required=True, help="folder or pack of a text translator or simultaneous system")
        parser.add_argument(
            "--rule", choices=NAMES, help=f"when to write; default: the system's rule, or {DEFAULT_RULE}"
        )
        parser.add_argument("--reuse", choices=REUSE, help="states to keep, not recompute; default: the system's")
        parser.add_argument(
            "--set", type=pair, nargs="+", default=[], metavar="NAME=VALUE", help="options of the rule, as d=4"
        )

    def reset(self) -> None:
        super().reset()
        self.growing = self.live.begin()
        self.given = 0  # units that have left

    def policy(self, states: Any = None) -> Action:
        states = states or self.states
        self.growing.read_on(joined(states.source, self.live.langs[0]), last=states.source_finished)
        units = self.growing.units
        new, self.given = units[self.given :], len(units)
        if not new and not states.source_finished:
            return ReadAction()
        return WriteAction(joined(new, self.live.langs[1]), finished=states.source_finished)


class SpeechAgent(SpeechToTextAgent):
    """Speech to text, by a pipeline or a translator with --asr: SimulEval brings samples at 16 kHz."""

    def __init__(self, args: Namespace) -> None:
        self.live = LiveTranslator(args.exp, args.rule, dict(args.set), args.reuse, args.device)
        if args.asr is not None:
            self.live.recogniser = load_recogniser(args.asr, self.live.langs[0], args.device)
        if self.live.recogniser is None:
            raise ValueError(f"{args.exp}: has no recogniser; give one with --asr, or a pipeline as --exp")
        super().__init__(args)

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        TextAgent.add_args(parser)
        parser.add_argument("--asr", help="folder or pack of a recogniser; a pipeline has its own")

    def reset(self) -> None:
        super().reset()
        self.interpreter = Interpreter(self.live)
        self.heard = self.given = 0  # samples that came in, units that have left

    def policy(self, states: Any = None) -> Action:
        states = states or self.states
        if states.source_sample_rate not in (0, RATE):
            raise ValueError(f"the recordings have {states.source_sample_rate} Hz; convert them to {RATE}")
        new = np.array(states.source[self.heard :], np.float32)
        self.heard += len(new)
        self.interpreter.hear(new, last=states.source_finished)
        units = self.interpreter.growing.units
        written, self.given = units[self.given :], len(units)
        if not written and not states.source_finished:
            return ReadAction()
        return WriteAction(joined(written, self.live.langs[1]), finished=states.source_finished)


def pair(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, yaml.safe_load(value)
