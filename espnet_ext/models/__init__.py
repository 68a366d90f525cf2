"""One file per system: `model: e2e` in a YAML is `espnet_ext/models/e2e.py`, class `Model`.

Files that begin with `_` are what several systems share.
"""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"))


def find(name: str) -> Any:
    """The class `Model` of the file of that name."""
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}").Model


def reads_speech(name: str) -> bool:
    """Whether a system trains on speech; read from its file, for torch takes seconds. Who says no `data_names` does."""
    path = Path(__file__).with_name(f"{name}.py")
    said = re.search(r"^    data_names = (.*)", path.read_text(encoding="utf-8"), re.M) if name in NAMES else None
    return said is None or "speech" in said[1]
