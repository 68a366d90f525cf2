"""One file per system: `model: e2e` in a YAML is `espnet_ext/models/e2e.py`, class `Model`.

Files that begin with `_` are what several systems share.
"""

import importlib
import pkgutil
from typing import Any

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"))


def find(name: str) -> Any:
    """The class `Model` of the file of that name."""
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}").Model
