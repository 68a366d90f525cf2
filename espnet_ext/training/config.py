"""The configuration of a run: a YAML, changed by `--set`, with every name checked before an hour is spent on it."""

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.training.errors import TrainError

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


def read_config(path: Path, changes: Iterable[str]) -> dict[str, Any]:
    """The YAML with `key=value` or `key.key=value` changes; names are not checked yet."""
    if not path.exists():
        raise TrainError(f"{path}: no such file")
    config = with_numbers(yaml.safe_load(path.read_text(encoding="utf-8")))
    if not isinstance(config, dict):
        raise TrainError(f"{path}: expected `option: value` lines, found {type(config).__name__}")
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise TrainError(f"--set {change}: expected key=value, such as max_epoch=10 or encoder_conf.num_blocks=6")
        place = config
        *parents, last = name.split(".")
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise TrainError(f"--set {change}: {parent} is {place!r}, which has no parts")
        place[last] = with_numbers(yaml.safe_load(value))
    return config


def with_numbers(value: Any) -> Any:
    """Numbers such as 2e-3 as numbers, wherever they are."""
    if isinstance(value, dict):
        return {key: with_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and NUMBER.fullmatch(value) else value


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with other values; sections such as encoder_conf keep what is not changed, of the same class."""
    # another encoder has options of its own
    others = {f"{name}_conf" for name in changes if changes[name] != config.get(name)}
    sections = {
        name: value if name in others else {**(config[name] or {}), **value}
        for name, value in changes.items()
        if isinstance(value, dict)
    }
    return {**config, **changes, **sections}


def check_names(config: Mapping[str, Any], where: str) -> None:
    """Refuse options that nothing reads."""
    from espnet_ext.espnet.task import default_config

    check_known(config, default_config(), where)
    for name, value in config.items():
        known = names_of_conf(config, name) if isinstance(value, dict) else None
        if known is not None:
            check_known(value, known, f"{where}: {name}")
    check_peer(config, f"{where}: mt_peer")


def check_peer(config: Mapping[str, Any], where: str) -> None:
    """Refuse a text peer's options that nothing reads."""
    from espnet_ext import models

    peer = config.get("mt_peer") or {}
    if peer and not models.find(config.get("model", "e2e")).peers:
        raise TrainError(f"{where}: {config.get('model', 'e2e')} has no text peer; leave this section out")
    check_known(peer, PEER_OPTIONS, where)
    for name, value in peer.items():
        known = names_of_conf({**config, **peer, "model": "mt"}, name) if isinstance(value, dict) else None
        if known is not None:
            check_known(value, known, f"{where}: {name}")


def check_known(given: Iterable[str], known: Iterable[str], where: str) -> None:
    known = sorted(known)
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3, 0.5)
            remedy = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(known)}"
            raise TrainError(f"{where}: unknown option {name!r}; {remedy}")


def names_of_conf(config: Mapping[str, Any], name: str) -> set[str] | None:
    """What the class chosen by `<part>` takes as `<part>_conf`, or None if that cannot be told."""
    from espnet2.tasks.abs_task import optim_classes, scheduler_classes

    from espnet_ext import models
    from espnet_ext.espnet.task import CHOICES, default_config

    part = name.removesuffix("_conf")
    chosen = {**default_config(), **config}.get(part)
    if part == name or not isinstance(chosen, str):
        return None
    if part == "model":
        return parameters(models.find(chosen))
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
