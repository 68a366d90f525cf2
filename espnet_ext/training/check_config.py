"""The whole configuration is checked before an hour is spent on it: names, values, and that all goes together."""

import difflib
from collections.abc import Iterable
from typing import Any

from espnet_ext.data.derive import read_derived
from espnet_ext.data.tasks import TaskError, read_tasks
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.training.config import Config, get, holds
from espnet_ext.training.errors import TrainError
from espnet_ext.training.kinds import fits, shown, wanted
from espnet_ext.training.known_options import GIVEN, RANGES, Option, known_options


def check_config(config: Config, src_lang: str | None = None) -> None:
    """Refuse what nothing reads, what has the wrong kind or size, and what does not work together."""
    from espnet_ext import models
    from espnet_ext.training.trial import check_criteria, try_out

    check_tasks(config)
    check_section(config, ())
    model = models.find(config.values.get("model", "e2e"))
    if config.values.get("mt_peer") and not model.peers:
        name = config.values.get("model", "e2e")
        raise TrainError(f"{config.source('mt_peer')}: mt_peer: {name} has no text peer; leave this section out")
    if not model.composed_of:
        check_criteria(config, try_out(config, src_lang))


def check_tasks(config: Config) -> None:
    """Refuse mistakes in `tasks:`, and tasks of a system that knows none."""
    from espnet_ext import models

    try:
        vocabulary_of(config.values)
        read_derived(config.values)
        check_mixture(config.values)
    except TaskError as error:
        raise TrainError(f"{config.source(*error.names)}: {error}") from None
    name = config.values.get("model", "e2e")
    knowing = [other for other in models.NAMES if models.knows_tasks(other)]
    if config.values.get("tasks") and name not in knowing:
        remedy = f"take them out, or choose from {', '.join(knowing) or 'none'}"
        raise TrainError(f"{config.source('tasks')}: tasks: model {name} takes no tasks; {remedy}")
    if name in knowing and not config.values.get("tasks"):
        raise TrainError(f"{config.source('model')}: model {name} learns tasks; name them in a section tasks:")
    for option in ("mixture", "vocabulary", "derived"):
        if config.values.get(option) and not config.values.get("tasks"):
            raise TrainError(f"{config.source(option)}: {option}: there are no tasks; leave this section out")


def check_mixture(values: dict[str, Any]) -> None:
    """With a batch for each task no epoch is empty, however small the share of some."""
    learned = [task for task in read_tasks(values).values() if task.weight != 0]
    for names in (("mixture", "batches"), ("num_iters_per_epoch",)):
        batches = get(values, names) if holds(values, names) else None
        if learned and isinstance(batches, int) and batches < len(learned):
            raise TaskError(names, f"{batches}, and {len(learned)} tasks are learned; expected a batch for each")


def check_section(config: Config, section: tuple[str, ...]) -> None:
    """The names and values of a section and of those in it."""
    try:
        known = known_options(config.values, section)
    except ValueError as error:  # a name that a model looks up
        raise TrainError(f"{config.source(*section)}: {'.'.join(section)}: {error}") from None
    given = get(config.values, section)
    if known is None:
        return
    check_known(config, known, section)
    for name, value in given.items():
        check_value(config, (*section, name), value, known[name])
    for name, value in given.items():
        if isinstance(value, dict):
            check_section(config, (*section, name))


def check_known(config: Config, known: Iterable[str], section: tuple[str, ...]) -> None:
    """Refuse names in a section (or outside all) that are not `known`."""
    from espnet_ext.espnet.task import default_config
    from espnet_ext.training.options import REFUSED

    for name in get(config.values, section):
        if name in known:
            continue
        where = ": ".join((config.source(*section, name), *section))
        if not section and name in GIVEN:
            raise TrainError(f"{where}: {name}: the command line sets this by {GIVEN[name]}; take it out")
        if not section and name in default_config():
            remedy = REFUSED.get(name, "take it out")
            raise TrainError(f"{where}: {name}: an option of ESPnet that this training loop does not read; {remedy}")
        near = difflib.get_close_matches(str(name), known, 3, 0.5)
        remedy = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(sorted(known))}"
        raise TrainError(f"{where}: unknown option {name!r}{of_class(config, section)}; {remedy}")


def of_class(config: Config, section: tuple[str, ...]) -> str:
    """Which class has the options of a section, if another place says so than the section."""
    part = section[-1].removesuffix("_conf") if section else ""
    holder = get(config.values, section[:-1])
    if part in section or not isinstance(holder.get(part), str):
        return ""
    return f" of {part} {holder[part]}"


def check_value(config: Config, names: tuple[str, ...], value: Any, option: Option) -> None:
    """Refuse a value of another kind, or outside its limits."""
    from espnet_ext.search.options import SearchOptions

    where = f"{config.source(*names)}: {'.'.join(names)}: {shown(value)}"
    if not fits(value, option.kind):
        raise TrainError(f"{where}; expected {wanted(option.kind) or 'another value'}")
    least, most = RANGES.get(".".join(names), RANGES.get(names[-1], (None, None)))
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if least is not None and number < least:
            raise TrainError(f"{where}; expected {'more than 0' if 0 < least < 1 else f'at least {least}'}")
        if most is not None and number > most:
            raise TrainError(f"{where}; expected at most {most}")
    if names[0] == "decode" and not isinstance(value, dict):
        try:
            SearchOptions().replace(**{names[-1]: value})
        except ValueError as error:
            raise TrainError(f"{config.source(*names)}: {error}") from None
