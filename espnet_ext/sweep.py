"""Train, decode and score a system for each value of an option; ends in a table and a plot of what the value changes.

`./run.sh --systems SYSTEM --vary KEY=VALUE,...` starts it; `--vary "SYSTEM:KEY=VALUE,... SYSTEM:KEY=VALUE,..."` runs
the recipe with a sweep of each, and ends in its tables and report. What is done already is not done again.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

from espnet_ext import models, score, train
from espnet_ext.infra.files import atomic_open
from espnet_ext.stages import Command, Recipe, recipe_of, recipe_parser

PARTED = re.compile(r"\s+(?=[\w.-]+:[\w.]+=)")  # spaces before the next SYSTEM:KEY=
LISTED = re.compile(r",(?![^\[{]*[\]}])")  # commas, but not those within [...] or {...}
DECIDED_LATER = ("decode", "model_conf")  # the sections with options that training may not depend on
KEPT = ("model.pth", "run.json", "subwords")  # of a trained system that is only decoded otherwise


class SweepError(ValueError):
    """Something that the user can put right; the message says how."""


@dataclass(frozen=True)
class Variant:
    """One value of the option, and how its experiment comes about."""

    value: str
    change: str  # as --set takes it
    name: str  # of the experiment
    kind: str  # trained; searched: trained as the base, decoded otherwise; same: the base itself


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = recipe_parser("sweep", __doc__)
    parser.add_argument(
        "--vary",
        required=True,
        metavar="KEY=VALUE,...",
        help="an option of the configuration and its values, such as model_conf.wait_k=0,1,3,5 or decode.beam=1,5,10; "
        "for several systems: 'waitk:model_conf.k=1,3 le:model_conf.d=0,2'",
    )
    parser.add_argument("--command", required=True, help="the command as typed, for the table")
    parser.add_argument("--dry_run", action="store_true", help="print the commands without running them")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    options = parse(argv)
    from espnet_ext.scoring.texts import ScoringError
    from espnet_ext.training.errors import TrainError

    try:
        sweep(options)
    except (SweepError, ScoringError, TrainError) as error:
        sys.exit(f"sweep: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


@dataclass(frozen=True)
class Sweep:
    """One option of one system: the recipe with this system alone, and the values."""

    recipe: Recipe
    key: str
    variants: list[Variant]

    @property
    def name(self) -> str:
        return f"{self.recipe.systems[0]}-{short(self.key)}"

    @property
    def top(self) -> Path:
        return self.recipe.exp / "sweep" / self.name


def sweep(options: argparse.Namespace) -> None:
    """Run what is not done yet, then write the tables and the plots."""
    recipe = recipe_of(options)
    sweeps = [Sweep(one, key, make_variants(one, key, values)) for one, key, values in asked_for(recipe, options.vary)]
    whole = list(recipe.commands()) if ":" in options.vary.partition("=")[0] else []
    run_all([command for command in whole if command.stage <= 8], options.dry_run)
    for one in sweeps:
        for planned, folder, prepared in plan(one.recipe, one.variants, one.top):
            for variant, seed in () if options.dry_run else prepared:
                prepare(folder, variant, one.recipe, seed)
            run_all([planned], options.dry_run)
        if not options.dry_run:
            write_results(one, options.command)
    run_all([command for command in whole if command.stage > 8], options.dry_run)


def asked_for(recipe: Recipe, vary: str) -> Iterator[tuple[Recipe, str, list[str]]]:
    """The recipe of one system, the option and its values, for each sweep."""
    for part in PARTED.split(vary.strip()):
        system, colon, rest = part.partition(":") if ":" in part.partition("=")[0] else ("", "", part)
        if colon and system not in recipe.systems:
            raise SweepError(f"--vary: unknown system {system!r}; choose from {', '.join(recipe.systems)}")
        if not colon and len(recipe.systems) != 1:
            raise SweepError(
                f"one system can be varied, not '{' '.join(recipe.systems)}'; name it with --systems, or before the "
                f"option: --vary {recipe.systems[-1]}:{part}"
            )
        varied = system or recipe.systems[0]
        if varied in recipe.once and len(recipe.seeds) > 1:
            raise SweepError(
                f"--once {varied}: a sweep trains {varied} with each seed; leave it out of --once, or sweep with the "
                f"first seed alone: --seeds {recipe.seeds[0]}"
            )
        yield (replace(recipe, systems=[system]) if colon else recipe, *split_values(rest))


def split_values(vary: str) -> tuple[str, list[str]]:
    key, _, values = vary.partition("=")
    found = [value.strip() for value in LISTED.split(values)]
    if not key or "" in found or len(set(found)) < len(found):
        raise SweepError(f"--vary {vary!r}: expected key=value,value with different values, such as decode.beam=1,5,10")
    return key, found


def run_all(commands: Sequence[Command], dry_run: bool) -> None:
    for command in commands:
        if dry_run:
            print(shlex.join(command.words))
        else:
            run(command)


def short(key: str) -> str:
    return key.removeprefix("model_conf.")


def config_of(recipe: Recipe, seed: int | None, *changes: str) -> Any:
    """The configuration that a training uses, with further changes."""
    from espnet_ext.training.config import read_config

    given = [change for text in recipe.changes(recipe.systems[0], seed) for change in train.split_changes(text)]
    return read_config(Path("conf", f"{recipe.systems[0]}.yaml"), given, changes)


def make_variants(recipe: Recipe, key: str, values: list[str]) -> list[Variant]:
    """Every value with its kind; an option that nothing reads is refused before an hour is spent on it."""
    from espnet_ext.training.check_config import check_config

    seed = recipe.all_seeds()[0]
    base, variants = config_of(recipe, seed).values, []
    for value in values:
        change = f"{key}={value}"
        given = config_of(recipe, seed, change)
        check_config(given)
        config = given.values
        kind = "same" if config == base else "searched" if is_searched(key, config) else "trained"
        variants.append(Variant(value, change, re.sub(r"[^\w.,=+-]", "_", f"{short(key)}={value}"), kind))
    if len({variant.name for variant in variants}) < len(variants):
        raise SweepError(f"--vary {key}: two values would share a folder of {', '.join(v.name for v in variants)}")
    return variants


def is_searched(key: str, config: dict[str, Any]) -> bool:
    """Whether training does not depend on the option."""
    section, _, name = key.partition(".")
    later = models.find(config["model"]).decoding_options(config.get("model_conf", {}))
    return section == "decode" or (section == "model_conf" and name in later)


def plan(
    recipe: Recipe, variants: list[Variant], top: Path
) -> Iterator[tuple[Command, Path, list[tuple[Variant, int | None]]]]:
    """Each command in order, with the variants to prepare in a folder before it, and their seed."""
    system, seeds = recipe.systems[0], recipe.all_seeds()
    folders = {seed: top / recipe.place(seed).relative_to(recipe.exp) for seed in seeds}
    untrained = [variant for variant in variants if variant.kind != "trained"]
    for seed, folder in folders.items():
        if untrained:
            yield from ((command, folder, []) for command in recipe.derive(system, seed))
            yield recipe.train(system, recipe.place(seed) / system, seed), folder, []
        for variant in variants:
            if variant.kind == "trained":
                yield from ((command, folder, []) for command in recipe.derive(system, seed, variant.change))
                yield recipe.train(system, folder / variant.name, seed, variant.change), folder, [(variant, seed)]
    for seed, folder in folders.items():
        prepared = [(variant, seed) for variant in untrained]
        for test_set in [*recipe.test_sets, *recipe.task_sets()]:
            for variant in variants:
                yield recipe.decode(folder / variant.name, test_set, seed), folder, prepared
                prepared = []
    yield recipe.score(top, [variant.name for variant in variants], top / "RESULTS.md"), top, []


def prepare(folder: Path, variant: Variant, recipe: Recipe, seed: int | None) -> None:
    """Let a variant find the systems that it is made from beside it, and what it shares with its base."""
    base, own = recipe.place(seed) / recipe.systems[0], folder / variant.name
    for part in parts_of(config_of(recipe, seed).values):
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
        make_searched(own, base, config_of(recipe, seed, variant.change).values)


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
        raise SweepError(f"{path} has its own files, from when it differed from {target}; move or delete it")
    path.symlink_to(os.path.relpath(target, path.parent))


def make_searched(own: Path, base: Path, given: dict[str, Any]) -> None:
    """An experiment with the base's weights and other options of decoding."""
    import yaml

    config = yaml.safe_load((base / "config.yaml").read_text(encoding="utf-8"))
    for name in KEPT:
        if (base / name).exists():
            link(own / name, base / name)
    config |= {section: given[section] for section in DECIDED_LATER if section in given}
    with atomic_open(own / "config.yaml") as stream:
        yaml.safe_dump(config, stream, sort_keys=False, allow_unicode=True)


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
        sys.exit(f"sweep: {command.module} failed; fix the cause, then repeat the command: it skips what is done")


