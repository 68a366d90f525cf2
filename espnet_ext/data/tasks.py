"""What a system learns, where its configuration says so: the section `tasks:` (docs/tasks.md).

st:  {set: train, reads: speech, src: en, tgt: de}
mt:  {set: [train, more], reads: text, src: en, tgt: de, weight: 2, valid: dev, tests: [test]}
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from espnet_ext.infra.streams import STREAMS, Stream

READS = {"speech": "speech", "text": "src_text"}  # what a task reads, by the name that a batch has for it
KEYS = {
    "set": "The set that it trains on, or a list of sets.",
    "reads": "speech or text.",
    "src": "The language that is read.",
    "tgt": "The language that is written; for speech recognition the same.",
    "weight": "Its share of an epoch's batches, relative to the other tasks' weights; 0: only decoded.",
    "valid": "The set that it is validated on, or a list; null: the recipe's validation set.",
    "tests": "The sets that it is decoded on; null: all test sets of the recipe that have its input and output.",
}
NEEDED = ("set", "reads", "src", "tgt")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class TaskError(ValueError):
    """A mistake in what a configuration says of tasks; `names` lead to the option."""

    def __init__(self, names: Iterable[str], found: str) -> None:
        self.names, self.found = tuple(names), found
        super().__init__(f"{'.'.join(self.names)}: {found}")


@dataclass(frozen=True)
class Task:
    """One thing that a system learns to do."""

    name: str
    sets: tuple[str, ...]
    reads: str  # speech or text
    src: str
    tgt: str
    weight: float | None = None
    valid: tuple[str, ...] = ()  # none: the recipe's
    tests: tuple[str, ...] | None = None  # None: those of the recipe that have what it needs

    @property
    def kind(self) -> str:
        if self.reads == "text":
            return "mt"
        return "asr" if self.src == self.tgt else "st"

    @property
    def stream(self) -> Stream:
        return Stream(self.kind, READS[self.reads], "text", self.src, self.tgt)

    @property
    def names(self) -> tuple[str, str]:
        """What a training batch holds: what is read, and what is to be written."""
        return READS[self.reads], "text"


def read_tasks(config: Mapping[str, Any]) -> dict[str, Task]:
    """The tasks of a configuration, in the order of its section; none where it has no such section."""
    section = config.get("tasks")
    if not section:
        return {}
    if not isinstance(section, dict):
        raise TaskError(["tasks"], f"{section!r}; expected a section of `name: {{set, reads, src, tgt}}`")
    if config.get("subwords") != "joint":
        raise TaskError(["subwords"], "tasks share one vocabulary; set subwords: joint")
    # null takes out what --set or the YAML does not want of base.yaml
    tasks = {name: read_task(name, values) for name, values in section.items() if values is not None}
    if tasks and all(task.weight == 0 for task in tasks.values()):
        raise TaskError(["tasks"], "all have weight 0, so nothing is trained; give one of them another weight")
    return tasks


def names_of_sets(config: Mapping[str, Any]) -> list[str]:
    """All sets that tasks train on, are validated on or are decoded on by name."""
    tasks = read_tasks(config).values()
    return list(dict.fromkeys(name for task in tasks for name in (*task.sets, *task.valid, *(task.tests or ()))))


def derived_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The section `derived:`, sets made from others; null takes out what --set or the YAML does not want."""
    return {name: how for name, how in (config.get("derived") or {}).items() if how is not None}


def read_task(name: Any, values: Any) -> Task:
    """One task, as its line says."""
    where = ("tasks", str(name))
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise TaskError(where, "a task's name has letters, digits, - and _, the first a letter: files have this name")
    if not isinstance(values, dict):
        raise TaskError(where, f"{values!r}; expected {{set: ..., reads: ..., src: ..., tgt: ...}}")
    for key in values:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1)
            raise TaskError((*where, str(key)), f"unknown key; {f'did you mean {near[0]}?' if near else known_keys()}")
    missing = [key for key in NEEDED if values.get(key) is None]
    if missing:
        raise TaskError(where, f"{' and '.join(missing)} missing; {' '.join(KEYS[key] for key in missing)}")
    if values["reads"] not in READS:
        raise TaskError((*where, "reads"), f"{values['reads']!r}; expected speech or text")
    for key in ("src", "tgt"):
        if not isinstance(values[key], str):
            raise TaskError((*where, key), f"{values[key]!r} is not a language code; put it in quotes")
    weight = values.get("weight")
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0):
        raise TaskError((*where, "weight"), f"{weight!r}; expected a number, 0 for a task that is only decoded")
    sets, valid, tests = (listed(values.get(key), (*where, key)) for key in ("set", "valid", "tests"))
    languages = values["src"], values["tgt"]
    return Task(name, sets or (), values["reads"], *languages, weight, valid or (), tests)


def known_keys() -> str:
    return f"choose from {', '.join(KEYS)}"


def listed(value: Any, where: tuple[str, ...]) -> tuple[str, ...] | None:
    """One name of a set or several; None where nothing is said."""
    if value is None:
        return None
    names = value if isinstance(value, list) else [value]
    for name in names:
        if not isinstance(name, str) or not name or "/" in name:
            raise TaskError(where, f"{name!r} is not the name of a set; expected the name of a folder under data/")
    twice = {name for name in names if names.count(name) > 1}
    if twice or not names:
        raise TaskError(where, f"{', '.join(twice)} is given twice" if twice else "an empty list; leave it out")
    return tuple(names)


def streams_of(config: Mapping[str, Any]) -> Mapping[str, Stream]:
    """What the streams of a system are, by their names: its tasks, or the three that every system has."""
    return {name: task.stream for name, task in read_tasks(config).items()} or STREAMS
