"""The stage runner, on a toy recipe whose python3 only writes down how it was called."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from espnet_ext.train import parse

ROOT = Path(__file__).parent.parent
HOSTILE = ["$(touch f)", "`touch f`", "; touch f;", "*", "a'b\"c", "$HOME", "f\ntouch f", "\\", "[ab]", "~", "{1,2}"]

RECIPE = """#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh --systems "one two" --test_sets "test other" -- "$@"
"""

# Says what to run as it is; else writes its arguments to calls; fails or sleeps if a file says at which argument.
PLANS = f"""#!/usr/bin/env bash
if [[ $2 =~ ^espnet_ext.(stages|sets)$ ]]; then PYTHONPATH={ROOT} exec {sys.executable} "$@"; fi
"""
PYTHON = (
    PLANS
    + r"""
printf '%s\0' "$@" >> calls
printf '\036' >> calls
if [ -f fail_at ] && [[ " $* " == *" $(< fail_at) "* ]]; then exit 3; fi
if [ -f sleep_at ] && [[ " $* " == *" $(< sleep_at) "* ]]; then sleep 600 & sleep 601; fi
"""
)


class Recipe:
    """A recipe folder with the real runner, and what its commands were."""

    def __init__(self, root: Path) -> None:
        shutil.copytree(ROOT / "utils", root / "utils")
        self.folder = root / "egs" / "toy"
        (self.folder / "conf").mkdir(parents=True)
        for system in ("one", "two"):
            (self.folder / "conf" / f"{system}.yaml").touch()
        for path, text in ((self.folder / "run.sh", RECIPE), (root / ".venv" / "bin" / "python3", PYTHON)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)

    def run(self, *options: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(self.folder / "run.sh"), *options]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | (env or {}), timeout=60)

    def calls(self) -> list[list[str]]:
        """The words of each command, in order."""
        path = self.folder / "calls"
        return [call.split("\0")[:-1] for call in path.read_text().split("\036")[:-1]] if path.exists() else []

    def commands(self) -> list[str]:
        """The script or module of each command, in order."""
        return [words[1] if words[0] == "-m" else words[0] for words in self.calls()]


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


ALL = [
    "local/data.py",
    "espnet_ext.data.check",
    *["espnet_ext.data.features"] * 4,
    "espnet_ext.data.subwords",
    *["espnet_ext.data.text"] * 4,
    *["espnet_ext.train"] * 2,
    *["espnet_ext.decode"] * 4,
    "espnet_ext.score",
    "espnet_ext.report",
]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ALL),
        (["--stop_stage", "1"], ALL[:1]),
        (["--stage", "5", "--stop_stage", "5"], ["espnet_ext.data.subwords"]),
        (["--stage", "9"], ALL[-2:]),
        (["--stage", "11", "--stop_stage", "12"], []),
        (["--stage", "7", "--stop_stage", "8", "--systems", "two"], ["espnet_ext.train"] + ["espnet_ext.decode"] * 2),
        (["--stage", "3", "--stop_stage", "3", "--augment", "speed:0.9,1.1"], ["espnet_ext.data.augment"]),
    ],
)
def test_stages_within_the_range_run_in_order(recipe: Recipe, options: list[str], expected: list[str]) -> None:
    result = recipe.run(*options)
    assert result.returncode == 0, result.stderr
    assert recipe.commands() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--njobs", "3"], "unknown option '--njobs'"),
        (["--.*", "3"], "unknown option '--.*'"),
        (["--nj"], "option '--nj' needs a value"),
        (["--systems", "--nj", "4"], "option '--systems' needs a value"),
        (["--nj", "many"], "option '--nj' takes a whole number, not 'many'"),
        (["--stage", "-1"], "option '--stage' takes a whole number, not '-1'"),
        (["--dry_run", "yes"], "option '--dry_run' takes true or false, not 'yes'"),
        (["train"], "unexpected argument 'train'; options are --name value"),
        (["--executor", "pbs"], "option '--executor' takes local or slurm, not 'pbs'"),
        (["--systems", "one base"], "unknown system 'base': conf/base.yaml holds what"),
        (["--nj\nresume_with[$(touch f)]", "1"], "unknown option '--nj\n"),
        (["--nj[$(touch f)]", "1"], "unknown option '--nj["),
        (["--decode", "beam"], "option '--decode' takes words such as beam=2, not 'beam'"),
        (["--exp", ""], "option '--exp' needs a value"),
        (["--nj", ""], "option '--nj' needs a value"),
        (["--systems", "../conf/one"], "option '--systems' takes names, not '../conf/one'"),
        (["--systems", "one .."], "option '--systems' takes names, not '..'"),
        (["--systems", "one three"], "unknown system 'three': there is no"),
        (["--seeds", "1 2", "--once", "noe"], "unknown system 'noe': there is no"),
        (["--stage", "4", "--stop_stage", "3"], "nothing to do: --stage 4 comes after --stop_stage 3"),
    ],
)
def test_wrong_options_are_refused(recipe: Recipe, options: list[str], message: str) -> None:
    result = recipe.run(*options)
    assert result.returncode == 2
    assert f"st.sh: {message}" in result.stderr
    assert result.stderr.rstrip().endswith("see --help")
    assert recipe.calls() == []
    assert not list(recipe.folder.rglob("f"))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_never_evaluated(recipe: Recipe, value: str) -> None:
    lists, names = ("data_args", "set", "augment", "test_sets"), ("exp", "tgt_lang", "valid_set")
    result = recipe.run(*[word for option in lists + names for word in (f"--{option}", value)])
    assert result.returncode == 0, result.stderr
    assert not list(recipe.folder.glob("**/f"))
    calls = recipe.calls()
    assert calls[0] == ["local/data.py", "data", *value.split()]
    assert calls[2][calls[2].index("--with") + 1 :][: len(value.split())] == value.split()
    train = next(call for call in calls if "espnet_ext.train" in call)
    assert train[3] == f"{value}/one"
    assert train[train.index("--tgt_lang") + 1] == value
    assert train[train.index("--set") + 1 :] == [value]


def test_lists_become_words(recipe: Recipe) -> None:
    recipe.run("--data_args", "--size tiny", "--set", "max_epoch=2 seed=1")
    calls = recipe.calls()
    assert calls[0] == ["local/data.py", "data", "--size", "tiny"]
    train = next(call for call in calls if "espnet_ext.train" in call)
    assert parse(train[2:]).set == ["max_epoch=2", "seed=1"]


def test_a_value_of_set_may_hold_spaces(recipe: Recipe) -> None:
    recipe.run("--set", "optim_conf={lr: 1e-3, betas: [0.9, 0.98]} seed=1 ", "--stage", "7", "--stop_stage", "7")
    assert parse(recipe.calls()[0][2:]).set == ["optim_conf={lr: 1e-3, betas: [0.9, 0.98]}", "seed=1"]


def test_systems_of_once_are_those_of_the_first_seed(recipe: Recipe) -> None:
    (recipe.folder / "exp/one").mkdir(parents=True)
    for _ in range(2):  # the second time the link is there
        result = recipe.run("--seeds", "1 2", "--once", "one")
        assert result.returncode == 0, result.stderr
    assert (recipe.folder / "exp/seed2/one").readlink() == Path("../one")
    trained = [call[3] for call in recipe.calls() if "espnet_ext.train" in call]
    decoded = [call[2] for call in recipe.calls() if "espnet_ext.decode" in call]
    assert trained == 2 * ["exp/one", "exp/two", "exp/seed2/two"]
    assert set(decoded) == {"exp/one", "exp/two", "exp/seed2/two"}


def test_an_experiment_of_another_seed_is_not_replaced(recipe: Recipe) -> None:
    (recipe.folder / "exp/seed2/one").mkdir(parents=True)
    result = recipe.run("--seeds", "1 2", "--once", "one")
    assert result.returncode != 0 and "exp/seed2/one: cannot overwrite directory" in result.stderr


def test_an_environment_variable_is_not_an_option(recipe: Recipe) -> None:
    names = ["stage", "stop_stage", "nj", "dry_run", "exp", "set", "augment", "train_set", "systems", "given", "_child"]
    result = recipe.run(env=dict.fromkeys(names, "99"))
    assert result.returncode == 0, result.stderr
    assert recipe.commands() == ALL
    assert not any("99" in word for call in recipe.calls() for word in call)


def test_a_failing_stage_names_itself_and_how_to_resume(recipe: Recipe) -> None:
    (recipe.folder / "fail_at").write_text("espnet_ext.data.subwords")
    result = recipe.run("--stage", "2", "--set", "a=$(touch f) b", "--nj", "3")
    assert result.returncode == 3
    assert "stage 5 (sub-words) failed" in result.stderr
    assert recipe.commands()[-1] == "espnet_ext.data.subwords"

    command = result.stderr.rstrip().rpartition("resume with: ")[2]
    run = str(recipe.folder / "run.sh")
    assert shlex.split(command) == [run, "--set", "a=$(touch f) b", "--nj", "3", "--stage", "5"]
    (recipe.folder / "fail_at").unlink()
    (recipe.folder / "calls").unlink()
    assert subprocess.run(["bash", "-c", command], cwd="/", timeout=60).returncode == 0
    assert recipe.commands() == ALL[6:]
    assert not (recipe.folder / "f").exists()


def test_dry_run_prints_what_a_run_does(recipe: Recipe) -> None:
    for flag in (["--dry_run"], ["--dry_run", "true"]):
        result = recipe.run(*flag, "--exp", "my exp")
        assert result.returncode == 0, result.stderr
        assert recipe.calls() == []
    printed = [shlex.split(line)[1:] for line in result.stdout.splitlines() if not line.startswith("#")]
    recipe.run("--exp", "my exp")
    assert printed == recipe.calls()


def test_several_gpus_train_under_torchrun_and_slurm_under_srun(recipe: Recipe) -> None:
    result = recipe.run("--dry_run", "--stage", "7", "--stop_stage", "7", "--ngpu", "4")
    assert "torchrun --standalone --nproc_per_node 4 -m espnet_ext.train conf/one.yaml" in result.stdout
    result = recipe.run("--dry_run", "--stage", "7", "--stop_stage", "7", "--ngpu", "1", "--executor", "slurm")
    expected = (
        "srun --quit-on-interrupt --ntasks 1 --cpus-per-task 2 --gpus 1 python3 -m espnet_ext.train conf/one.yaml"
    )
    assert expected in result.stdout


def test_options_of_decoding_and_empty_values(recipe: Recipe) -> None:
    result = recipe.run("--dry_run", "--stage", "5", "--decode", "beam=2 dtype=bf16", "--joint_vocab_size", "")
    assert result.stdout.count("--executor local --beam 2 --dtype bf16\n") == 4
    assert result.returncode == 0 and "--joint_vocab_size" not in result.stdout
    recipe.run("--joint_vocab_size", "7", "--joint_vocab_size", "", "--stage", "5", "--stop_stage", "5")
    assert "--joint_vocab_size" not in recipe.calls()[0]


def test_decoding_is_where_training_is(recipe: Recipe) -> None:
    for ngpu, device in (("0", "cpu"), ("1", "cuda")):
        result = recipe.run("--dry_run", "--stage", "8", "--stop_stage", "8", "--ngpu", ngpu)
        assert result.stdout.count(f"--device {device} ") == 4


def test_help_lists_every_option_with_its_value(recipe: Recipe) -> None:
    table = (ROOT / "utils" / "st.sh").read_text().partition("\nhere=")[0]
    names = [line.partition("=")[0] for line in table.splitlines() if "=" in line and not line.startswith(("#", "set"))]
    names.append("set")
    assert {"stage", "stop_stage", "systems", "nj", "ngpu", "executor", "dry_run"} < set(names)
    result = recipe.run("--help")
    assert result.returncode == 0
    options, _, stages = result.stdout.partition("\n\n")
    listed = {line.split()[0]: line for line in options.splitlines()}
    assert sorted(listed) == sorted(f"--{name}" for name in names)
    assert listed["--systems"].endswith("[one two]")  # the recipe's value, not the pipeline's
    assert re.findall(r"\d+", stages) == [str(n) for n in range(1, 11)]
    assert "5 sub-words, 6 text index, 7 train, 8 decode" in stages


def children_asleep(runner: subprocess.Popen, sleepers: int) -> list[psutil.Process]:
    """All descendants, as soon as so many of them are `sleep`."""

    def is_sleep(process: psutil.Process) -> bool:
        try:
            return "sleep" in process.name()
        except psutil.NoSuchProcess:  # it ended after it was listed
            return False

    while True:
        assert runner.poll() is None, "ended before the stage that sleeps"
        children = psutil.Process(runner.pid).children(recursive=True)
        if sum(map(is_sleep, children)) >= sleepers:
            return children
        time.sleep(0.05)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_runner_ends_all_its_children(recipe: Recipe, ending: signal.Signals) -> None:
    (recipe.folder / "sleep_at").write_text("espnet_ext.data.subwords")
    runner = subprocess.Popen(
        [str(recipe.folder / "run.sh")], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    children = children_asleep(runner, 2)
    os.killpg(runner.pid, ending)
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "stopping" in errors
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert recipe.commands()[-1] == "espnet_ext.data.subwords"
