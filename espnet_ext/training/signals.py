"""SIGTERM (a preempting scheduler) and SIGINT end training between two steps, with its state saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """The signal that asked the run to stop, if one did."""

    number: int | None = None

    @property
    def is_made(self) -> bool:
        return self.number is not None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGTERM and SIGINT instead of dying of them; a second one kills as usual."""
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        request.number = number
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, note)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
