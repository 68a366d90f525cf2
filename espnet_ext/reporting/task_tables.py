"""One table of all tasks, each on its own test sets: what a paper of systems with tasks shows first."""

import string

from espnet_ext.reporting.tables import NOTHING, Cell, Row, Table, main_metric, score_cells, titles
from espnet_ext.scoring.results import Experiments, read_significance


def task_tables(where: Experiments, systems: dict[str, list[str]]) -> list[Table]:
    """A column for each task and test set, with the marks of that set's test; none where one test set says it all."""
    if not where.tasks or len(systems) < 2:
        return []
    every = list(dict.fromkeys(name for each in systems.values() for name in each))
    letters = dict(zip(every, string.ascii_lowercase, strict=False))
    table = Table("", ["System"], [], title="Every task on its test sets")
    found: list[dict[str, Cell]] = []
    for test_set, names in systems.items():
        comparison = read_significance(where, names, test_set)["streams"]
        columns = [(stream, main_metric(where, stream)) for stream in where.known if stream in comparison]
        for title, (stream, metric) in zip(titles(where, columns), columns, strict=True):
            heading = f"{title}, {test_set}"
            table.header.append(heading)
            table.signatures[heading] = comparison[stream][metric]["signature"]
            found.append(score_cells(comparison[stream][metric], metric, letters))
    table.rows = [
        Row(name, letters.get(name, ""), [cells.get(name, Cell(NOTHING)) for cells in found]) for name in every
    ]
    return [table]
