"""Systems against each other over the values of one option: tables, the figure of a learning curve, and the page."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.reporting.seed_tables import MEANS, as_scores
from espnet_ext.reporting.tables import (
    MARKS,
    METRIC_NAMES,
    NOTHING,
    Cell,
    Row,
    Table,
    as_markdown,
    score_cells,
    score_columns,
    titles,
)
from espnet_ext.scoring.metrics import LOWER_IS_BETTER, sign
from espnet_ext.scoring.results import Experiments
from espnet_ext.scoring.sweeps import Axis, read_sweeps

NOTE = "A column is a value of {key}; letters compare the systems at that value. "
GAIN = "{change} of {metric} against {first} at the same value, in per cent; below 0 is worse than {first}."


@dataclass(frozen=True)
class Comparison:
    """One metric of one stream of a test set, over the values of an option."""

    test_set: str
    key: str
    title: str  # as in the header of other tables
    metric: str
    axis: Axis
    systems: list[str]
    seeds: list[int]
    values: dict[str, dict[str, Any]]  # scores and p at each value
    signature: str

    @property
    def over_seeds(self) -> bool:
        return len(self.seeds) > 1

    def row(self, value: str, system: str) -> dict[str, Any] | None:
        """Score and interval, as significance.json has them; standard deviations stand for intervals over seeds."""
        return self.values.get(value, {}).get("systems", {}).get(system)

    def gain(self, value: str, system: str) -> float | None:
        """How much better than the first system, in per cent of its score."""
        own, first = self.row(value, system), self.row(value, self.systems[0])
        if own is None or first is None or first["score"] == 0:
            return None
        return sign(self.metric) * 100 * (own["score"] - first["score"]) / first["score"]


def comparisons(where: Experiments, test_set: str) -> Iterator[Comparison]:
    """All of a test set, in the order of the columns of other tables."""
    found = read_sweeps(where, test_set)
    for key, compared in found.get("keys", {}).items():
        streams = compared["streams"]
        columns = [(s, m) for s, m in score_columns(where) if m in streams.get(s, {})]
        for title, (stream, metric) in zip(titles(where, columns), columns, strict=True):
            values = streams[stream][metric]
            signature = next(iter(values.values()))["signature"]
            if len(found["seeds"]) > 1:
                values = {value: as_scores(rows) for value, rows in values.items()}
            named = {system for rows in values.values() for system in rows["systems"]}
            systems = [system for system in found["systems"] if system in named]
            axis = Axis(**compared["axis"])
            yield Comparison(test_set, key, title, metric, axis, systems, found["seeds"], values, signature)


def comparison_tables(one: Comparison) -> list[Table]:
    """Scores, a row for each system and a column for each value; and how much better than the first system."""
    letters = dict(zip(one.systems, ascii_lowercase, strict=False))
    header = ["System", *map(one.axis.label, one.axis.places)]
    title = f"{one.test_set}: {one.title} over {one.key}"
    scores = Table(one.test_set, header, [], title=title, shows_interval=True)
    marks = MEANS.format(n=len(one.seeds), seeds=", ".join(map(str, one.seeds))) if one.over_seeds else MARKS
    scores.note = NOTE.format(key=one.key) + marks
    if one.over_seeds:
        scores.interval_is = f"the standard deviation over seeds (n = {len(one.seeds)})"
    scores.signatures = {one.title: one.signature}
    columns = {value: score_cells(rows, one.metric, letters) for value, rows in one.values.items()}
    change = "Relative reduction" if one.metric in LOWER_IS_BETTER else "Relative gain"
    gains = Table(one.test_set, header, [], title=f"{title}, against {one.systems[0]}", interval_is="")
    gains.note = GAIN.format(change=change, metric=METRIC_NAMES[one.metric], first=one.systems[0])
    for system in one.systems:
        cells = [columns.get(value, {}).get(system, Cell(NOTHING)) for value in one.axis.places]
        scores.rows.append(Row(system, letters[system], cells))
        if system != one.systems[0]:
            gains.rows.append(Row(system, "", [percent(one.gain(value, system)) for value in one.axis.places]))
    return [scores, gains]


def percent(gain: float | None) -> Cell:
    return Cell(NOTHING if gain is None else f"{gain:+.1f} %")


def write_comparison_pages(results: Path, where: Experiments, test_sets: list[str], command: str) -> None:
    """SWEEP-<key>.md and its picture beside RESULTS.md, for each option over which systems are compared."""
    found = [one for test_set in test_sets for one in comparisons(where, test_set)]
    for key in dict.fromkeys(one.key for one in found):
        panels = [one for one in found if one.key == key]
        out = results.with_name(results.name.replace("RESULTS", f"SWEEP-{key}"))
        picture = out.with_name(f"{out.name.removesuffix('.md')}.png")
        with atomic_open(picture, "wb") as image:
            comparison_figure(panels).savefig(image, format="png", metadata={"Software": None})
        tables = [table for one in panels for table in comparison_tables(one)]
        about = f"Made by `{command}` from the experiments `{where.exp}/sweep/<system>-{key}/{key}=<value>`.\n\n"
        with atomic_open(out) as stream:
            stream.write(as_markdown(tables, f"Systems over {key}", about + f"![{key}]({picture.name})"))
        print(f"Written to {out} and {picture}", file=sys.stderr)


def comparison_figure(panels: list[Comparison]) -> Any:
    """A panel for each comparison: a line for each system, with intervals."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(5.6 * len(panels), 4.2), dpi=110, layout="constrained")
    for axes, one in zip(drawn.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        if one.axis.log:
            axes.set_xscale("log")
        for number, system in enumerate(one.systems):
            _curve(axes, one, system, 3 * (number - (len(one.systems) - 1) / 2))
        axes.set_title(f"{one.test_set}: {one.title}", fontsize=9)
        axes.set_xlabel(one.axis.name)
        axes.set_ylabel(one.title)
        axes.set_xticks(list(one.axis.places.values()), map(one.axis.tick, one.axis.places), fontsize=8)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return drawn


def _curve(axes: Any, one: Comparison, system: str, aside: float) -> None:
    """The scores of a system; `aside`: so many points to the right, or one interval would hide another."""
    from matplotlib.transforms import ScaledTranslation

    rows = {value: row for value in one.axis.places if (row := one.row(value, system))}
    places, heights = [one.axis.places[value] for value in rows], [row["score"] for row in rows.values()]
    errors = [row["ci"] or 0 for row in rows.values()]
    moved = axes.transData + ScaledTranslation(aside / 72, 0, axes.figure.dpi_scale_trans)
    style = {"marker": "o", "markersize": 3, "linewidth": 1, "capsize": 2}
    axes.errorbar(places, heights, yerr=errors, label=system, transform=moved, **style)
    ends = [(x, y + end) for x, y, error in zip(places, heights, errors, strict=True) for end in (-error, error)]
    axes.update_datalim(ends)  # what is moved does not count by itself
    axes.autoscale_view()


def comparison_payload(where: Experiments, test_set: str) -> list[dict[str, Any]]:
    """The same for the report's page: a curve for each system, whose points tell their score and their gain."""
    return [_chart(one) for one in comparisons(where, test_set)]


def _chart(one: Comparison) -> dict[str, Any]:
    letters = dict(zip(one.systems, ascii_lowercase, strict=False))
    cells = {value: score_cells(rows, one.metric, letters) for value, rows in one.values.items()}
    curves = []
    for system in one.systems:
        points = []
        for value, place in one.axis.places.items():
            if row := one.row(value, system):
                spread, gain = row["ci"] or 0.0, one.gain(value, system)
                low, high = row.get("low", row["score"] - spread), row.get("high", row["score"] + spread)
                beaten = [other for other in one.systems if letters[other] in cells[value][system].marks.lower()]
                told = {"score": row["score"], "low": low, "high": high, "ci": spread}
                point = {"name": f"{system} {one.key}={value}", "label": one.axis.label(value), "x": place}
                points.append({**point, "told": told, "gain": gain, "beats": beaten})
        curves.append({"system": system, "points": points})
    return {
        "title": f"{one.title} over {one.key}",
        "score": one.title,
        "axis": one.axis.name,
        "log": one.axis.log,
        "ticks": [[place, one.axis.tick(value)] for value, place in one.axis.places.items()],
        "curves": curves,
        "first": one.systems[0],
        "seeds": one.seeds,
        "signature": one.signature,
    }
