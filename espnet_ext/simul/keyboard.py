"""What is typed or comes through a pipe, as a source that grows."""

import codecs
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BACKSPACE, END = "\x08\x7f", "\x04"


@dataclass(frozen=True)
class Step:
    """A line as far as it is typed, and what of it the translator reads, if that is more than before."""

    shown: str
    read: str | None = None
    last: bool = False


def characters(descriptor: int) -> Iterator[str]:
    """As soon as they are there."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    while block := os.read(descriptor, 4096):
        try:
            yield from decoder.decode(block)
        except UnicodeDecodeError as error:
            raise ValueError(f"the input is not UTF-8 text ({error.reason}); convert it") from None


def steps(typed: Iterable[str], spaced: bool) -> Iterator[Step]:
    """Words are read when the space after them comes; where no spaces part words, characters are."""
    line = ""
    for char in typed:
        if char == END:
            break
        if char == "\n":
            yield Step(line.rstrip("\r"), line, last=True)
            line = ""
        elif char in BACKSPACE:
            if line and spaced and not line[-1].isspace():  # what has been read stays
                line = line[:-1]
                yield Step(line)
        elif char.isspace():
            words = bool(line) and not line[-1].isspace()
            line += char
            yield Step(line, line if words and spaced else None)
        else:
            line += char
            yield Step(line, None if spaced else line)
    if line:
        yield Step(line, line, last=True)


@contextmanager
def unbuffered_terminal(descriptor: int) -> Iterator[None]:
    """Characters come as they are typed, and are not shown; afterwards, whatever ends it, the terminal is as before."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    ended = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTERM, ended)
