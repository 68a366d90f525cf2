"""The configuration of a run: a YAML over its recipe's base.yaml, changed by `--set`, and every name in it checked."""

import copy
import difflib
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.training.errors import TrainError
from espnet_ext.training.merge import inherited

BASE = "base"  # base.yaml, beside the systems
PEER_OPTIONS = (
    "encoder",
    "encoder_conf",
    "decoder_conf",
    "model_conf",
    "optim",
    "optim_conf",
    "scheduler",
    "scheduler_conf",
)
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?e[+-]?\d+", re.IGNORECASE)  # YAML 1.1 takes 2e-3 for a string


@dataclass(frozen=True)
class Config:
    """The options of a run, and where they were given."""

    values: dict[str, Any]
    layers: list[tuple[str, dict[str, Any]]]  # file or argument, and what it says; what comes later counts

    def source(self, *names: str) -> str:
        """The file or argument that says `names[0]`, or the option `names[1]` in that section, and so on."""
        return next((where for where, values in reversed(self.layers) if holds(values, names)), "default")


def holds(values: Any, names: Sequence[str]) -> bool:
    """Whether nested dictionaries have something under these names."""
    for name in names:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def read_config(path: Path, changes: Iterable[str] = (), vary: Iterable[str] = ()) -> Config:
    """A system's YAML, laid over base.yaml if it says `from: base`, then `key.key=value` changes; not checked yet."""
    if path.stem == BASE:
        raise TrainError(f"{path} is what the systems beside it share, and not a system; give conf/<system>.yaml")
    own, base = read_yaml(path), {}
    layers = [(str(path), own)]
    if "from" in own:
        if own.pop("from") != BASE:
            raise TrainError(f"{path}: from: takes `{BASE}` only, the {BASE}.yaml beside this file")
        beside = path.with_name(f"{BASE}.yaml")
        base = read_yaml(beside)
        if "from" in base:
            raise TrainError(f"{beside}: `from:` stands in systems only; write here all that they share")
        layers.insert(0, (str(beside), base))
    values = copy.deepcopy(inherited(base, own))
    for option, given in (("--set", changes), ("--vary", vary)):
        layers += [(f"{option} {change}", apply(change, values, f"{option} {change}")) for change in given]
    return Config(values, layers)


def read_yaml(path: Path) -> dict[str, Any]:
    """The options in a file."""
    if not path.exists():
        raise TrainError(f"{path}: no such file")
    values = with_numbers(yaml.safe_load(path.read_text(encoding="utf-8")))
    if not isinstance(values, dict):
        raise TrainError(f"{path}: expected `option: value` lines, found {type(values).__name__}")
    return values


def apply(change: str, values: dict[str, Any], where: str) -> dict[str, Any]:
    """Set what `key.key=value` says; returns it as a nested dictionary."""
    name, equals, text = change.partition("=")
    if not equals:
        raise TrainError(f"{where}: expected key=value, such as max_epoch=10 or encoder_conf.num_blocks=6")
    place, value = values, with_numbers(yaml.safe_load(text))
    *parents, last = name.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise TrainError(f"{where}: {parent} is {place!r}, which has no parts")
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


def check_names(config: Config) -> None:
    """Refuse options that nothing reads."""
    from espnet_ext.espnet.task import default_config

    values = config.values
    check_known(config, default_config(), ())
    for name, value in values.items():
        known = names_of_conf(values, name) if isinstance(value, dict) else None
        if known is not None:
            check_known(config, known, (name,))
    check_peer(config)


def check_peer(config: Config) -> None:
    """Refuse a text peer's options that nothing reads."""
    from espnet_ext import models

    values = config.values
    peer, system = values.get("mt_peer") or {}, values.get("model", "e2e")
    if peer and not models.find(system).peers:
        raise TrainError(f"{config.source('mt_peer')}: mt_peer: {system} has no text peer; leave this section out")
    check_known(config, PEER_OPTIONS, ("mt_peer",))
    for name, value in peer.items():
        known = names_of_conf({**values, **peer, "model": "mt"}, name) if isinstance(value, dict) else None
        if known is not None:
            check_known(config, known, ("mt_peer", name))


def check_known(config: Config, known: Iterable[str], section: tuple[str, ...]) -> None:
    """Refuse names in a section (or outside all) that are not `known`."""
    known, given = sorted(known), config.values
    for name in section:
        given = given.get(name) or {}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.5)
            remedy = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(known)}"
            where = ": ".join((config.source(*section, name), *section))
            raise TrainError(f"{where}: unknown option {name!r}; {remedy}")


def names_of_conf(config: Mapping[str, Any], name: str) -> set[str] | None:
    """What the class chosen by `<part>` takes as `<part>_conf`, or None if that cannot be told."""
    from espnet2.tasks.abs_task import optim_classes, scheduler_classes

    from espnet_ext import models
    from espnet_ext.espnet.parts import CHOICES
    from espnet_ext.espnet.task import default_config

    part = name.removesuffix("_conf")
    chosen = {**default_config(), **config}.get(part)
    if part == name or not isinstance(chosen, str):
        return None
    if part == "model":
        model = models.find(chosen)
        return parameters(model) | model.more_options(config.get(name) or {})
    if part in CHOICES:
        return parameters(CHOICES[part].get_class(chosen))
    classes = {"optim": optim_classes, "scheduler": scheduler_classes}.get(part, {})
    return parameters(classes[chosen]) if chosen in classes else None


def parameters(of: type) -> set[str]:
    """The constructor's parameters, of base classes too where the rest is handed on to them."""
    names: set[str] = set()
    for cls in of.__mro__:
        if "__init__" not in vars(cls):
            continue
        found = inspect.signature(vars(cls)["__init__"]).parameters.values()
        names |= {p.name for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind == p.VAR_KEYWORD for p in found):
            break
    return names - {"self"}
