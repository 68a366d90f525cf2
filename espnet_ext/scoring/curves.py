"""Policies of simultaneous translation over their settings: `curves.<test_set>.json` has every point and who is ahead.

A sweep over the settings of a system is a curve; a system by itself is one of a single point.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.infra.files import write_json
from espnet_ext.infra.stamps import Stamp
from espnet_ext.infra.streams import STREAMS
from espnet_ext.scoring.latency_metrics import Writing, make_latency_metrics, make_subword_metrics, mean_lengths
from espnet_ext.scoring.latency_scores import delays_file, read_delays
from espnet_ext.scoring.matched import Measured, mean_against, point_against
from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.results import Experiments, is_cut_otherwise, left_out, read_json
from espnet_ext.scoring.significance import Draws, confidence
from espnet_ext.scoring.texts import read_hypotheses, read_references, reference_files

LAGS_COMPARED = ("al", "dal", "subword_al_hyp")  # at equal values of which BLEU is compared, and the other way round
SAID = ("se", "utterances")  # beside differences
SHARES = ("bleu", "al", "laal", "subword_al_hyp")  # also in per cent of the bound's


@dataclass(frozen=True)
class Curve:
    """A system, the option that was varied (none: a system by itself), and the experiment of each value."""

    system: str
    key: str
    points: dict[str, str]  # value -> name of the experiment, from the folder of the experiments

    @property
    def name(self) -> str:
        return f"{self.system} {self.key}".strip()

    def point_name(self, value: str) -> str:
        return f"{self.system} {self.key}={value}" if self.key else self.system


def curves_file(where: Experiments, test_set: str) -> Path:
    return where.exp / f"curves.{test_set}.json"


def find_curves(where: Experiments, systems: list[str], test_set: str, stream: str) -> list[Curve]:
    """The sweeps of `systems` of which there are delays, and those systems that are in none of them."""
    if is_cut_otherwise(where, test_set, stream):
        return []

    def is_timed(name: str) -> bool:
        result = where.result(name, test_set)
        return delays_file(result, stream).exists() and not left_out(result)

    found = []
    for sweep in (sweep for sweep in swept(where.exp) if sweep.system in systems):
        if points := {value: name for value, name in sweep.points.items() if is_timed(name)}:
            found.append(replace(sweep, points=points))
    in_sweeps = {(where.exp / path).resolve() for curve in found for path in curve.points.values()}
    alone = [s for s in systems if is_timed(s) and (where.exp / s).resolve() not in in_sweeps]
    found += [Curve(system, "", {"": system}) for system in alone]
    return sorted(found, key=lambda curve: systems.index(curve.system))


def swept(exp: Path) -> Iterator[Curve]:
    """All sweeps of a recipe, with their values in order."""
    for folder in sorted((exp / "sweep").glob("*-*")):
        names = {path.name.partition("=")[2]: path.name for path in folder.glob("*=*")}
        if names:
            key = next(iter(names.values())).partition("=")[0]
            points = {value: f"sweep/{folder.name}/{names[value]}" for value in sorted(names, key=in_order)}
            yield Curve(folder.name.removesuffix(f"-{key}"), key, points)


def in_order(value: str) -> tuple[float, str]:
    """Numbers by their size, then words."""
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def write_curves(where: Experiments, systems: list[str], test_set: str, options: Options) -> bool:
    """Measure and compare all curves, unless that is done; false if nothing was written as its source came in."""
    curves = {stream: find_curves(where, systems, test_set, stream) for stream in STREAMS}
    curves = {stream: found for stream, found in curves.items() if found}
    path = curves_file(where, test_set)
    if not curves:
        path.unlink(missing_ok=True)
        return False
    compared = [LAGS_COMPARED, SHARES, SAID]  # a file of before something was added here is made again
    inputs = list(_inputs(where, curves, test_set))
    stamp = Stamp(path, inputs, options=asdict(options), curves=repr(curves), compared=compared)
    if not stamp.is_current():
        with stamp.making():
            streams = {s: _compare(where, found, test_set, s, options) for s, found in curves.items()}
            write_json(path, {"test_set": test_set, "options": asdict(options), "streams": streams})
    return True


def read_curves(where: Experiments, test_set: str) -> dict[str, Any]:
    """What scoring found of each stream; nothing if no system writes while its source comes in."""
    path = curves_file(where, test_set)
    return read_json(path)["streams"] if path.exists() else {}


def _inputs(where: Experiments, curves: dict[str, list[Curve]], test_set: str) -> Iterator[Path]:
    for stream, found in curves.items():
        yield from reference_files(where.data / test_set, where.language(stream))
        for name in (name for curve in found for name in curve.points.values()):
            yield where.result(name, test_set) / f"hyp.{stream}"
            yield delays_file(where.result(name, test_set), stream)


def _compare(where: Experiments, curves: list[Curve], test_set: str, stream: str, options: Options) -> dict[str, Any]:
    ids, references = read_references(where.data / test_set, where.language(stream))
    draws = Draws.make(len(ids), options.samples, options.seed)
    writings: dict[tuple[str, str], list[list[Writing]]] = {}
    counts: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    bleu, unit = make_metric("bleu", references, options), "word"
    for curve in curves:
        for value, name in curve.points.items():
            folder = where.result(name, test_set)
            texts = read_hypotheses(folder / f"hyp.{stream}", ids)
            unit, *both = read_delays(delays_file(folder, stream), ids, texts)
            writings[curve.name, value] = both
            counts[curve.name, value] = {"bleu": bleu.statistics(texts)}
    lengths = mean_lengths(references, unit)
    metrics = [make_latency_metrics(unit, lengths, len(references)), make_subword_metrics(len(ids))]
    for key, kinds in writings.items():
        for made, rows in zip(metrics, kinds, strict=True):
            counts[key] |= {name: metric.statistics(rows) for name, metric in made.items()}
    every = {"bleu": bleu, **metrics[0], **metrics[1]}
    del every["yaal"]  # it says nothing of whole sentences
    measured: dict[str, dict[str, Measured]] = {curve.name: {} for curve in curves}
    for curve in curves:
        for name, metric in every.items():
            counted = [counts[curve.name, value][name] for value in curve.points]
            measured[curve.name][name] = _measured(counted, metric, draws)
    bound = next((c for c in curves if not c.key and all(map(is_late, writings[c.name, ""][0]))), None)
    return {
        "unit": unit,
        "utterances": len(ids),
        "bound": bound and bound.name,
        "signatures": {name: draws.signature(metric) for name, metric in every.items()},
        "curves": [_curve(curve, measured, bound) for curve in curves],
    }


def is_late(writing: Writing) -> bool:
    """Whether nothing was written before the source had ended."""
    return not writing.read or writing.read[0] >= writing.source


def _measured(counts_PNK: list[np.ndarray], metric: Any, draws: Draws) -> Measured:
    actual = [metric.score(counts_NK.sum(0)) for counts_NK in counts_PNK]
    resampled = [metric.scores(draws.counts_RN @ counts_NK) for counts_NK in counts_PNK]
    return Measured(np.array(actual), np.stack(resampled, axis=1))


def _curve(curve: Curve, measured: dict[str, dict[str, Measured]], bound: Curve | None) -> dict[str, Any]:
    """The points of a curve with their intervals, and how it stands against each other one."""
    own = measured[curve.name]
    others = {name: theirs for name, theirs in measured.items() if name != curve.name}
    points = [
        {
            "name": curve.point_name(value),
            "value": value,
            "experiment": experiment,
            "scores": {name: _interval(m.actual_P[i], m.resampled_RP[:, i]) for name, m in own.items()},
            "share": _shares(own, i, measured[bound.name]) if bound else {},
            "against": {lag: _against(own, i, others, lag) for lag in LAGS_COMPARED},
        }
        for i, (value, experiment) in enumerate(curve.points.items())
    ]
    means = {
        lag: {name: mean_against(own[lag], own["bleu"], theirs[lag], theirs["bleu"]) for name, theirs in others.items()}
        for lag in LAGS_COMPARED
    }
    means = {lag: {name: row for name, row in rows.items() if row} for lag, rows in means.items()}
    return {"name": curve.name, "system": curve.system, "key": curve.key, "points": points, "means": means}


def _interval(actual: float, resampled_R: np.ndarray) -> dict[str, float]:
    return {"score": float(actual), **confidence(resampled_R)}


def _shares(own: dict[str, Measured], point: int, bound: dict[str, Measured]) -> dict[str, Any]:
    """In per cent of what whole sentences have, in the same resamples."""
    found = {}
    for name in SHARES:
        whole_R = bound[name].all()[:, 0]
        share_R = 100 * own[name].all()[:, point] / np.where(whole_R == 0, np.nan, whole_R)
        if np.isfinite(share_R).all():
            found[name] = _interval(share_R[0], share_R[1:])
    return found


def _against(own: dict[str, Measured], point: int, others: dict[str, dict[str, Measured]], lag: str) -> dict[str, Any]:
    """BLEU less that of each other curve at an equal lag, and the lag less theirs at an equal BLEU."""
    found: dict[str, Any] = {"bleu": {}, "lag": {}}
    for name, theirs in others.items():
        at_lag = point_against(own[lag], own["bleu"], point, theirs[lag], theirs["bleu"])
        at_bleu = point_against(own["bleu"], own[lag], point, theirs["bleu"], theirs[lag])
        found["bleu"] |= {name: at_lag} if at_lag else {}
        found["lag"] |= {name: at_bleu} if at_bleu else {}
    return found
