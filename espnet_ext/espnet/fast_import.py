"""Imports ESPnet's task without what no system here uses; importing it whole takes 4 to 12 s longer.

ESPnet's Trainer imports a speech synthesiser (numba, scipy.stats) to plot its attention, its adapters import
transformers where that is installed, and typeguard rewrites every checked function. During the import the synthesiser's
module is replaced by its one name that is asked for, transformers looks as if not installed, and typeguard leaves
functions alone.
"""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import typeguard

SYNTHESISER = "espnet2.gan_tts.jets.alignments"


@contextmanager
def lean_imports() -> Iterator[None]:
    """For the time of the import only; what was imported before is left alone."""
    synthesiser = types.ModuleType(SYNTHESISER)
    synthesiser.AlignmentModule = type("AlignmentModule", (), {})  # type: ignore[attr-defined]
    instead: dict[str, Any] = {SYNTHESISER: synthesiser, "transformers": None}
    instead = {name: module for name, module in instead.items() if name not in sys.modules}
    typechecked = typeguard.typechecked
    typeguard.typechecked = unchecked  # type: ignore[assignment]
    sys.modules.update(instead)
    try:
        yield
    finally:
        typeguard.typechecked = typechecked
        for name in instead:
            del sys.modules[name]


def unchecked(target: Any = None, **_options: Any) -> Any:
    """typeguard.typechecked that checks nothing."""
    return target if target is not None else unchecked


with lean_imports(), redirect_stdout(None):  # it prints that flash attention is not installed
    import espnet2.tasks.abs_task  # noqa: F401
