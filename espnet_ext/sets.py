"""The sets and vocabularies that the configurations of systems name, for st.sh: it prepares them beside its own.

Prints three lines: training sets; all sets; vocabularies as LANGUAGES:SETS. Derived sets are not among them.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.data.derive import sources
from espnet_ext.data.tasks import TaskError, derived_of, names_of_sets, read_tasks
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.train import split_changes
from espnet_ext.training.config import meant_for, planned


def named(systems: Sequence[str], changes: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Training sets, all sets, and vocabularies."""
    training: dict[str, None] = {}
    every: dict[str, None] = {}
    vocabularies: dict[str, None] = {}
    check_changes(systems, changes)
    for system in systems:
        path = Path("conf") / f"{system}.yaml"
        config = planned(path, meant_for(path, changes))
        vocabulary = vocabulary_of(config)
        if vocabulary is None:
            continue
        derived = derived_of(config)
        given = [name for name in names_of_sets(config) if name not in derived]
        roots = [how["from"] for how in derived.values() if how["from"] not in derived]
        named_too = [name for how in derived.values() for name in sources(how) if name not in derived]
        tasks = read_tasks(config).values()
        learned = [name for task in tasks for name in task.sets if name not in derived]
        training |= dict.fromkeys([*learned, *roots])
        every |= dict.fromkeys([*given, *named_too, *vocabulary.sets])
        vocabularies[f"{','.join(vocabulary.langs)}:{','.join(vocabulary.sets)}"] = None
    return list(training), list(every), list(vocabularies)


def check_changes(systems: Sequence[str], changes: Sequence[str]) -> None:
    """Refuse a change of a task or a derived set that no system has."""
    meant = {change for system in systems for change in meant_for(Path("conf") / f"{system}.yaml", changes)}
    for change in changes if systems else ():
        if change not in meant:
            section, name, *_ = change.partition("=")[0].split(".")
            raise TaskError([section, name], f"none of {', '.join(systems)} has it, so --set {change} changes nothing")


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser("python -m espnet_ext.sets", description=__doc__)
    parser.add_argument("--systems", type=str.split, required=True, help="systems, each with a conf/<system>.yaml")
    parser.add_argument("--set", default="", help="changes of every configuration")
    options = parser.parse_args(argv)
    with one_line_errors("sets", TaskError):
        changes = split_changes(options.set) if options.set.strip() else []
        for names in named(options.systems, changes):
            print(" ".join(names))


if __name__ == "__main__":
    main(sys.argv[1:])
