"""Train, decode and score one system for each value of an option; ends in a table and a plot of what the value changes.

Run it in a recipe's folder. Options of the recipe's run.sh follow after `--`. What is done already is not done again.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext import score, train
from espnet_ext.infra.files import atomic_open

LISTED = re.compile(r",(?![^\[{]*[\]}])")  # commas, but not those within [...] or {...}
KEPT = ("model.pth", "run.json", "subwords")  # of a trained system that is only decoded otherwise


class SweepError(ValueError):
    """Something that the user can put right; the message says how."""


@dataclass(frozen=True)
class Command:
    """A command of a stage: its words, and the places of its module and of its experiment's folder among them."""

    words: tuple[str, ...]
    module: int
    place: int

    @classmethod
    def read(cls, line: str) -> "Command":
        words = tuple(shlex.split(line))
        module = next(i for i, word in enumerate(words) if word.startswith("espnet_ext."))
        return cls(words, module, module + (2 if words[module] == "espnet_ext.train" else 1))

    @property
    def name(self) -> str:
        return self.words[self.module].removeprefix("espnet_ext.")

    @property
    def folder(self) -> Path:
        return Path(self.words[self.place])

    @property
    def arguments(self) -> list[str]:
        return list(self.words[self.module + 1 :])

    def to(self, folder: Path, *more: str) -> "Command":
        """The same with another folder and further options."""
        words = (*self.words[: self.place], str(folder), *self.words[self.place + 1 :], *more)
        return Command(words, self.module, self.place)


