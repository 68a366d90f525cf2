"""The commands of stages 7 to 10, for each system and seed: st.sh runs what this prints, a sweep what it builds."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.data.tasks import TaskError, read_tasks
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.scoring.arguments import seed_list
from espnet_ext.train import split_changes
from espnet_ext.training.config import meant_for, planned

JOINED = "\x1f"  # parts the words that st.sh gives as one argument


@dataclass(frozen=True)
class Command:
    """A command of a stage: what starts it, the module that it runs and that module's arguments."""

    stage: int
    title: str
    launch: tuple[str, ...]
    module: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.launch, "-m", f"espnet_ext.{self.module}", *self.arguments) if self.module else self.launch


@dataclass(frozen=True)
class Recipe:
    """What run.sh was told of systems, seeds and places, and the arguments that each kind of command gets with it."""

    exp: Path
    systems: list[str]
    seeds: list[Any]  # none: one training, with the seed of the configuration
    once: list[str]
    test_sets: list[str]
    dump: Path
    set: str
    launch: tuple[str, ...]
    training: tuple[str, ...]
    decoding: tuple[str, ...]
    results: tuple[str, ...]
    scoring: tuple[str, ...]
    tables: Path
    page: Path
    data: Path = Path("data")
    jobs: tuple[str, ...] = ()

    def all_seeds(self) -> list[Any]:
        return self.seeds or [None]

    def place(self, seed: int | None) -> Path:
        """Where the experiments of a seed lie: of the first in the folder of the experiments itself."""
        return self.exp if seed == self.all_seeds()[0] else self.exp / f"seed{seed}"

    def is_shared(self, seed: int | None, system: str) -> bool:
        """Whether the first seed's system serves this seed too."""
        return seed != self.all_seeds()[0] and system in self.once

    def set_for(self, system: str) -> str:
        """What --set says, but for the tasks and derived sets of other systems."""
        given = split_changes(self.set) if self.set else []
        own = meant_for(Path("conf") / f"{system}.yaml", given)
        return self.set if own == given else " ".join(own)

    def changes(self, system: str, seed: int | None, *more: str) -> list[str]:
        """What --set changes, the last counting most."""
        own = self.set_for(system)
        return [*([own] if own else []), *([] if seed is None else [f"seed={seed}"]), *more]

    def train(self, system: str, folder: Path, seed: int | None, *more: str) -> Command:
        title = f"train {folder.name}" + (f" with seed {seed}" if seed is not None else "")
        changes = [word for change in self.changes(system, seed, *more) for word in ("--set", change)]
        arguments = (f"conf/{system}.yaml", str(folder), *self.training, *changes)
        return Command(7, title, self.launch, "train", arguments)

    def derive(self, system: str, seed: int | None, *more: str) -> Iterator[Command]:
        """The sets that a system's training asks for, made of others."""
        if self.config(system, seed).get("derived"):
            places = ("--data", str(self.data), "--dump", str(self.dump), "--exp", str(self.exp))
            given = [one for change in self.changes(system, None, *more) for one in split_changes(change)]
            changes = [word for change in given for word in ("--set", change)]
            arguments = (f"conf/{system}.yaml", *places, *self.jobs, *changes)
            yield Command(7, f"derive sets of {system}", ("python3",), "data.derive", arguments)

    def config(self, system: str, seed: int | None = None) -> dict[str, Any]:
        """What its YAML says, with the changes."""
        changes = [one for change in self.changes(system, seed) for one in split_changes(change)]
        return planned(Path("conf") / f"{system}.yaml", changes)

    def task_sets(self, *systems: str) -> list[str]:
        """The test sets that tasks of systems (of all, if none is given) name, and run.sh does not."""
        tasks = [task for system in systems or self.systems for task in read_tasks(self.config(system)).values()]
        return [s for s in dict.fromkeys(s for t in tasks for s in t.tests or ()) if s not in self.test_sets]

    def decode(self, folder: Path, test_set: str, seed: int | None) -> Command:
        title = f"decode {test_set} with {folder.name}" + (f" of seed {seed}" if seed is not None else "")
        return Command(8, title, ("python3",), "decode", (str(folder), f"{self.dump}/{test_set}", *self.decoding))

    def score(self, exp: Path, systems: list[str], tables: Path) -> Command:
        arguments = (*self._results(exp, systems), *self.scoring, "--results", str(tables))
        return Command(9, "score", ("python3",), "score", arguments)

    def report(self) -> Command:
        arguments = (*self._results(self.exp, self.systems), "--out", str(self.page))
        return Command(10, "report", ("python3",), "report", arguments)

    def _results(self, exp: Path, systems: list[str]) -> list[str]:
        names = [str(exp), "--systems", " ".join(systems), "--test_sets", " ".join(self.test_sets), *self.results]
        names += ["--task_sets", " ".join(more)] if (more := self.task_sets()) else []
        return names + (["--seeds", " ".join(map(str, self.seeds))] if self.seeds else [])

    def share(self, system: str, seed: int) -> Iterator[Command]:
        """Let the first seed's system stand for that of this seed."""
        title = f"seed {seed} takes {system} of seed {self.seeds[0]}"
        yield Command(7, f"folder of seed {seed}", ("mkdir", "-p", str(self.place(seed))))
        yield Command(7, title, ("ln", "-srfT", str(self.exp / system), str(self.place(seed) / system)))

    def commands(self) -> Iterator[Command]:
        """All of them, in order."""
        each = [(seed, system) for seed in self.all_seeds() for system in self.systems]
        for seed, system in each:
            if self.is_shared(seed, system):
                yield from self.share(system, seed)
            else:
                yield from self.derive(system, seed)
                yield self.train(system, self.place(seed) / system, seed)
        for seed, system in each:
            if not self.is_shared(seed, system):
                sets = [*self.test_sets, *self.task_sets(system)]
                yield from (self.decode(self.place(seed) / system, name, seed) for name in sets)
        yield self.score(self.exp, self.systems, self.tables)
        yield self.report()


def recipe_parser(command: str, description: str | None) -> argparse.ArgumentParser:
    """A parser of what st.sh says of a recipe; a list of words comes as one argument."""
    parser = argparse.ArgumentParser(f"python -m espnet_ext.{command}", description=description)
    for name in ("exp", "dump", "tables", "page"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("data"))
    for name in ("systems", "once", "test_sets"):
        parser.add_argument(f"--{name}", type=str.split, default=[])
    parser.add_argument("--seeds", type=seed_list, default=[])
    parser.add_argument("--set", default="")
    for name in ("launch", "training", "decoding", "results", "scoring", "jobs"):
        parser.add_argument(f"--{name}", type=lambda text: tuple(text.split(JOINED)) if text else (), default=())
    return parser


def recipe_of(options: argparse.Namespace) -> Recipe:
    return Recipe(**{name: getattr(options, name) for name in Recipe.__dataclass_fields__})


def main(argv: Sequence[str]) -> None:
    recipe = recipe_of(recipe_parser("stages", __doc__).parse_args(argv))
    with one_line_errors("stages", TaskError):
        for command in recipe.commands():
            words = (str(command.stage), command.title, *command.words)
            sys.stdout.write("\0".join((str(len(words)), *words)) + "\0")


if __name__ == "__main__":
    main(sys.argv[1:])
