"""Systems against each other over the values of one option: `sweeps.<test_set>.json` says who is better at which.

The sweeps of several systems over one option are in it, be they of one command or of many. Systems that write while
their source comes in are compared at equal lag instead (scoring/curves.py).
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from espnet_ext.data.about import read_about
from espnet_ext.infra.files import write_json
from espnet_ext.infra.stamps import Stamp
from espnet_ext.scoring import seed_scores, significance
from espnet_ext.scoring.curves import Curve, in_order, swept
from espnet_ext.scoring.latency_scores import delays_file
from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.results import Experiments, left_out, read_json
from espnet_ext.scoring.seed_scores import compare_means, of_one_training
from espnet_ext.scoring.significance import Draws, compare_systems
from espnet_ext.scoring.texts import read_hypotheses, read_references, reference_files

METRICS = {"asr": ("wer", "cer"), "st": ("bleu", "chrf"), "mt": ("bleu", "chrf")}  # those that tables show
Written = dict[str, dict[str, list[Path]]]  # value -> system -> the result folder of each seed


@dataclass(frozen=True)
class Axis:
    """Where the values of an option lie, in this order."""

    name: str
    unit: str  # of what `places` counts, where a value has a name beside it
    log: bool
    places: dict[str, float]

    def tick(self, value: str) -> str:
        """Short, for an axis."""
        place = self.places[value]
        return f"{place:{'.3g' if place < 1000 else ',.0f'}} {self.unit}" if self.unit else value

    def label(self, value: str) -> str:
        return f"{' + '.join(sets_of(value))}, {self.tick(value)}" if self.unit else value


def axis_of(where: Experiments, key: str, values: list[str]) -> Axis:
    """Sets by the hours of their speech, or of text by their utterances; other values as `positions` says."""
    folders = {value: [where.data / name for name in sets_of(value)] for value in values}
    if key.endswith(".set") and all(folder.is_dir() for each in folders.values() for folder in each):
        sets = {value: [read_about(folder) for folder in each] for value, each in folders.items()}
        hours = {value: sum(about.hours for about in each) for value, each in sets.items()}
        is_spoken = all(hours.values())
        counts = {value: float(sum(about.utterances for about in each)) for value, each in sets.items()}
        sizes = hours if is_spoken else counts
        name, unit = ("hours of speech", "h") if is_spoken else ("utterances", "utterances")
        return Axis(f"{name} in {key}", unit, True, dict(sorted(sizes.items(), key=lambda item: item[1])))
    return Axis(key, "", False, dict(zip(values, positions(values), strict=True)))


def sets_of(value: str) -> list[str]:
    """The sets of a value as an experiment is named by it: of [a,b] that is _a,b_."""
    return [name.strip("_") for name in value.split(",")]


def positions(values: list[str]) -> list[float]:
    """Where the values lie: finite numbers at their place, others side by side."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        numbers = [math.inf]
    return numbers if all(map(math.isfinite, numbers)) else [float(i) for i in range(len(values))]


def sweeps_file(where: Experiments, test_set: str) -> Path:
    return where.exp / f"sweeps.{test_set}.json"


def find_written(
    where: Experiments, seeds: list[int], systems: list[str], test_set: str
) -> dict[str, dict[str, Written]]:
    """Of each option and stream what at least two of the systems wrote, with every seed."""
    sweeps = sorted((s for s in swept(where.exp) if s.system in systems), key=lambda s: systems.index(s.system))
    found: dict[str, dict[str, Written]] = {}
    for key in sorted({sweep.key for sweep in sweeps}):
        for stream in where.known:
            written = _written(where, seeds, [s for s in sweeps if s.key == key], test_set, stream)
            if len({system for each in written.values() for system in each}) > 1:
                found.setdefault(key, {})[stream] = written
    return found


