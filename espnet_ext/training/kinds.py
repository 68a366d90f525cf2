"""Kinds of values, as annotations name them: whether a value of a YAML is one, and how to say what would be."""

import inspect
import json
import math
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", type(None): "null"}


def fits(value: Any, kind: Any) -> bool:
    """Whether a value read from YAML is what an annotation says."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind in (Any, inspect.Parameter.empty):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if kind is None:
        return value is None
    if kind in (int, float):
        return isinstance(value, (int, kind)) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(origin or kind, type) and issubclass(origin or kind, Mapping):
        return isinstance(value, dict) and all(fits(item, parts[1] if parts else Any) for item in value.values())
    if kind is not str and isinstance(origin or kind, type) and issubclass(origin or kind, (Sequence, set)):
        return isinstance(value, list) and items_fit(value, origin or kind, parts)
    return isinstance(value, kind) if isinstance(kind, type) else True


def items_fit(values: Sequence[Any], of: type, parts: tuple[Any, ...]) -> bool:
    """Whether a list holds what list[X], tuple[X, Y] or tuple[X, ...] says."""
    if not parts:
        return True
    if of is tuple and parts[-1] is not Ellipsis:
        return len(values) == len(parts) and all(fits(value, part) for value, part in zip(values, parts))
    return all(fits(value, parts[0]) for value in values)


def wanted(kind: Any) -> str:
    """What would fit, in words."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(words for part in parts if (words := wanted(part))))
    if origin is Literal:
        return one_of(parts)
    if kind in NAMES or kind is None:
        return NAMES[type(None) if kind is None else kind]
    if isinstance(origin or kind, type) and issubclass(origin or kind, Mapping):
        return "a section of `name: value`" + (f", each value {wanted(parts[1])}" if parts else "")
    if isinstance(origin or kind, type) and issubclass(origin or kind, (Sequence, set)):
        if origin is tuple and parts and parts[-1] is not Ellipsis:
            return f"a list [{', '.join(wanted(part) for part in parts)}]"
        return f"a list, each {wanted(parts[0])}" if parts else "a list"
    return ""  # a class that no YAML can hold


def one_of(choices: Collection[Any]) -> str:
    names = ["null" if choice is None else str(choice) for choice in choices]
    return " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"


def kind_of(parameter: inspect.Parameter) -> Any:
    """What a constructor's parameter takes, by its annotation or else its default."""
    if parameter.annotation is not inspect.Parameter.empty and not isinstance(parameter.annotation, str):
        return parameter.annotation if parameter.default is not None else parameter.annotation | None
    if isinstance(parameter.default, bool | str):
        return type(parameter.default)
    return float if isinstance(parameter.default, int | float) else Any


def shown(value: Any) -> str:
    """A value as YAML has it."""
    return json.dumps(value, ensure_ascii=False, default=str)
