"""A translation that grows beside its source: three lines of a terminal, or plain lines elsewhere."""

import sys
from typing import Any, TextIO

from espnet_ext.infra.languages import is_spaced
from espnet_ext.reporting.live import Display, printable


class Lines:
    """A line for each source line, its words as soon as they are final; of speech, the lag goes to stderr."""

    def __init__(self, out: TextIO, langs: tuple[str, str], unit: str) -> None:
        self.out, self.unit, self.written = out, unit, 0
        self.space = " " if is_spaced(langs[1]) else ""

    def show(self, source: str, growing: Any, lateness: Any) -> None:
        new = growing.units[self.written :]
        if new:
            self.out.write((self.space if self.written else "") + self.space.join(new))
            self.out.flush()
        self.written += len(new)

    def end(self, lateness: Any) -> None:
        self.out.write("\n")
        self.out.flush()
        self.written = 0
        if self.unit == "s":
            print(lag_line(lateness, self.unit), file=sys.stderr)


class Screen:
    """The source as far as it is there, the translation with its final words in bold, and the lag."""

    def __init__(self, out: TextIO, langs: tuple[str, str], unit: str) -> None:
        self.display = Display(out, "", {})
        self.out, self.langs, self.unit = out, langs, unit
        self.space = " " if is_spaced(langs[1]) else ""

    def show(self, source: str, growing: Any, lateness: Any) -> None:
        final = len(self.space.join(growing.units))
        begins = len(self.langs[1]) + 2
        lines = [
            f"{self.langs[0]}  {printable(source)}",
            f"{self.langs[1]}  {printable(growing.text)}",
            " " * begins + lag_line(lateness, self.unit),
        ]
        self.display.redraw(lines, {1: slice(begins, begins + final)})
        self.out.flush()

    def end(self, lateness: Any) -> None:
        self.out.write("\r\n\r\n")
        self.out.flush()
        self.display.rows = 0


def lag_line(lateness: Any, unit: str) -> str:
    """Average lagging so far; of speech also with the time that computing took."""
    if lateness.average is None:
        return "lag -"
    if unit != "s":
        return f"lag {lateness.average:.1f} {unit}, {1000 * lateness.computing / max(lateness.source, 1):.0f} ms a unit"
    return f"lag {lateness.average:.2f} s, with computing {lateness.average_with_computing:.2f} s"
