"""The repository keeps its own habits: recipes dry-run, docs link, files stay small, nothing is tied to a machine."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from espnet_ext.training.config import read_config, read_yaml

ROOT = Path(__file__).parent.parent
TREE = [
    ROOT / name
    for name in subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
PYTHON = [path for path in TREE if path.suffix == ".py"]
RECIPES = sorted(path for path in TREE if path.match("egs/*/run.sh"))
BASES = sorted(path for path in TREE if path.match("egs/*/conf/base.yaml"))
CONFIGS = sorted(path for path in TREE if path.match("egs/*/conf/*.yaml") if path not in BASES)
COMMANDS = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in PYTHON
    if path.is_relative_to(ROOT / "espnet_ext") and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
]

MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 60


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_lists_are_not_empty() -> None:
    assert len(PYTHON) > 20
    assert len(RECIPES) == len(BASES) and len(CONFIGS) > 40
    assert {"espnet_ext.train", "espnet_ext.decode", "espnet_ext.data.features"} <= set(COMMANDS)


@pytest.mark.parametrize("path", PYTHON, ids=name)
def test_python_files_are_small_and_say_what_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines < MAX_FILE_LINES, f"{name(path)} has {lines} lines"
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not tree.body, f"{name(path)}: no docstring"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length < MAX_FUNCTION_LINES, f"{name(path)}:{node.lineno} {node.name} has {length} lines"


# Put together here, so that this file does not hold what it looks for.
FORBIDDEN = {
    "/" + "work/": "a path of one machine",
    "/" + "home/": "a path of one machine",
    "/" + "root/": "a path of one machine",
    "TO" + "DO": "an unfinished thing",
    "FIX" + "ME": "an unfinished thing",
    "raise NotImplemented" + "Error": "an unfinished thing",
    "pytest." + "skip": "a test that may not run",
    "mark." + "skip": "a test that may not run",
    "mark." + "xfail": "a test that may fail",
}


@pytest.mark.parametrize("path", TREE, ids=name)
def test_nothing_is_unfinished_or_tied_to_a_machine(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return  # a picture
    for number, line in enumerate(text.splitlines(), 1):
        for word, reason in FORBIDDEN.items():
            assert word not in line, f"{name(path)}:{number}: {reason}: {line.strip()}"


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_is_one_page_and_dry_runs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 25
    assert "set -euo pipefail" in text
    assert '-- "$@"' in text, "without it a failed stage cannot say how to resume"
    for needed in ("README.md", "local/data.py", "conf"):
        assert (path.parent / needed).exists(), f"{name(path.parent)}: no {needed}"
    result = subprocess.run([path, "--dry_run"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    commands = [line.split() for line in result.stdout.splitlines() if not line.startswith("#")]
    for module in {words[2] for words in commands if words[1] == "-m"}:
        assert module in COMMANDS
    systems = [words[4] for words in commands if words[2] == "espnet_ext.train"]
    assert len(systems) == len(set(systems)) > 0


def test_imports_do_not_go_in_a_circle() -> None:
    """Also not those inside of functions; the error shows the circle."""
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.glob("espnet_ext/**/*.py")}
    graph = {}
    for module, path in files.items():
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        names = {
            full for node in imports for alias in node.names for full in (node.module, f"{node.module}.{alias.name}")
        }
        graph[module] = {name for name in names if name in files}
    list(graphlib.TopologicalSorter(graph).static_order())


# What a reader wants to know of a training; a default that moves shall not move a recipe.
SAID = {"encoder", "encoder_conf", "decoder", "decoder_conf", "subwords", "batch_bins", "optim", "optim_conf", "decode"}
SAID |= {"scheduler", "scheduler_conf", "grad_clip", "amp", "max_epoch", "keep_nbest_models", "best_model_criterion"}
SAID |= {"model", "model_conf", "seed"}


@pytest.mark.parametrize("path", CONFIGS, ids=name)
def test_a_config_is_complete_and_names_a_model_that_exists(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20
    config = read_config(path).values
    assert (ROOT / "espnet_ext" / "models" / f"{config['model']}.py").is_file()
    made_of_others = "asr" in config or "mt" in config
    assert made_of_others or not SAID - config.keys()


@pytest.mark.parametrize("path", BASES, ids=name)
def test_what_systems_share_stands_once(path: Path) -> None:
    """No system repeats a value of what it is from, or removes one that is not there; what all say is in base.yaml."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 60
    systems = {other: read_yaml(other) for other in CONFIGS if other.parent == path.parent}
    over = {other: own.pop("from") for other, own in systems.items() if "from" in own}
    made_from_it = {other: leaves(own) for other, own in systems.items() if other in over}
    made_of_others = [other for other, own in systems.items() if "mt" in own]
    assert len(made_from_it) >= len(systems) - len(made_of_others), "all but those made of trained systems"
    for system, own in made_from_it.items():
        below = path.with_name(f"{over[system]}.yaml")
        under = read_yaml(path) if below == path else read_config(below).values
        if "model" in under and under["model"] != own.get(("model",), under["model"]):
            del under["model_conf"]  # that of another model is not taken
        base = leaves(under)
        for option, value in own.items():
            said = f"{name(system)}: {'.'.join(option)}"
            assert value != base.get(option, "not there"), f"{said} is what {below.name} says"
            assert value is not None or any(key[: len(option)] == option for key in base), said
    directly = [own for other, own in made_from_it.items() if over[other] == "base"]
    common = set.intersection(*({(key, repr(value)) for key, value in own.items()} for own in directly))
    assert len(directly) == 1 or not common, f"every system says this; let {name(path)} say it once"


def leaves(value: Any, option: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """The values of nested sections by the path to each."""
    if not isinstance(value, dict):
        return {option: value}
    return {path: leaf for key, item in value.items() for path, leaf in leaves(item, (*option, key)).items()}


@pytest.mark.parametrize("path", [path for path in TREE if path.suffix == ".md"], ids=name)
def test_links_in_the_docs_resolve(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "#", "mailto:")):
            assert (path.parent / target.partition("#")[0]).exists(), f"{name(path)}: {target}"


@pytest.mark.parametrize("path", [path for path in TREE if path.suffix == ".sh" or name(path) == ".ci/run"], ids=name)
def test_shell_scripts_stop_at_the_first_error(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    sourced = "# shellcheck shell=bash" in text.splitlines()[0]
    assert sourced or "\nset -euo pipefail\n" in text
    assert "eval " not in text.replace("evaluated", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_without_waiting_for_torch(command: str) -> None:
    heavy = ("torch", "espnet2", "matplotlib", "sacrebleu", "scipy")
    program = f"import sys, {command}; print(*[name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "", f"{command} imports these at its start"
