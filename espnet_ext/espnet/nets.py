"""Where ESPnet has its networks: `espnet.nets` up to 202511, the last for Python 3.11; then `espnet2.legacy.nets`."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

PACKAGE = "espnet2.legacy.nets" if find_spec("espnet2.legacy") else "espnet.nets"


def nets(name: str) -> Any:
    """One of their modules: nets("scorers.ctc")."""
    return import_module(f"{PACKAGE}.{name}")
