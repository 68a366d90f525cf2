"""What a search is told and what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

PAIRINGS = ("rank", "sum")
OnStep = Callable[[list[list[int]]], None]  # is given the best tokens so far of each utterance


def option(default: Any, help: str) -> Any:
    """A field that is at once default, YAML key and command-line option."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class SearchOptions:
    """Options of the `decode:` section of a system's YAML; docs/search.md has the equations."""

    beam: int = option(5, "hypotheses kept per utterance; 1 is greedy search")
    nbest: int = option(1, "hypotheses written per utterance")
    penalty: float = option(0.0, "added to the score for every token, the end included")
    length_norm: float = option(0.0, "hypotheses are ranked by score / length ** length_norm")
    min_ratio: float = option(0.0, "fewest tokens per frame of encoder output")
    max_ratio: float = option(0.0, "most tokens per frame of encoder output; 0: one, and end detection; -N: N tokens")
    max_extra: int = option(0, "tokens allowed beyond max_ratio")
    max_length: int = option(0, "most tokens, whatever max_ratio is; 0: no such limit")
    ctc_weight: float = option(0.0, "share of the CTC prefix score")
    pairing: str = option("rank", "for two streams in step: rank (equal ranks see each other), sum (pairs are scored)")

    def __post_init__(self) -> None:
        for name, ok, need in (
            ("beam", self.beam >= 1, "at least 1"),
            ("nbest", self.nbest >= 1, "at least 1"),
            ("ctc_weight", 0.0 <= self.ctc_weight <= 1.0, "from 0 to 1"),
            ("length_norm", self.length_norm >= 0.0, "at least 0"),
            ("min_ratio", self.min_ratio >= 0.0, "at least 0"),
            ("max_extra", self.max_extra >= 0, "at least 0"),
            ("max_length", self.max_length >= 0, "at least 0"),
            ("pairing", self.pairing in PAIRINGS, " or ".join(PAIRINGS)),
        ):
            if not ok:
                raise ValueError(f"decode option {name}: {getattr(self, name)!r}; must be {need}")

    def replace(self, **changes: Any) -> "SearchOptions":
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(f"unknown decode option {name!r}; choose from {', '.join(known)}")
        return replace(self, **changes)

    def watched(self, on_step: OnStep) -> "WatchedOptions":
        """The same for a search that tells after every step what it has."""
        return WatchedOptions(**{f.name: getattr(self, f.name) for f in fields(self)}, on_step=on_step)

    def rank(self, score: float, length: int) -> float:
        """By what hypotheses of so many tokens, the end included, are compared."""
        return score / length**self.length_norm

    def longest(self, frames: int) -> int:
        """The largest number of tokens for a memory of so many frames."""
        if self.max_ratio < 0:
            limit = -int(self.max_ratio)
        else:
            limit = max(1, int((self.max_ratio or 1.0) * frames)) + self.max_extra
        return max(1, min(limit, self.max_length or limit))

    def shortest(self, frames: int) -> int:
        return min(int(self.min_ratio * frames), self.longest(frames))


@dataclass(frozen=True)
class WatchedOptions(SearchOptions):
    """Options of one search, and who is told what it has after every step; no configuration has these."""

    on_step: OnStep = field(kw_only=True)


def watcher(options: Sequence[SearchOptions]) -> Callable[[list[list[list[int]]]], None] | None:
    """Tells those who watch the streams of one search what each of them has; None if nobody watches."""
    watched = [(i, value.on_step) for i, value in enumerate(options) if isinstance(value, WatchedOptions)]

    def tell(partial: list[list[list[int]]]) -> None:
        for i, on_step in watched:
            on_step(partial[i])

    return tell if watched else None


@dataclass
class Hypothesis:
    """Token ids without start and end, and the score that the search ranked it by."""

    tokens: list[int] = field(default_factory=list)
    score: float = float("-inf")
    delays: dict[str, Any] = field(default_factory=dict)  # of simultaneous translation: what had been read, and when
    cut: bool = field(default=False, compare=False)  # it ends at the limit of length, not by itself


def stream_options(
    conf: dict[str, Any], streams: tuple[str, ...], defaults: dict[str, dict[str, Any]]
) -> dict[str, SearchOptions]:
    """The options of each stream: the system's defaults, the `decode:` section, and the stream's own section in it."""
    shared = {name: value for name, value in conf.items() if not isinstance(value, dict)}
    for name, value in conf.items():
        if isinstance(value, dict) and name not in ("asr", "st", "mt", *streams):
            known = ", ".join(dict.fromkeys(("asr", "st", "mt", *streams)))
            raise ValueError(f"decode: {name}: only the streams {known} have options of their own")
    return {s: SearchOptions().replace(**{**defaults.get(s, {}), **shared, **conf.get(s, {})}) for s in streams}