def _written(where: Experiments, seeds: list[int], sweeps: list[Curve], test_set: str, stream: str) -> Written:
    written: Written = {}
    for sweep in sweeps:
        for value, name in sweep.points.items():
            folders = [where.result(one, test_set) for one in of_seeds(name, seeds)]
            if all(is_comparable(folder, stream) for folder in folders):
                written.setdefault(value, {})[sweep.system] = folders
    return written


def is_comparable(result: Path, stream: str) -> bool:
    """Whether it is decoded to its end, and was not written while the source came in."""
    needed = result / f"hyp.{stream}", result / "decode.json"
    return all(path.exists() for path in needed) and not delays_file(result, stream).exists() and not left_out(result)


def of_seeds(name: str, seeds: list[int]) -> list[str]:
    """An experiment of a sweep with each seed: the first in the sweep's folder, seed N in seedN/ there."""
    folder, _, own = name.rpartition("/")
    return [name, *(f"{folder}/seed{seed}/{own}" for seed in seeds[1:])]


def write_sweeps(where: Experiments, seeds: list[int], systems: list[str], test_set: str, options: Options) -> bool:
    """Compare the systems at every value, unless that is done; false if no two of them were swept over one option."""
    found, path = find_written(where, seeds, systems, test_set), sweeps_file(where, test_set)
    if not found:
        path.unlink(missing_ok=True)
        return False
    axes = {
        key: axis_of(where, key, sorted({value for written in streams.values() for value in written}, key=in_order))
        for key, streams in found.items()
    }
    settings: dict[str, Any] = {"seeds": seeds, "systems": systems, "options": asdict(options)}
    made_by: dict[str, Any] = {"found": repr(found), "axes": repr(axes)}
    made_by["versions"] = [version("sacrebleu"), version("jiwer")]
    made_by["said"] = [significance.SAID, seed_scores.SAID]  # a file of before something was added is made again
    stamp = Stamp(path, _inputs(where, found, test_set), **settings, **made_by)
    if not stamp.is_current():
        with stamp.making():
            keys = {
                key: {
                    "axis": asdict(axes[key]),
                    "streams": {
                        stream: _compare(where, written, list(axes[key].places), test_set, stream, options)
                        for stream, written in streams.items()
                    },
                }
                for key, streams in found.items()
            }
            write_json(path, {"test_set": test_set, **settings, "keys": keys})
    return True


def _inputs(where: Experiments, found: dict[str, dict[str, Written]], test_set: str) -> Iterator[Path]:
    for streams in found.values():
        for stream, written in streams.items():
            yield from reference_files(where.data / test_set, where.language(stream))
            for folders in (folders for systems in written.values() for folders in systems.values()):
                yield from (folder / f"hyp.{stream}" for folder in folders)


def _compare(
    where: Experiments, written: Written, values: list[str], test_set: str, stream: str, options: Options
) -> dict[str, Any]:
    """Of each metric and value the scores and p, as significance.json has them; over seeds as seeds.json does."""
    ids, references = read_references(where.data / test_set, where.language(stream))
    draws, options = Draws.make(len(ids), options.samples, options.seed), where.options(stream, options)
    texts = {
        value: {
            system: [read_hypotheses(folder / f"hyp.{stream}", ids) for folder in folders]
            for system, folders in written[value].items()
        }
        for value in values
        if value in written
    }
    compared: dict[str, Any] = {}
    for name in METRICS[where.kind(stream)]:
        metric = make_metric(name, references, options)
        compared[name] = {}
        for value, systems in texts.items():
            counts = {system: [metric.statistics(text) for text in each] for system, each in systems.items()}
            if all(len(each) == 1 for each in counts.values()):
                compared[name][value] = compare_systems(metric, {s: each[0] for s, each in counts.items()}, draws)
            else:
                compared[name][value] = compare_means(metric, counts, draws, of_one_training(systems))
    return compared


def read_sweeps(where: Experiments, test_set: str) -> dict[str, Any]:
    """What scoring found; nothing if no two systems were swept over one option."""
    path = sweeps_file(where, test_set)
    return read_json(path) if path.exists() else {}
