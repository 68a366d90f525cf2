"""Every option in force with its value, where that comes from, its default and its help."""

import textwrap
from collections.abc import Iterator
from typing import Any

from espnet_ext.training.config import Config, get, holds
from espnet_ext.training.kinds import shown
from espnet_ext.training.known_options import Option, known_options

WIDTH, INDENT = 110, " " * 8


def explain(config: Config) -> str:
    """A line for each option, and its help where there is one."""
    lines = []
    for names, option in options_in_force(config, ()):
        if holds(config.values, names):
            value = get(config.values, names)
            default = "" if shown(value) == shown(option.default) else f", default {shown(option.default)}"
            lines.append(f"{'.'.join(names)}: {shown(value)}    # {config.source(*names)}{default}")
        else:
            lines.append(f"{'.'.join(names)}: {shown(option.default)}    # default")
        lines += textwrap.wrap(option.help, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    return "\n".join(lines)


def options_in_force(config: Config, section: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Option]]:
    """All that a configuration could say, given or not; a section's options stand for it."""
    given = get(config.values, section) if holds(config.values, section) else {}
    known = known_options(config.values, section) or {name: Option(Any) for name in given}
    for name, option in known.items():
        # What a text peer or a stream does not say is for it as it is for all.
        if is_of_one(section) and name not in given:
            continue
        if isinstance(given.get(name, option.default), dict) and (name in given or not is_of_one((*section, name))):
            inner = list(options_in_force(config, (*section, name)))
            yield from inner or [((*section, name), option)]
        elif not isinstance(option.default, type):
            yield (*section, name), option


def is_of_one(section: tuple[str, ...]) -> bool:
    """Whether a section is a text peer's or a stream's."""
    return section[:1] == ("mt_peer",) or (section[:1] == ("decode",) and len(section) > 1)
