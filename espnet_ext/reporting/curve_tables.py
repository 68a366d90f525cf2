"""BLEU over lag: the table of all points of all curves, and the figures of a paper."""

import sys
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.reporting.tables import METRIC_NAMES, NOTHING, Cell, Row, Table, as_markdown, figure

COLUMNS = ("bleu", "al", "laal", "dal", "subword_al_hyp", "cw", "length_ratio", "initial")
NAMES = METRIC_NAMES | {
    "dal": "DAL",
    "subword_al_hyp": "AL in sub-words",
    "initial": "initial delay",
    "subword_cw": "CW in sub-words",
}
ASIDE = ("step", "reuse")  # of these options the effect is shown by itself
NOTE = (
    "The last columns: BLEU less that of another policy at an equal AL, which lies on the line between its two nearest "
    "settings; ± is half of a 95 % interval, * for p < 0.05, ** for p < 0.01 (paired bootstrap of both curves, "
    "two-sided)."
)


def write_curve_page(results: Path, curves: dict[str, dict[str, Any]], command: str) -> None:
    """CURVES.md and its picture beside RESULTS.md, if there is a curve; `curves` are the streams of each test set."""
    sets = {
        f"{test_set}, {stream.upper()}": found
        for test_set, streams in curves.items()
        for stream, found in streams.items()
        if any(len(curve["points"]) > 1 for curve in found["curves"])
    }
    if not sets:
        return
    out = results.with_name(results.name.replace("RESULTS", "CURVES"))
    picture = out.with_name(f"{out.name.removesuffix('.md')}.png")
    curve_plot(picture, sets)
    tables = []
    for name, found in sets.items():
        meeting = [lag for lag in ("al", "dal") if any(curve["means"][lag] for curve in found["curves"])]
        tables += [curve_table(name, found), *(mean_table(name, found, lag) for lag in meeting)]
    about = f"Made by `{command}` from the sweeps in `exp/sweep`; the report shows the same and each sentence.\n\n"
    with atomic_open(out) as stream:
        stream.write(as_markdown(tables, "Quality over lag", about + f"![Quality over lag]({picture.name})"))
    print(f"Written to {out} and {picture}", file=sys.stderr)


def curve_table(test_set: str, found: dict[str, Any]) -> Table:
    """A row for each point; its distance in BLEU from every other curve at the same lag."""
    curves, share = found["curves"], found["bound"] is not None
    rivals = [curve["name"] for curve in curves if len(curve["points"]) > 1 and curve["key"] not in ASIDE]
    header = ["Policy"]
    for name in COLUMNS:
        header.append(NAMES[name])
        if share and name in ("bleu", "al"):
            header.append(f"{NAMES[name]}, % of {found['bound']}")
    table = Table(test_set, [*header, *(f"BLEU − {name}" for name in rivals)], [], note=NOTE, shows_interval=True)
    table.interval_is = ""
    for curve in curves:
        for point in curve["points"]:
            table.rows.append(Row(point["name"], "", [*_scores(point, share), *_against(point, rivals)]))
    table.signatures = {NAMES[name]: found["signatures"][name] for name in COLUMNS}
    return table


def _scores(point: dict[str, Any], share: bool) -> list[Cell]:
    cells = []
    for name in COLUMNS:
        cells.append(_cell(point["scores"][name], name))
        if share and name in ("bleu", "al"):
            cells.append(_cell(point["share"][name]) if name in point["share"] else Cell(NOTHING))
    return cells


def _cell(row: dict[str, Any], name: str = "") -> Cell:
    return Cell(figure(row["score"], name), interval=figure(row["ci"], name))


def _against(point: dict[str, Any], rivals: list[str]) -> list[Cell]:
    rows = point["against"]["al"]["bleu"]
    return [difference(rows[name]) if name in rows else Cell(NOTHING) for name in rivals]


def difference(row: dict[str, Any]) -> Cell:
    stars = "**" if row["p"] < 0.01 else "*" if row["p"] < 0.05 else ""
    return Cell(figure(row["difference"], sign="+"), stars, interval=figure((row["high"] - row["low"]) / 2))


def mean_table(test_set: str, found: dict[str, Any], lag: str) -> Table:
    """Curves against each other, over the lags that both have."""
    curves = [curve for curve in found["curves"] if curve["key"] not in ASIDE]
    header = ["BLEU of row − column", *(curve["name"] for curve in curves)]
    table = Table(
        test_set,
        header,
        [],
        title=f"{test_set}: mean over the {NAMES[lag]} that both have",
        interval_is="",
        shows_interval=True,
    )
    table.note = f"Mean difference of two curves over the {NAMES[lag]} that both reach (from-to); stars as above."
    for curve in curves:
        means = curve["means"][lag]
        cells = []
        for other in header[1:]:
            cells.append(difference(means[other]) if other in means else Cell(NOTHING))
            if other in means:
                cells[-1].text += f" ({means[other]['from']:.1f}-{means[other]['to']:.1f})"
        table.rows.append(Row(curve["name"], "", cells))
    return table


# x, y, and whether in per cent of the bound
PANELS = (
    ("al", "bleu", False),
    ("dal", "bleu", False),
    ("cw", "bleu", False),
    ("al", "length_ratio", False),
    ("al", "bleu", True),
)


def curve_plot(path: Path, tables: dict[str, dict[str, Any]]) -> None:
    """A row of panels for each test set: what changes with the lag, each point with its intervals."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(4.2 * len(PANELS), 3.6 * len(tables)), dpi=80, layout="constrained")
    grid = drawn.subplots(len(tables), len(PANELS), squeeze=False)
    for axes_row, (test_set, found) in zip(grid, tables.items(), strict=True):
        for axes, panel in zip(axes_row, PANELS, strict=True):
            _panel(axes, found, *panel)
        axes_row[0].set_title(test_set, fontsize=9, loc="left")
        axes_row[0].legend(fontsize=8)
    with atomic_open(path, "wb") as stream:
        drawn.savefig(stream, format="png", metadata={"Software": None})


def _panel(axes: Any, found: dict[str, Any], x: str, y: str, share: bool) -> None:
    kind = "share" if share else "scores"
    for curve in found["curves"]:
        points = [point[kind] for point in curve["points"] if x in point[kind] and y in point[kind]]
        if curve["key"] in ASIDE or not points:
            continue
        points.sort(key=lambda point: point[x]["score"])
        places, heights = ([point[name]["score"] for point in points] for name in (x, y))
        errors = [[point[name]["ci"] for point in points] for name in (y, x)]
        axes.errorbar(places, heights, errors[0], errors[1], marker="o", markersize=4, linewidth=1, label=curve["name"])
    unit = f" in % of {found['bound']}" if share else ""
    axes.set_xlabel(NAMES[x] + unit)
    axes.set_ylabel(NAMES[y] + unit)
    axes.grid(alpha=0.3)
