"""The tables of systems trained with several seeds: means with their spread, and every pair of systems."""

import itertools
from typing import Any

from espnet_ext.reporting.tables import (
    NOTHING,
    Cell,
    Row,
    Table,
    figure,
    more_columns,
    origins,
    score_cells,
    score_columns,
    titles,
)
from espnet_ext.scoring.metrics import sign
from espnet_ext.scoring.results import Experiments, read_result
from espnet_ext.scoring.seed_scores import read_seeds
from espnet_ext.scoring.seed_test import TEST

MEANS = (
    "Means over {n} trainings, with seeds {seeds}. Letters: the systems that this one beats, small for p < 0.05 and "
    f"capital for p < 0.01 ({TEST}): what other trainings and other utterances would change."
)
ONCE = (
    " One training serves all seeds, as itself and where others start from it: {systems}. Beside a system of several "
    "trainings it is taken to vary as that one does; two of these are not compared here."
)
PAIRS = (
    "Difference of the means, its p over seeds and utterances, and in how many of the {n} seeds the same system is "
    "better with p < 0.05 by the test of that seed alone. Two systems of one training each have no p."
)


def seed_tables(where: Experiments, seeds: list[int], systems: list[str], test_set: str) -> list[Table]:
    """Mean and standard deviation of every system; then the differences of every two."""
    comparison = read_seeds(where, seeds, systems, test_set)["streams"]
    columns = [(stream, m) for stream, m in score_columns(where) if stream in comparison]
    columns += more_columns(where, comparison)
    letters = dict(zip(systems, "abcdefghijklmnopqrstuvwxyz", strict=False))
    names = titles(where, columns)
    title = f"{test_set}, over {len(seeds)} seeds"
    means = Table(test_set, ["System", *names], [], title=title, shows_interval=True)
    means.interval_is = f"the standard deviation over seeds (n = {len(seeds)})"
    means.note = MEANS.format(n=len(seeds), seeds=", ".join(map(str, seeds)))
    once = one_training(comparison, systems)
    if once:
        means.note += ONCE.format(systems=", ".join(once))
    cells = {(s, m): score_cells(as_scores(comparison[s][m]), m, letters) for s, m in columns}
    for system in systems:
        row = [cells[column].get(system, Cell(NOTHING)) for column in columns]
        means.rows.append(Row(system, letters[system], row))
    means.signatures = {name: comparison[s][m]["signature"] for name, (s, m) in zip(names, columns, strict=True)}
    for place in where.of_seeds(seeds):
        means.footnotes += origins({system: read_result(place, system, test_set) for system in systems})
    pairs = Table(test_set, ["Pair", *names], [], title=f"{title}: pairs", interval_is="")
    pairs.note = PAIRS.format(n=len(seeds))
    for a, b in itertools.combinations(systems, 2):
        row = [_pair(comparison[stream][metric], metric, a, b, len(seeds)) for stream, metric in columns]
        if any(cell.text != NOTHING for cell in row):
            pairs.rows.append(Row(f"{a} − {b}", "", row))
    return [means, pairs] if pairs.rows else [means]


def as_scores(compared: dict[str, Any]) -> dict[str, Any]:
    """Means in the place of scores, standard deviations in that of intervals; one training has none."""
    return {
        "systems": {
            name: {"score": row["mean"], "ci": row["sd"] if row["n"] > 1 else None}
            for name, row in compared["systems"].items()
        },
        "p": compared["p"],
    }


def one_training(comparison: dict[str, Any], systems: list[str]) -> list[str]:
    """The systems that wrote the same with every seed."""
    rows = [metric["systems"] for metrics in comparison.values() for metric in metrics.values()]
    return [s for s in systems if all(row[s]["n"] == 1 for row in rows if s in row)]


def _pair(compared: dict[str, Any], metric: str, a: str, b: str, seeds: int) -> Cell:
    """`+3.1 (p 0.001; 3 of 3)`."""
    rows = compared["systems"]
    if a not in rows or b not in rows:
        return Cell(NOTHING)
    difference, p = rows[a]["mean"] - rows[b]["mean"], compared["p"][a][b]
    better, worse = (a, b) if sign(metric) * difference > 0 else (b, a)
    if p is None:
        return Cell(figure(difference, metric, "+"))
    return Cell(f"{figure(difference, metric, '+')} (p {p:.3f}; {compared['wins'][better][worse]} of {seeds})")
