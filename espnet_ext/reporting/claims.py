"""The claims of a paper: what it published, and whether the results here say the same; docs/claims.md has the rules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from espnet_ext.reporting.result_file import Compared, find_pair, read_result_file, result_file
from espnet_ext.scoring.metrics import sign

LEVEL = 0.05  # of the test
POWER = 0.8  # the chance with which a difference shall be seen
HOLDS, FAILS, UNDECIDED, NOT_RUN = "holds", "does not hold", "undecided", "not run"
VERDICTS = (HOLDS, FAILS, UNDECIDED, NOT_RUN)
OPPOSITE = "the opposite was found"
TOO_SMALL = "the published effect lies above the interval"
AT_MOST = "at most"  # a published effect that may be smaller elsewhere: nothing less contradicts it


class ClaimError(ValueError):
    """Something in the list of claims that its writer can put right; the message says how."""


@dataclass(frozen=True)
class Ground:
    """Results on which claims are decided; `stream` and `metric` hold for claims that name none."""

    results: str  # RESULTS.md, from the project's folder
    set: str
    run: str  # the command that makes them
    like: str = ""  # the published comparison that is most alike
    at: str = ""  # equal lag, or the value of an option at which systems are compared
    stream: str = ""
    metric: str = ""
    systems: dict[str, str] = field(default_factory=dict)  # the claims' names of systems: what they are called here


@dataclass(frozen=True)
class Claim:
    """That a system is better than another, on some grounds of its paper (none named: on all)."""

    claim: str
    better: str
    than: str
    published: dict[str, Any]  # by language pair or corpus: [better, than], a difference, or per cent of `than`
    source: str  # table or section
    only: tuple[str, ...] = ()
    stream: str = ""
    metric: str = ""
    note: str = ""


@dataclass(frozen=True)
class Paper:
    name: str
    title: str
    page: str  # of the method
    grounds: dict[str, Ground]
    claims: list[Claim]


@dataclass(frozen=True)
class Decision:
    """A claim on one ground; `advantage` is above 0 where the difference is as claimed."""

    verdict: str
    why: str = ""
    advantage: float = 0.0
    half_interval: float = 0.0
    smallest: float = 0.0  # the difference that would have been seen with POWER
    compared: Compared | None = None


def read_claims(path: Path) -> list[Paper]:
    from espnet_ext.training.config import read_yaml

    return [_paper(f"{path}: {name}", name, said) for name, said in read_yaml(path).items()]


def _paper(where: str, name: str, said: dict[str, Any]) -> Paper:
    grounds = {key: _made(Ground, f"{where}: {key}", row) for key, row in said.get("grounds", {}).items()}
    claims = []
    for row in said.get("claims", []):
        place = f"{where}: {row.get('claim')!r}"
        claim = _made(Claim, place, {**row, "only": tuple(row.get("only", grounds))})
        unknown = [ground for ground in claim.only if ground not in grounds]
        if unknown:
            raise ClaimError(f"{place}: unknown ground {unknown[0]!r}; choose from {', '.join(grounds)}")
        for ground in (grounds[key] for key in claim.only):
            if not all(asked_for(claim, ground)):
                raise ClaimError(f"{place}: neither the claim nor its ground says the stream and the metric; add them")
            check_published(place, claim, ground)
        claims.append(claim)
    return _made(Paper, where, {**said, "name": name, "grounds": grounds, "claims": claims})


def _made(kind: Any, where: str, values: dict[str, Any]) -> Any:
    known = {field.name for field in fields(kind)}
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ClaimError(f"{where}: unknown entry {unknown[0]!r}; choose from {', '.join(sorted(known))}")
    try:
        return kind(**values)
    except TypeError as error:
        raise ClaimError(f"{where}: {str(error).partition('() ')[2]}") from None


def check_published(where: str, claim: Claim, ground: Ground) -> None:
    """Figures that say the opposite of the claim are a slip of the pen."""
    pair, figures = published_for(claim, ground)
    try:
        effect = effect_of(figures, asked_for(claim, ground)[1], 1.0)
    except (TypeError, ValueError):  # no numbers
        effect = None
    if pair and (effect is None or effect <= 0):
        raise ClaimError(
            f"{where}: {pair}: {figures} is no effect in the claimed direction; expected [better, than], "
            "a difference above 0, or per cent such as '24.6 %'"
        )


def asked_for(claim: Claim, ground: Ground) -> tuple[str, str]:
    """Stream and metric, without what it is compared at."""
    return claim.stream or ground.stream, claim.metric or ground.metric


def systems_of(claim: Claim, ground: Ground) -> tuple[str, str]:
    """The better system and the other, as the ground calls them."""
    return ground.systems.get(claim.better, claim.better), ground.systems.get(claim.than, claim.than)


def effect_of(figures: Any, metric: str, score: float | None) -> float | None:
    """The published advantage in the metric's points; `score` is that of the worse system here, for per cent of it."""
    if isinstance(figures, list) and len(figures) == 2:
        return sign(metric) * (figures[0] - figures[1])
    if isinstance(figures, str) and figures.endswith("%"):
        return None if score is None else float(figures.removesuffix("%")) / 100 * score
    return float(figures) if isinstance(figures, int | float) else None


def published_for(claim: Claim, ground: Ground) -> tuple[str, Any]:
    """The published comparison that is most alike, and its figures; nothing where there are none."""
    pair = ground.like or next(iter(claim.published), "")
    return (pair, claim.published[pair]) if pair in claim.published else ("", None)


def decide(claim: Claim, ground: Ground, root: Path) -> Decision:
    """A claim on one ground, from RESULTS.json beside its RESULTS.md."""
    path = result_file(root / ground.results)
    if not path.exists():
        return Decision(NOT_RUN)
    stream, metric = asked_for(claim, ground)
    full = f"{metric}_at_{ground.at}" if ground.at else metric
    compared = find_pair(read_result_file(path), ground.set, stream, full, *systems_of(claim, ground))
    if compared is None:
        return Decision(NOT_RUN)
    pair, figures = published_for(claim, ground)
    effect = None if pair == AT_MOST else effect_of(figures, metric, compared.score_b)
    return judge(compared, sign(metric), effect)


def judge(compared: Compared, sign: int, effect: float | None) -> Decision:
    """The verdict on a claim whose published effect is so large; None where no figure was published."""
    from scipy.special import stdtrit

    surely, with_power = float(stdtrit(compared.df, 1 - LEVEL / 2)), float(stdtrit(compared.df, POWER))
    advantage, half_interval = sign * compared.difference, surely * compared.se
    verdict, why = UNDECIDED, ""
    if compared.p < LEVEL:
        verdict, why = (HOLDS, "") if advantage > 0 else (FAILS, OPPOSITE)
    elif effect is not None and effect > advantage + half_interval:
        verdict, why = FAILS, TOO_SMALL
    return Decision(verdict, why, advantage, half_interval, (surely + with_power) * compared.se, compared)


def decisions(paper: Paper, root: Path) -> Iterator[tuple[Claim, str, Decision]]:
    """Every claim on each of its grounds."""
    for claim in paper.claims:
        for name in claim.only:
            yield claim, name, decide(claim, paper.grounds[name], root)


def count_verdicts(found: Iterable[Decision]) -> dict[str, int]:
    verdicts = [decision.verdict for decision in found]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS if verdict in verdicts}