def write_results(one: Sweep, command: str) -> None:
    """SWEEP-<name>.md, .json and .png, beside the recipe's RESULTS.md."""
    from espnet_ext.reporting.result_file import result_file
    from espnet_ext.reporting.sweep_tables import sweep_plot, sweep_tables
    from espnet_ext.reporting.tables import as_markdown, as_text
    from espnet_ext.scoring.task_results import find_results

    recipe, variants, top, key = one.recipe, one.variants, one.top, one.key
    given = score.parse(list(recipe.score(top, [v.name for v in variants], recipe.tables).arguments))
    where, found = find_results(given)
    values = {variant.name: variant.value for variant in variants}
    tables = sweep_tables(where, given.seeds, values, list(found), short(key))
    out = given.results.with_name(given.results.name.replace("RESULTS", f"SWEEP-{one.name}"))
    picture = out.with_name(f"{out.name.removesuffix('.md')}.png")
    sweep_plot(picture, tables, short(key))
    about = [f"Made by `{command}`; every figure comes from `{top}/<value>/<test set>/scores.json`."]
    about += [
        f"{v.value} is the value that `{recipe.exp / recipe.systems[0]}` has anyway."
        for v in variants
        if v.kind == "same"
    ]
    about.append(f"![{key}]({picture.name})")
    with atomic_open(out) as stream:
        stream.write(as_markdown(tables, f"{recipe.systems[0]}: {key}", "\n\n".join(about)))
    copyfile(result_file(top / "RESULTS.md"), result_file(out))
    for table in tables:
        print(as_text(table) + "\n")
    print(f"Written to {out} and {picture}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
