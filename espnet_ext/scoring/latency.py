"""How far a translation that is written while its source comes in lags behind; docs/simultaneous.md has the equations.

`read` holds for each target unit how many source units had been read when it was written (d_i), in order; X source
units, Y = len(read) target units, R reference units. The definitions are those of SimulEval 1.1.4 where it has them.
"""

from collections.abc import Callable, Sequence
from itertools import groupby

Lag = Callable[[Sequence[int], int, float], float | None]


def lagging(read: Sequence[int], source: int, target: float) -> float:
    """1/tau sum_{i<=tau} [d_i - (i-1) X/`target`]: behind an ideal that writes evenly; tau: the first with all read."""
    if read[0] > source:
        return float(read[0])
    tau = next((i for i, d in enumerate(read, 1) if d >= source), len(read))
    return sum(d - i * source / target for i, d in enumerate(read[:tau])) / tau


def al(read: Sequence[int], source: int, reference: float) -> float:
    """Average lagging (Ma et al. 2019), the ideal being as long as the reference."""
    return lagging(read, source, reference)


def al_hyp(read: Sequence[int], source: int, reference: float) -> float:
    """Average lagging, the ideal being as long as the hypothesis: that of the reward of arXiv 1911.03154."""
    return lagging(read, source, len(read))


def laal(read: Sequence[int], source: int, reference: float) -> float:
    """Length-adaptive average lagging (Papi et al. 2022): writing too much is no merit."""
    return lagging(read, source, max(len(read), reference))


def yaal(read: Sequence[int], source: int, reference: float) -> float | None:
    """LAAL over what was written before the source ended (Polak et al. 2025); None if nothing was."""
    early = [d for d in read if d < source]
    ideal = source / max(len(read), reference)
    return sum(d - i * ideal for i, d in enumerate(early)) / len(early) if early else None


def dal(read: Sequence[int], source: int, reference: float) -> float:
    """Differentiable average lagging (Cherry and Foster 2019): each unit costs the time of an even writer."""
    pace = source / len(read)
    total, last = 0.0, -pace
    for i, d in enumerate(read):
        last = max(d, last + pace)
        total += last - i * pace
    return total / len(read)


def ap(read: Sequence[int], source: int, reference: float) -> float:
    """Average proportion (Cho and Esipova 2016): what share of the source was read, over the reference's units."""
    return sum(read) / (source * reference)


def cw(read: Sequence[int], source: int, reference: float) -> float:
    """Consecutive wait (Gu et al. 2017): source units for each time that something was written."""
    return source / len(set(read))


def atd(read: Sequence[int], source: int, reference: float) -> float:
    """Average token delay (Kano et al. 2023): from the end of the source unit that a unit matches to its own end.

    Units of both sides take a time of 1. Units written at one time are a chunk; they match the source units of the
    chunk in order, and those before it as far as the target is not ahead.
    """
    total, end, written, before = 0.0, 0, 0, 0
    for now, chunk in groupby(read):
        ahead, size = max(0, written - before), len(list(chunk))
        for i in range(written + 1, written + size + 1):
            end = max(now, end) + 1
            total += end - min(i - ahead, now)
        written, before = written + size, now
    return total / len(read)


def initial(read: Sequence[int], source: int, reference: float) -> float:
    """What was read before the first unit was written."""
    return float(read[0])


LAGS: dict[str, Lag] = {
    "al": al,
    "al_hyp": al_hyp,
    "laal": laal,
    "yaal": yaal,
    "dal": dal,
    "ap": ap,
    "cw": cw,
    "atd": atd,
    "initial": initial,
}


def lag(name: str, read: Sequence[int], source: int, reference: float) -> float | None:
    """One figure of a sentence; who writes nothing has waited for all of the source, and that counts."""
    if not read:  # as one unit after the whole source; AP is then 1, not 1 / R
        return 1.0 if name == "ap" else LAGS[name]([source], source, 1)
    return LAGS[name](read, source, max(reference, 1))
