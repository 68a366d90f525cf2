"""Configurations laid over others: a text peer's over its speech system's, a system's over what its recipe shares."""

from collections.abc import Mapping
from typing import Any


def merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with other values; sections such as encoder_conf keep what is not changed, of the same class."""
    others = sections_of_others(config, changes)
    sections = {
        name: value if name in others else {**(config[name] or {}), **value}
        for name, value in changes.items()
        if isinstance(value, dict)
    }
    return {**config, **changes, **sections}


def inherited(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The values of `own`, and those of `base` that it does not replace, or remove by null; so in every section."""
    others = sections_of_others(base, own)
    result = {name: value for name, value in base.items() if name not in others}
    for name, value in own.items():
        if value is None and name in base:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = inherited(result[name], value)
        else:
            result[name] = value
    return result


def sections_of_others(config: Mapping[str, Any], changes: Mapping[str, Any]) -> set[str]:
    """The sections of classes that are no longer chosen: another encoder has options of its own."""
    return {f"{name}_conf" for name in changes if name in config and changes[name] != config[name]}
