"""How far a translation lags behind while it is being written, in words or in seconds, and with the time it takes."""

from dataclasses import dataclass, field

from espnet_ext.scoring.latency import lag


@dataclass
class Lateness:
    """What had been read when each unit of a text was written, and, in seconds of speech, when it was there."""

    read: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)
    source: float = 0.0  # all that has been read so far
    computing: float = 0.0  # seconds of work

    def add(self, units: int, source: float, elapsed: float = 0.0) -> None:
        """So many units are written by now."""
        self.source = source
        more = units - len(self.read)
        self.read += [source] * more
        self.elapsed += [elapsed] * more

    @property
    def average(self) -> float | None:
        """Average lagging so far, behind an even writer of the same length."""
        return average(self.read, self.source)

    @property
    def average_with_computing(self) -> float | None:
        """The same of the times at which the units were there; a delay over the source's length is late as it is."""
        if not self.read:
            return None
        pace = self.source / len(self.read)
        tau = next((i for i, d in enumerate(self.read, 1) if d >= self.source), len(self.read))
        return sum(time - i * pace for i, time in enumerate(self.elapsed[:tau])) / tau


def average(read: list[float], source: float) -> float | None:
    return lag("al_hyp", read, source, 1) if read else None  # type: ignore[arg-type]