@dataclass(frozen=True)
class Variant:
    """One value of the option, and how its experiment comes about."""

    value: str
    change: str  # as --set takes it
    name: str  # of the experiment
    kind: str  # trained; searched: trained as the base, decoded otherwise; same: the base itself


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m espnet_ext.sweep", description=__doc__)
    parser.add_argument("--system", required=True, help="what is varied: the system of conf/<system>.yaml")
    parser.add_argument(
        "--vary",
        required=True,
        metavar="KEY=VALUE,...",
        help="an option of the configuration and its values, such as model_conf.wait_k=0,1,3,5 or decode.beam=1,5,10",
    )
    parser.add_argument("--name", help="of the sweep; SYSTEM-KEY if not given")
    parser.add_argument("--dry_run", action="store_true", help="print the commands without running them")
    parser.add_argument("recipe", nargs="*", metavar="-- OPTION ...", help="for run.sh: -- --tgt_lang fr --seeds '1 2'")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    from espnet_ext.scoring.texts import ScoringError
    from espnet_ext.training.errors import TrainError

    try:
        sweep(options, shlex.join(["python", "-m", "espnet_ext.sweep", *argv]))
    except (SweepError, ScoringError, TrainError) as error:
        sys.exit(f"sweep: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def sweep(options: argparse.Namespace, command: str) -> None:
    """Run what is not done yet, then write the table and the plot."""
    key, values = split_values(options.vary)
    base = recipe_commands(options.system, options.recipe)
    variants = make_variants(base[0], key, values)
    name = options.name or f"{options.system}-{short(key)}"
    top = base[-1].folder / "sweep" / name
    for planned, prepared in plan(base, variants, top):
        if options.dry_run:
            print(shlex.join(planned.words))
            continue
        for variant, source in prepared:
            prepare(planned.folder.parent, variant, source)
        run(planned)
    if not options.dry_run:
        write_results(base, variants, top, name, key, command)


def split_values(vary: str) -> tuple[str, list[str]]:
    key, _, values = vary.partition("=")
    found = [value.strip() for value in LISTED.split(values)]
    if not key or "" in found or len(set(found)) < len(found):
        raise SweepError(f"--vary {vary!r}: expected key=value,value with different values, such as decode.beam=1,5,10")
    return key, found


def short(key: str) -> str:
    return key.removeprefix("model_conf.")


def recipe_commands(system: str, recipe: Sequence[str]) -> list[Command]:
    """What run.sh would do for this system in stages 7 to 9, by its own account: train, decode, score."""
    if not Path("run.sh").is_file():
        raise SweepError(f"{Path.cwd()} has no run.sh: run this in the folder of a recipe, such as egs/mini")
    if system == "base" or not Path("conf", f"{system}.yaml").is_file():
        known = ", ".join(sorted(path.stem for path in Path("conf").glob("*.yaml") if path.stem != "base"))
        raise SweepError(f"one system can be varied, and there is no conf/{system}.yaml of one; choose from {known}")
    words = ["./run.sh", *recipe, "--vary", "", "--systems", system, "--stage", "7", "--stop_stage", "9", "--dry_run"]
    found = subprocess.run(words, capture_output=True, text=True)
    if found.returncode:
        raise SweepError(found.stderr.strip())
    return [Command.read(line) for line in found.stdout.splitlines() if not line.startswith("#")]


def config_of(training: Command, *changes: str) -> Any:
    """The configuration that a training command uses, with further changes."""
    from espnet_ext.training.config import read_config

    given = train.parse(training.arguments)
    return read_config(given.config, given.set, changes)


def make_variants(training: Command, key: str, values: list[str]) -> list[Variant]:
    """Every value with its kind; an option that nothing reads is refused before an hour is spent on it."""
    from espnet_ext import models
    from espnet_ext.search.options import stream_options
    from espnet_ext.training.config import check_names

    base, variants = config_of(training).values, []
    for value in values:
        change = f"{key}={value}"
        given = config_of(training, change)
        check_names(given)
        config = given.values
        model = models.find(config.get("model", "e2e"))
        try:
            stream_options(config.get("decode") or {}, model.streams, model.search_defaults)
        except (TypeError, ValueError) as error:
            raise SweepError(f"--vary {change}: {error}") from error
        kind = "same" if config == base else "searched" if key.partition(".")[0] == "decode" else "trained"
        variants.append(Variant(value, change, re.sub(r"[^\w.,=+-]", "_", f"{short(key)}={value}"), kind))
    if len({variant.name for variant in variants}) < len(variants):
        raise SweepError(f"--vary {key}: two values would share a folder of {', '.join(v.name for v in variants)}")
    return variants


def plan(
    base: list[Command], variants: list[Variant], top: Path
) -> Iterator[tuple[Command, list[tuple[Variant, Command]]]]:
    """Each command in order, with the variants to prepare before it and the training command of their base."""
    exp = base[-1].folder
    trainings = [command for command in base if command.name == "train"]  # one for each seed
    untrained = [variant for variant in variants if variant.kind != "trained"]
    for training in trainings:
        if untrained:
            yield training, []
        for variant in variants:
            if variant.kind == "trained":
                own = top / training.folder.parent.relative_to(exp) / variant.name
                yield training.to(own, "--set", variant.change), [(variant, training)]
    sources = {training.folder: training for training in trainings}
    for decoding in (command for command in base if command.name == "decode"):
        prepared = [(variant, sources[decoding.folder]) for variant in untrained]
        for variant in variants:
            yield decoding.to(top / decoding.folder.parent.relative_to(exp) / variant.name), prepared
            prepared = []
    names = " ".join(variant.name for variant in variants)
    # The last of an option given twice counts.
    yield base[-1].to(top, "--systems", names, "--results", str(top / "RESULTS.md")), []


def prepare(folder: Path, variant: Variant, training: Command) -> None:
    """Let a variant find the systems that it is made from beside it, and what it shares with its base."""
    base, own = training.folder, folder / variant.name
    for part in parts_of(config_of(training).values):
        if (base.parent / part).is_dir():
            link(folder / part, base.parent / part)
        elif not Path(part).exists():
            raise SweepError(f"{base.parent / part} does not exist, and {base.name} is made from it: train it first")
    if variant.kind == "same":
        link(own, base)
        return
    if own.is_symlink():
        own.unlink()  # the base had this value once
    if variant.kind == "searched":
        make_searched(own, base, config_of(training, variant.change).values["decode"])


def parts_of(config: dict[str, Any]) -> set[str]:
    """The systems beside this one that it is made from."""
    names = [str(source).partition(":")[0] for source in (config.get("init") or {}).values()]
    names += [os.path.normpath(Path("here", config[name])) for name in ("asr", "mt") if config.get(name)]
    return {name for name in names if os.sep not in name}


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        raise SweepError(f"{path} was made when it differed from {target}; move or delete it")
    path.symlink_to(os.path.relpath(target, path.parent))


def make_searched(own: Path, base: Path, search: dict[str, Any]) -> None:
    """An experiment with the base's weights and other options of search."""
    import yaml

    config = yaml.safe_load((base / "config.yaml").read_text(encoding="utf-8"))
    for name in KEPT:
        if (base / name).exists():
            link(own / name, base / name)
    with atomic_open(own / "config.yaml") as stream:
        yaml.safe_dump({**config, "decode": search}, stream, sort_keys=False, allow_unicode=True)


def run(command: Command) -> None:
    """Run a command to its end; Ctrl-C reaches it by itself, and SIGTERM is handed on."""
    print(f"sweep: {shlex.join(command.words)}", file=sys.stderr)
    found = {"PATH": Path(sys.executable).parent, "PYTHONPATH": Path(__file__).parent.parent}
    paths = {name: f"{path}{os.pathsep}{os.environ.get(name, '')}" for name, path in found.items()}
    with subprocess.Popen(command.words, env=os.environ | paths) as child:
        before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        try:
            status = child.wait()
        except KeyboardInterrupt:
            child.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
    if status:
        sys.exit(f"sweep: {command.name} failed; when mended, give the same command again: what is done is skipped")


def write_results(base: list[Command], variants: list[Variant], top: Path, name: str, key: str, command: str) -> None:
    """SWEEP-<name>.md and .png, beside the recipe's RESULTS.md."""
    from espnet_ext.reporting.sweep_tables import sweep_plot, sweep_tables
    from espnet_ext.reporting.tables import as_markdown, as_text
    from espnet_ext.scoring.results import Experiments

    given = score.parse(base[-1].arguments)
    where = Experiments(top, given.data, given.src_lang, given.tgt_lang)
    values = {variant.name: variant.value for variant in variants}
    tables = sweep_tables(where, given.seeds, values, given.test_sets, short(key))
    out = given.results.with_name(given.results.name.replace("RESULTS", f"SWEEP-{name}"))
    picture = out.with_name(f"{out.name.removesuffix('.md')}.png")
    sweep_plot(picture, tables, short(key))
    about = [f"Made by `{command}`; every figure comes from `{top}/<value>/<test set>/scores.json`."]
    about += [f"{v.value} is the value that `{base[0].folder}` has anyway." for v in variants if v.kind == "same"]
    about.append(f"![{key}]({picture.name})")
    with atomic_open(out) as stream:
        stream.write(as_markdown(tables, f"{base[0].folder.name}: {key}", "\n\n".join(about)))
    for table in tables:
        print(as_text(table) + "\n")
    print(f"Written to {out} and {picture}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
