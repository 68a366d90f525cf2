"""Voices that read sentences aloud, offline: an engine is a file here, found by its name.

An engine has `RATE`, `missing()` (why it cannot speak here, or None) and `Engine` with `say(text, voice, speed)`.
"""

import importlib
from typing import Any

ENGINES = ("kokoro", "piper", "espeak")  # the most natural first, the fastest last


def find(name: str) -> Any:
    """The module of an engine."""
    if name not in ENGINES:
        raise ValueError(f"unknown engine '{name}'; choose from {', '.join(ENGINES)}")
    return importlib.import_module(f"{__name__}.{name}")
