"""Every rule as an agent of SimulEval: `simuleval --agent-class espnet_ext.simul.agent.TextAgent --exp exp/le ...`

SimulEval must be installed; nothing else imports this file.
"""

from argparse import ArgumentParser, Namespace
from typing import Any

import yaml
from simuleval.agents import TextToTextAgent
from simuleval.agents.actions import Action, ReadAction, WriteAction

from espnet_ext.simul.live import DEFAULT_RULE, LiveTranslator, joined
from espnet_ext.simul.loop import REUSE
from espnet_ext.simul.rules import NAMES


class TextAgent(TextToTextAgent):
    """Text to text: SimulEval brings a word, the rule says what is written; only whole words leave."""

    def __init__(self, args: Namespace) -> None:
        self.live = LiveTranslator(args.exp, args.rule, dict(args.set), args.reuse, args.device)
        super().__init__(args)

    @staticmethod
    def add_args(parser: ArgumentParser) -> None:
        parser.add_argument("--exp", required=True, help="folder or pack of a text translator or simultaneous system")
        parser.add_argument(
            "--rule", choices=NAMES, help=f"when to write; default: as the system says, or {DEFAULT_RULE}"
        )
        parser.add_argument("--reuse", choices=REUSE, help="states not computed anew; default: as the system says")
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


def pair(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, yaml.safe_load(value)
