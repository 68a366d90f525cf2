"""Pictures of task embeddings: t-SNE of those of training examples, coloured by task and by data set."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from espnet_ext.infra.files import read_table
from espnet_ext.reporting.tsne import tsne
from espnet_ext.scoring.confusion import tasks_of
from espnet_ext.scoring.results import read_json

FILE = "task_embeddings.json"  # what a training leaves whose task network reads examples


@dataclass(frozen=True)
class Picture:
    system: str
    address: str  # the picture itself, for an <img>
    caption: str


def pictures(exp: Path, data: Path, systems: Sequence[str]) -> list[Picture]:
    """One for each system that has embeddings of examples."""
    return [draw(path.parent, data) for path in embedding_files(exp, systems)]


def embedding_files(exp: Path, systems: Sequence[str]) -> list[Path]:
    return [exp / system / FILE for system in systems if (exp / system / FILE).exists()]


def draw(system: Path, data: Path) -> Picture:
    """The same places twice: coloured by task, and by data set."""
    from matplotlib.figure import Figure

    found = read_json(system / FILE)
    sets = sets_of({task: ids for task, (ids, _) in found.items()}, system / "config.yaml", data)
    tasks = [task for task, (ids, _) in found.items() for _ in ids]
    places_N2 = tsne(np.array([row for _, rows in found.values() for row in rows]))
    figure = Figure(figsize=(9, 4.2), dpi=80, layout="constrained")
    for axes, title, labels in zip(figure.subplots(1, 2), ("task", "task and data set"), (tasks, sets), strict=True):
        for number, name in enumerate(dict.fromkeys(labels)):
            chosen_N2 = places_N2[[label == name for label in labels]]
            axes.scatter(*chosen_N2.T, s=9, color=f"C{number % 10}", marker="os^Dv"[number // 10 % 5], label=name)
        axes.set(title=title, xticks=[], yticks=[])
        axes.legend(fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    counts = ", ".join(f"{len(ids)} of {task}" for task, (ids, _) in found.items())
    told = f"t-SNE of the task embeddings of training examples ({counts})"
    return Picture(system.name, address, f"{system.name}: {told}; {distances({t: r for t, (_, r) in found.items()})}")


def distances(vectors: dict[str, list[list[float]]]) -> str:
    """How far the tasks lie from each other: t-SNE draws clouds however near they are."""
    points = {task: np.array(rows) for task, rows in vectors.items()}
    means = {task: points_ND.mean(axis=0) for task, points_ND in points.items()}
    spread = np.mean([np.linalg.norm(points_ND - means[task], axis=1).mean() for task, points_ND in points.items()])
    between = [f"{a} to {b} {np.linalg.norm(means[a] - means[b]):.2g}" for a, b in combinations(means, 2)]
    return f"distances of their means: {', '.join(between)}; an example lies {spread:.2g} from the mean of its task"


def sets_of(ids: dict[str, list[str]], config: Path, data: Path) -> list[str]:
    """`asr train` and its like for each example: the set of its task that has its id."""
    tasks = {task.name: task for task in tasks_of(config)[0]}
    found = []
    for name, examples in ids.items():
        of: dict[str, str] = {}
        for each in tasks[name].sets if len(tasks[name].sets) > 1 else ():
            path = data / each / f"text.{tasks[name].tgt}"
            of |= {key: each for key, _ in read_table(path)} if path.exists() else {}
        found += [f"{name} {of.get(key, tasks[name].sets[0])}" for key in examples]
    return found
