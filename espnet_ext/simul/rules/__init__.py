"""Rules that say when to stop writing and to read on, one file each, found by their names."""

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")))


def find(name: str) -> Any:
    """The class `Rule` of a file here."""
    if name not in NAMES:
        raise ValueError(f"unknown rule {name!r}; choose from {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}").Rule


def option_names(name: str) -> set[str]:
    return set(inspect.signature(find(name)).parameters)


def make(name: str, options: Mapping[str, Any]) -> Any:
    """A rule with its options, which nothing else takes."""
    known = option_names(name)
    for option in options:
        if option not in known:
            takes = f"choose from {', '.join(sorted(known))}" if known else "it has none"
            raise ValueError(f"rule {name}: unknown option {option!r}; {takes}")
    return find(name)(**options)
