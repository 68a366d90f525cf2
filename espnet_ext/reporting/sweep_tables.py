"""What the values of an option change: the tables of a sweep, a row for each value, and their plot."""

import math
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.reporting.seed_tables import seed_tables
from espnet_ext.reporting.tables import NOTHING, Cell, Table, build_table
from espnet_ext.scoring.results import Experiments, read_result
from espnet_ext.scoring.sweeps import positions

SECONDS = "Decoding (s)"


def sweep_tables(
    where: Experiments, seeds: list[int], values: dict[str, str], test_sets: list[str], key: str
) -> list[Table]:
    """A table for each test set; `values` gives the value of each experiment."""
    tables = []
    for test_set in test_sets:
        if len(seeds) > 1:
            table = seed_tables(where, seeds, list(values), test_set)[0]
        else:
            table = build_table(where, list(values), test_set)
        table.shows_interval = True
        table.header = [key, *table.header[1:], SECONDS]
        for row in table.rows:
            results = [read_result(place, row.system, test_set) for place in where.of_seeds(seeds)]
            row.cells.append(Cell(f"{sum(r['decode_seconds'] for r in results) / len(results):.1f}"))
            row.system = values[row.system]
        tables.append(table)
    return tables


def sweep_plot(path: Path, tables: list[Table], key: str) -> None:
    """A row of panels for each table: every score with its interval, and the seconds of decoding, over the values."""
    from matplotlib.figure import Figure

    names = [
        [n for n, cell in zip(table.header[1:], table.rows[0].cells, strict=True) if cell.interval] + [SECONDS]
        for table in tables
    ]
    most = max(map(len, names))
    figure = Figure(figsize=(3.4 * most, 2.8 * len(tables)), dpi=110, layout="constrained")
    grid = figure.subplots(len(tables), most, squeeze=False)
    for panels, table, shown in zip(grid, tables, names, strict=True):
        for axes, name in zip(panels, shown):
            _panel(axes, table, name, key)
        for axes in panels[len(shown) :]:  # tasks have test sets of their own
            axes.set_visible(False)
    with atomic_open(path, "wb") as stream:
        figure.savefig(stream, format="png", metadata={"Software": None})


def _panel(axes: Any, table: Table, name: str, key: str) -> None:
    column = table.header.index(name) - 1
    cells = [row.cells[column] for row in table.rows]
    values = [row.system for row in table.rows]
    places = positions(values)
    heights = [
        math.nan if cell.text == NOTHING else float(cell.text) for cell in cells
    ]  # a gap: it writes no such thing
    errors = [float(cell.interval or 0) for cell in cells] if any(cell.interval for cell in cells) else None
    axes.errorbar(places, heights, yerr=errors, marker="o", capsize=3)
    axes.set_title(f"{table.test_set}: {name}", fontsize=9)
    axes.set_xlabel(key)
    axes.set_xticks(places, values)
    axes.grid(alpha=0.3)
