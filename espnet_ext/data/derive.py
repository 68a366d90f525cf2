"""Make the sets that a system's configuration derives from others: `python -m espnet_ext.data.derive conf/SYSTEM.yaml`.

    derived:
      train_10:    {how: subset, from: train, share: 0.1}
      train_fast:  {how: augment, from: train, with: ["speed:0.9,1.1"]}
      train_mt:    {how: pseudo_label, from: train_fast, exp: [mt], nbest: 2}

Each is a data directory with its features and text index. Only sets that a task names, and the sets that those are
made from, are made.
"""

import argparse
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.data.tasks import TaskError, derived_of, names_of_sets
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.jobs import EXECUTORS

# A way to derive a set is a command that takes a data directory and the one to write; its other options are its own.
WAYS = {
    "augment": "espnet_ext.data.augment",
    "pseudo_label": "espnet_ext.pseudo_label",
    "subset": "espnet_ext.data.subset",
}
SYSTEMS = "exp"  # an option that names trained systems
SETS = ("without", "language_text")  # options that name sets; what has a / is a path


def sources(how: Mapping[str, Any]) -> list[str]:
    """The sets that a derived set is made from, and those that its other options name."""
    options = [how.get(option) or [] for option in SETS]
    more = [one for given in options for one in ([given] if isinstance(given, str) else given)]
    return [how["from"], *(one for one in more if "/" not in one)]


def read_derived(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """How each derived set is made, those that others are made from first; only what tasks ask for."""
    section = derived_of(config)
    for name, how in section.items():
        where = ("derived", str(name))
        if not isinstance(how, dict) or not isinstance(how.get("from"), str):
            raise TaskError(where, f"{how!r}; expected {{how: ..., from: SET, ...}}")
        if how.get("how") not in WAYS:
            raise TaskError((*where, "how"), f"{how.get('how')!r}; choose from {', '.join(WAYS)}")
    found: dict[str, dict[str, Any]] = {}

    def add(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise TaskError(("derived", name), f"is made from itself: {' from '.join((*above, name))}")
        if name in section and name not in found:
            for source in sources(section[name]):
                add(source, (*above, name))
            found[name] = section[name]

    for name in names_of_sets(config):
        add(name, ())
    return found


def words_of(how: Mapping[str, Any], data: Path, exp: Path) -> list[str]:
    """The options of a derived set as its command takes them."""

    def word(key: str, value: Any) -> str:
        is_set = key in SETS and "/" not in value
        return str(exp / value if key == SYSTEMS else data / value if is_set else value)

    words = []
    for key, value in how.items():
        if key in ("how", "from") or value is False:
            continue
        values = value if isinstance(value, list) else [] if value is True else [value]
        words += [f"--{key}", *(word(key, one) for one in values)]
    return words


def derive(config: Mapping[str, Any], args: argparse.Namespace) -> None:
    """Make each set, its features and its text index; what is there and has not changed is left."""
    from espnet_ext.data import features, text

    jobs = ["--nj", str(args.nj), "--executor", args.executor]
    for name, how in read_derived(config).items():
        source, data, dump = args.data / how["from"], args.data / name, args.dump / name
        if not source.is_dir():
            raise FileNotFoundError(f"derived.{name}.from: there is no {source}; prepare it (stages 1 and 2) first")
        if data.with_name(f".{name}.made_from").exists():  # the stamp of what a recipe prepares
            raise TaskError(("derived", name), f"the recipe has prepared {data}; give the derived set another name")
        command = importlib.import_module(WAYS[how["how"]])
        command.main([str(source), str(data), *words_of(how, args.data, args.exp), *jobs])
        features.main([str(data), str(dump), *jobs])
        text.main([str(data), str(dump)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.derive", description=__doc__)
    parser.add_argument("config", type=Path, help="conf/<system>.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    for name in ("data", "dump", "exp"):
        parser.add_argument(f"--{name}", type=Path, default=Path(name), help=f"folder of the recipe ({name})")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs (1)")
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where jobs run (local)")
    args = parser.parse_args(arguments)
    from espnet_ext.training.config import read_config
    from espnet_ext.training.errors import TrainError

    with one_line_errors("derive", TaskError, TrainError):
        derive(read_config(args.config, args.set).values, args)


if __name__ == "__main__":
    main()
