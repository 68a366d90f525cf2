"""RESULTS.json: what RESULTS.md says, for commands to read (docs/scoring.md, "Files")."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.reporting.tables import more_columns, score_columns, short_commit
from espnet_ext.scoring.curves import read_curves
from espnet_ext.scoring.results import Experiments, read_json, read_result, read_significance
from espnet_ext.scoring.seed_scores import read_seeds
from espnet_ext.scoring.sweeps import read_sweeps

DIGITS = 4  # that count: of a score, an error, a p
NOT_COMPARED: dict[str, Any] = {"systems": {}, "p": {}}
PAIR = ("difference", "p", "se", "df", "over_seeds")  # over utterances and seeds, or over utterances alone


@dataclass(frozen=True)
class Compared:
    """Two systems by one metric: the first less the second, p, standard error, degrees of freedom, over what."""

    difference: float
    p: float
    se: float
    df: float
    over_seeds: bool
    trainings: tuple[int, int]  # of either
    score_b: float | None  # of the second


def result_file(results: Path) -> Path:
    return results.with_suffix(".json")


def write_result_file(
    results: Path, command: str, where: Experiments, found: Mapping[str, list[str]], seeds: list[int]
) -> None:
    """RESULTS.json beside RESULTS.md; `found` are the systems of each test set."""
    several = seeds if len(seeds) > 1 else []
    made: dict[str, Any] = {"command": command, "src_lang": where.src_lang, "tgt_lang": where.tgt_lang}
    made |= {"seeds": seeds, "pair": PAIR, "systems": {}, "sets": {}}
    for test_set, systems in found.items():
        made["sets"][test_set] = set_results(where, systems, test_set, several)
        for system in systems:
            made["systems"].setdefault(system, origin(where, system, test_set, several))
    with atomic_open(result_file(results)) as stream:
        stream.write(in_lines(made) + "\n")


def set_results(where: Experiments, systems: list[str], test_set: str, seeds: list[int]) -> dict[str, Any]:
    """Of each stream the metrics that the tables show, and those at equal lags or at the values of an option."""
    one = read_significance(where, systems, test_set)["streams"]
    several = read_seeds(where, seeds, [], test_set)["streams"] if seeds else {}
    made: dict[str, Any] = {}
    for stream, metric in [*score_columns(where), *more_columns(where, one)]:
        if stream in one:
            compared = several.get(stream, {}).get(metric, NOT_COMPARED)
            made.setdefault(stream, {})[metric] = metric_results(systems, one[stream][metric], compared)
    for stream, found in read_curves(where, test_set).items():
        made.setdefault(stream, {}).update(curve_results(found))
    for key, swept in read_sweeps(where, test_set).get("keys", {}).items():
        for stream, metric in (column for column in score_columns(where) if column[0] in swept["streams"]):
            for value, found in swept["streams"][stream].get(metric, {}).items():
                both = (NOT_COMPARED, found) if "df" in found else (found, NOT_COMPARED)
                made.setdefault(stream, {})[f"{metric}_at_{key}={value}"] = metric_results(systems, *both)
    return made


def metric_results(systems: list[str], one: dict[str, Any], several: dict[str, Any]) -> dict[str, Any]:
    """The systems, over their seeds where they have some, and each pair once; `one` is of the first seed."""
    names = [system for system in systems if system in one["systems"] or system in several["systems"]]
    pairs: dict[str, Any] = {}
    for a, b in itertools.combinations(names, 2):
        if found := pair(one, several, a, b):
            pairs.setdefault(a, {})[b] = found
    signature = {**several, **one}["signature"]
    return {"signature": signature, "systems": {s: score(one, several, s) for s in names}, "pairs": pairs}


def score(one: dict[str, Any], several: dict[str, Any], system: str) -> dict[str, Any]:
    """The score, or its mean and standard deviation over seeds; half the 95 % interval is that of the first seed."""
    made: dict[str, Any] = {"n": 1}
    if row := one["systems"].get(system):
        made |= {"score": short(row["score"]), "half_interval": short(row["ci"])}
    if row := several["systems"].get(system):
        made |= {"score": short(row["mean"]), "sd": short(row["sd"]), "n": row["n"]}
    return made


def pair(one: dict[str, Any], several: dict[str, Any], a: str, b: str) -> list[Any] | None:
    """What PAIR says: over seeds, or else of the first seed."""
    for compared, name in ((several, "mean"), (one, "score")):
        p = compared["p"].get(a, {}).get(b)
        if p is not None:
            difference = compared["systems"][a][name] - compared["systems"][b][name]
            df = compared["df"][a][b] if "df" in compared else compared["utterances"] - 1
            return [*map(short, (difference, p, compared["se"][a][b], df)), "df" in compared]
    return None


def curve_results(found: dict[str, Any]) -> dict[str, Any]:
    """BLEU of a curve less that of another: the mean over the lags that both have, for each way to measure lag."""
    made: dict[str, Any] = {}
    names = [curve["name"] for curve in found["curves"]]
    for curve in found["curves"]:
        for lag, rows in curve["means"].items():
            metric = made.setdefault(f"bleu_at_{lag}", {"signature": found["signatures"]["bleu"], "pairs": {}})
            for other, row in rows.items():
                if names.index(curve["name"]) < names.index(other):
                    figures = [short(x) for x in (row["difference"], row["p"], row["se"], found["utterances"] - 1)]
                    metric["pairs"].setdefault(curve["name"], {})[other] = [*figures, False]
    return {name: {**metric, "systems": {}} for name, metric in made.items() if metric["pairs"]}


def origin(where: Experiments, system: str, test_set: str, seeds: list[int]) -> dict[str, Any]:
    """The commits that trained and decoded a system, with each seed."""
    places = [place for place in where.of_seeds(seeds) if (place.result(system, test_set) / "scores.json").exists()]
    results = [read_result(place, system, test_set) for place in places]
    decoded = [short_commit(result) for result in results]
    trained = [short_commit(result["trained"]) for result in results if result["trained"]]
    return {"seeds": [r["seed"] for r in results], **({"trained": trained} if trained else {}), "decoded": decoded}


def short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def in_lines(value: Any, indent: str = "") -> str:
    """JSON in which what holds no further section is one line, so that versions can be compared."""
    if not isinstance(value, dict) or not any(isinstance(item, dict) for item in value.values()):
        return json.dumps(value, ensure_ascii=False)
    inner = [f"{indent} {json.dumps(key)}: {in_lines(item, indent + ' ')}" for key, item in value.items()]
    return "{\n" + ",\n".join(inner) + f"\n{indent}}}"


def find_pair(results: dict[str, Any], test_set: str, stream: str, metric: str, a: str, b: str) -> Compared | None:
    """System a less b, as a RESULTS.json says; None where it does not have both."""
    found = results["sets"].get(test_set, {}).get(stream, {}).get(metric, {"pairs": {}, "systems": {}})
    for sign, first, second in ((1, a, b), (-1, b, a)):
        if second in found["pairs"].get(first, {}):
            difference, p, se, df, over_seeds = found["pairs"][first][second]
            rows = [found["systems"].get(name, {}) for name in (a, b)]
            n_a, n_b = (row["n"] if over_seeds else 1 for row in rows)
            return Compared(sign * difference, p, se, df, over_seeds, (n_a, n_b), rows[1].get("score"))
    return None


def read_result_file(path: Path) -> dict[str, Any]:
    return read_json(path)
