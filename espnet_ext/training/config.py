"""The configuration of a run: a YAML over its recipe's base.yaml, changed by `--set`."""

import copy
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.training.errors import TrainError
from espnet_ext.training.merge import inherited

BASE = "base"  # base.yaml, beside the systems
BY_NAME = ("tasks", "derived")  # sections of what one system has, and another has not
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?e[+-]?\d+", re.IGNORECASE)  # YAML 1.1 takes 2e-3 for a string


@dataclass(frozen=True)
class Config:
    """The options of a run, and where they were given."""

    values: dict[str, Any]
    layers: list[tuple[str, dict[str, Any]]]  # file or argument, and what it says; what comes later counts

    def source(self, *names: str) -> str:
        """The file or argument that says `names[0]`, or the option `names[1]` in that section, and so on."""
        return next((where for where, values in reversed(self.layers) if holds(values, names)), "default")

    def options(self) -> Iterator[tuple[tuple[str, ...], Any]]:
        """Every value with the names of its sections and its own; those that were given last come first."""
        found = list(leaves(self.values))
        last = {where: place for place, (where, _) in enumerate(self.layers)}
        return iter(sorted(found, key=lambda option: -last.get(self.source(*option[0]), -1)))

    def without(self, names: tuple[str, ...]) -> "Config":
        """As it would be had the option not been given where it was given last."""
        values = copy.deepcopy(self.values)
        place = values
        for name in names[:-1]:
            place = place[name]
        said = [layer for _, layer in self.layers if holds(layer, names)]
        if len(said) > 1:
            place[names[-1]] = get(said[-2], names)
        else:
            place.pop(names[-1])
        return Config(values, self.layers)


def leaves(values: dict[str, Any], section: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The values in nested sections, each with the names that lead to it."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, (*section, name))
        else:
            yield (*section, name), value


def get(values: Any, names: Sequence[str]) -> Any:
    for name in names:
        values = values[name]
    return values


def holds(values: Any, names: Sequence[str]) -> bool:
    """Whether nested dictionaries have something under these names."""
    for name in names:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def read_config(path: Path, changes: Iterable[str] = (), vary: Iterable[str] = ()) -> Config:
    """A system's YAML, laid over what it says `from:` of, then `key.key=value` changes; not checked yet."""
    if path.stem == BASE:
        raise TrainError(f"{path} holds what the systems beside it share and is not a system; give conf/<system>.yaml")
    layers = layers_of(path, [])
    values: dict[str, Any] = {}
    for _, own in layers:
        values = copy.deepcopy(inherited(values, own))
    for option, given in (("--set", changes), ("--vary", vary)):
        layers += [(f"{option} {change}", apply(change, values, f"{option} {change}")) for change in given]
    return Config(values, layers)


def layers_of(path: Path, below: list[Path]) -> list[tuple[str, dict[str, Any]]]:
    """A YAML after those that it is laid over: base.yaml beside it, or another system's; `below` are laid over it."""
    own = read_yaml(path)
    if "from" not in own:
        return [(str(path), own)]
    name = own.pop("from")
    if path.stem == BASE:
        raise TrainError(f"{path}: `from:` is only for systems; take it out and write the options here")
    over = path.with_name(f"{name}.yaml")
    if over in [path, *below]:
        raise TrainError(f"{path}: from: {name}: that file is made from this one; choose another, such as {BASE}")
    return [*layers_of(over, [path, *below]), (str(path), own)]


def planned(path: Path, changes: Iterable[str] = ()) -> dict[str, Any]:
    """The options of a run for those who only plan it: where they are wrong, training will say so."""
    try:
        return read_config(path, changes).values
    except TrainError:
        return {}


def meant_for(path: Path, changes: Sequence[str]) -> list[str]:
    """The changes, but for those of a task or a derived set that this system does not have: they are for others."""
    if not any(change.partition(".")[0] in BY_NAME for change in changes):
        return list(changes)
    config, kept = planned(path), []
    had = {section: set(config.get(section) or ()) for section in BY_NAME}
    for change in changes:
        section, *inner = change.partition("=")[0].split(".")
        if section in BY_NAME and len(inner) == 1:  # given whole
            had[section].add(inner[0])
        if section not in BY_NAME or not inner or inner[0] in had[section]:
            kept.append(change)
    return kept


def read_yaml(path: Path) -> dict[str, Any]:
    """The options in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TrainError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TrainError(f"{path}: cannot be read as text: {error}") from None
    values = parse(text, str(path))
    if not isinstance(values, dict):
        raise TrainError(f"{path}: expected `option: value` lines, found {type(values).__name__}")
    return values


class Loader(yaml.SafeLoader):
    """YAML in which no option stands twice: of two values, PyYAML would take the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def parse(text: str, where: str) -> Any:
    """What a YAML text says; a fault is told in one line, with `where`."""
    try:
        return with_numbers(yaml.load(text, Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark and text.count("\n") else ""
        problem = getattr(error, "problem", None) or str(error).split("\n")[0]
        raise TrainError(f"{where}{line}: not YAML: {problem}") from None


def apply(change: str, values: dict[str, Any], where: str) -> dict[str, Any]:
    """Set what `key.key=value` says; returns it as a nested dictionary."""
    name, equals, text = change.partition("=")
    if not equals:
        raise TrainError(f"{where}: expected key=value, such as max_epoch=10 or encoder_conf.num_blocks=6")
    place, value = values, parse(text, where)
    *parents, last = name.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise TrainError(f"{where}: {parent} is {place!r}, not a section")
    place[last] = value
    for key in reversed(name.split(".")):
        value = {key: value}
    return value


def with_numbers(value: Any) -> Any:
    """Numbers such as 2e-3 as numbers, wherever they are."""
    if isinstance(value, dict):
        return {key: with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and NUMBER.fullmatch(value) else value
