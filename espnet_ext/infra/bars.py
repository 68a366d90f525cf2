"""How far a command is: a live bar on a terminal; in a log file a plain line a minute."""

import sys
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 60.0


class _Lines(tqdm):
    """Where carriage returns would fill a file, each state is a line of its own."""

    disable: bool

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        self.fp.write((msg or str(self)).strip() + "\n")
        self.fp.flush()
        return True

    def close(self) -> None:
        """Say the last state, once."""
        if not self.disable:
            self.display()
            self.disable = True


def progress_bar(total: float, description: str, unit: str, **how: Any) -> tqdm:
    """A bar over `total`, whose estimate is the mean so far."""
    if sys.stderr.isatty():
        return tqdm(total=total, desc=description, unit=unit, smoothing=0, **how)
    quiet = {"mininterval": LOG_SECONDS, "delay": LOG_SECONDS, "ascii": True, "ncols": 0}  # of no width: no bar
    return _Lines(total=total, desc=description, unit=unit, smoothing=0, **quiet, **how)
