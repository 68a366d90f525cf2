"""One file per system: `model: e2e` in a YAML is `espnet_ext/models/e2e.py`, class `Model`.

Files that begin with `_` are what several systems share.
"""

import importlib
import pkgutil
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"))


def find(name: str) -> Any:
    """The class `Model` of the file of that name."""
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    return importlib.import_module(f"{__name__}.{name}").Model


def said(name: str, attribute: str) -> str | None:
    """What a system's own class says of itself in a line of its file; read from there, for torch takes seconds."""
    if name not in NAMES:
        return None
    text = Path(str(find_spec(f"{__name__}.{name}").origin)).read_text(encoding="utf-8")  # type: ignore[union-attr]
    found = re.search(rf"^    {attribute} = (.*)", text, re.M)
    return found[1] if found else None


def reads_speech(name: str) -> bool:
    """Whether a system trains on speech. Who says no `data_names` does."""
    names = said(name, "data_names")
    return names is None or "speech" in names


def knows_tasks(name: str) -> bool:
    """Whether a system learns what its configuration says under `tasks:`."""
    return (said(name, "knows_tasks") or "False").startswith("True")
