"""Imports ESPnet's task without what no system here uses; importing it whole takes 4 to 12 s longer.

ESPnet's Trainer imports a speech synthesiser (numba, scipy.stats) to plot its attention, its adapters import
transformers where that is installed, typeguard rewrites every checked function, and one is kept from torch's compiler,
which imports it. During the import the synthesiser's module is replaced by its one name that is asked for, transformers
looks as if not installed, and typeguard and the compiler leave functions alone.
"""

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import torch
import typeguard

SYNTHESISER = "espnet2.gan_tts.jets.alignments"


@contextmanager
def lean_imports() -> Iterator[None]:
    """For the time of the import only; what was imported before is left alone."""
    synthesiser = types.ModuleType(SYNTHESISER)
    synthesiser.AlignmentModule = type("AlignmentModule", (), {})  # type: ignore[attr-defined]
    instead: dict[str, Any] = {SYNTHESISER: synthesiser, "transformers": None}
    instead = {name: module for name, module in instead.items() if name not in sys.modules}
    typechecked, disable = typeguard.typechecked, torch.compiler.disable
    typeguard.typechecked = unchecked  # type: ignore[assignment]
    torch.compiler.disable = unchecked
    sys.modules.update(instead)
    try:
        yield
    finally:
        typeguard.typechecked, torch.compiler.disable = typechecked, disable
        for name in instead:
            del sys.modules[name]


def unchecked(target: Any = None, **_options: Any) -> Any:
    """typeguard.typechecked that checks nothing, torch.compiler.disable that disables nothing."""
    return target if target is not None else unchecked


with lean_imports(), redirect_stdout(None), redirect_stderr(None):  # it says that flash attention is not installed
    import espnet2.tasks.abs_task  # noqa: F401
