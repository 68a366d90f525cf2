"""What systems forget: every task's score before and after finetuning on each task, as a matrix."""

from dataclasses import dataclass
from typing import Any

import yaml

from espnet_ext.data.tasks import read_tasks
from espnet_ext.reporting.tables import NOTHING, Cell, Row, Table, figure, main_metric, titles
from espnet_ext.scoring.results import Experiments, read_result

NOTE = "In brackets: the change by finetuning. The task that was learned on stands in bold."


@dataclass(frozen=True)
class Finetuned:
    """A system that starts from another and goes on with one of its tasks."""

    system: str
    start: str
    task: str


def forgetting_tables(where: Experiments, systems: dict[str, list[str]]) -> list[Table]:
    """One for each test set and each system that others go on from."""
    tables = []
    for test_set, names in systems.items():
        goings_on = [found for name in names if (found := finetuned(where, name)) and found.start in names]
        for start in dict.fromkeys(found.start for found in goings_on):
            tables.append(matrix(where, test_set, start, [found for found in goings_on if found.start == start]))
    return tables


def finetuned(where: Experiments, system: str) -> Finetuned | None:
    """Whether a system learns one of its tasks, and starts from one other system."""
    path = where.exp / system / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    tasks = read_tasks(config)
    learned = [name for name, task in tasks.items() if task.weight != 0]
    starts = {str(source).partition(":")[0] for source in (config.get("init") or {}).values()}
    return Finetuned(system, starts.pop(), learned[0]) if len(tasks) > len(learned) == len(starts) == 1 else None


def matrix(where: Experiments, test_set: str, start: str, after: list[Finetuned]) -> Table:
    """A row for the system before, and one for each task that it went on with."""
    before = read_result(where, start, test_set)["scores"]
    columns = [(stream, main_metric(where, stream)) for stream in where.tasks if stream in before]
    heading = f"{test_set}: {start}, before and after finetuning on one task"
    table = Table(test_set, ["Finetuned on", *titles(where, columns)], [], title=heading, note=NOTE, interval_is="")
    table.rows.append(Row("nothing", "", [Cell(figure(score(before, *column), column[1])) for column in columns]))
    for found in after:
        scores = read_result(where, found.system, test_set)["scores"]
        cells = [cell(scores, before, stream, metric, stream == found.task) for stream, metric in columns]
        table.rows.append(Row(found.task, "", cells))
    return table


def cell(scores: dict[str, Any], before: dict[str, Any], stream: str, metric: str, is_learned: bool) -> Cell:
    if stream not in scores:
        return Cell(NOTHING)
    now = score(scores, stream, metric)
    change = figure(now - score(before, stream, metric), metric, "+")
    return Cell(f"{figure(now, metric)} ({change})", best=is_learned)


def score(scores: dict[str, Any], stream: str, metric: str) -> float:
    return float(scores[stream][metric]["score"])
