"""egs/mini/papers.sh: every system of every paper, each with its own tables; what it is told reaches run.sh."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_ext.reporting.claims import read_claims, systems_of
from tests.test_runner import Recipe

ROOT = Path(__file__).parent.parent
MINI = ROOT / "egs/mini"
NAMES = (
    "interactive",
    "mutual",
    "transfer",
    "task_aware",
    "simultaneous",
    "interactive_zh",
    "interactive_ja",
    "variants",
    "long",
    "sweeps",
)


def papers(*options: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(MINI / "papers.sh"), *options]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PATH": path}, timeout=900)


@pytest.fixture(scope="module")
def planned() -> dict[str, list[list[str]]]:
    """The commands of each paper, as --dry_run prints them."""
    found = {}
    for name in NAMES:
        seeds = ["--seeds", "4 5"] if name == "simultaneous" else []
        done = papers("--papers", name, "--dry_run", *seeds)
        assert done.returncode == 0, done.stderr
        found[name] = [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("#")]
    return found


def of(module: str, commands: list[list[str]]) -> list[list[str]]:
    return [words for words in commands if words[1:3] == ["-m", f"espnet_ext.{module}"]]


def after(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def test_every_system_is_trained_for_a_paper(planned: dict[str, list[list[str]]]) -> None:
    trained = {Path(words[3]).stem for commands in planned.values() for words in of("train", commands)}
    assert trained == {path.stem for path in MINI.glob("conf/*.yaml")} - {"base"}


def test_no_paper_writes_the_tables_of_another(planned: dict[str, list[list[str]]]) -> None:
    tables = [after(words, "--results") for commands in planned.values() for words in of("score", commands)]
    own = [table for table in tables if not table.startswith("exp/")]
    assert len(own) == len(set(own)) and "RESULTS.md" not in own
    pages = [after(words, "--out") for commands in planned.values() for words in of("report", commands)]
    assert len(pages) == len(set(pages)) and "report.html" not in pages


def test_the_claims_are_decided_by_what_it_writes(planned: dict[str, list[list[str]]]) -> None:
    """The command that a claim names writes the results that the claim reads, with both systems."""
    for paper in read_claims(ROOT / "docs/claims.yaml"):
        for claim in paper.claims:
            for ground in (paper.grounds[name] for name in claim.only):
                if asked := re.match(r"egs/mini/papers.sh --papers \"?([\w ]+)", ground.run):
                    commands = [words for name in asked[1].split() for words in planned[name]]
                    assert decides(commands, Path(ground.results).name, *systems_of(claim, ground)), claim.claim


def decides(commands: list[list[str]], results: str, *systems: str) -> bool:
    if results.startswith("SWEEP-"):
        place = re.sub(r"^SWEEP-(.*)\.md$", r"exp/sweep/\1/RESULTS.md", results)
        scored = [after(words, "--systems").split() for words in of("score", commands) if place in words]
    else:
        scored = [after(words, "--systems").split() for words in of("score", commands) if results in words]
    return any(all(name.split()[0] in names for name in systems) for names in scored)


def test_what_it_is_told_reaches_every_command() -> None:
    asked = ["--exp", "exp_t", "--set", "max_epoch=1", "--data_args", "--size tiny", "--seeds", "4 5", "--nj", "3"]
    asked += ["--more", "--vocab_size 120 --decode beam=2"]
    done = papers("--papers", "mutual", "--dry_run", *asked)
    commands = [shlex.split(line) for line in done.stdout.splitlines() if not line.startswith("#")]
    assert commands[0] == ["python3", "local/data.py", "data", "--size", "tiny"]
    trained = of("train", commands)
    assert len(trained) == 2 * 9 and all("max_epoch=1" in words and words[4].startswith("exp_t/") for words in trained)
    assert {(after(words, "--nj"), after(words, "--beam")) for words in of("decode", commands)} == {("3", "2")}
    assert {after(words, "--vocab_size") for words in of("data.subwords", commands)} == {"120"}
    assert after(of("score", commands)[-1], "--results") == "exp_t/RESULTS.mutual.md"  # the committed one stays


def test_curves_need_one_seed(planned: dict[str, list[list[str]]]) -> None:
    said = {word for words in of("train", planned["simultaneous"]) for word in words}
    assert "seed=4" in said and "seed=5" not in said


def test_time_left_is_shown_and_grows_with_seeds() -> None:
    lines = [papers("--papers", "mutual interactive", "--dry_run", *seeds).stderr for seeds in ((), ("--seeds", "1 2"))]
    found = [[int(number) for number in re.findall(r"about (\d+) minutes left", text)] for text in lines]
    assert len(found[0]) == 2 and found[0][0] > found[0][1] and found[1] == [2 * number for number in found[0]]


@pytest.mark.parametrize(
    "options, message",
    [
        (["--papers", "poems"], "unknown paper 'poems'; choose from "),
        (["--papers", "mutual $(touch f)"], "unknown paper '$(touch'; choose from"),
        (["mutual"], "unexpected argument 'mutual'"),
    ],
)
def test_wrong_options_are_named(options: list[str], message: str) -> None:
    done = papers(*options, "--dry_run")
    assert done.returncode == 2 and message in done.stderr and not (MINI / "f").exists()


@pytest.mark.parametrize(
    "options, tables, page",
    [
        (["--tables", "a"], "RESULTS.a.md", "report.a.html"),
        (["--tables", "a", "--exp", "exp/zh"], "RESULTS.a.md", "report.a.html"),
        (["--tables", "a", "--exp", "exp_b"], "exp_b/RESULTS.a.md", "exp_b/report.a.html"),
        (["--tables", "a", "--by_pair", "true"], "RESULTS.a.en-de.md", "report.a.en-de.html"),
        (["--exp", "exp/zh"], "exp/zh/RESULTS.md", "exp/zh/report.html"),
    ],
)
def test_tables_have_names(tmp_path: Path, options: list[str], tables: str, page: str) -> None:
    recipe = Recipe(tmp_path)
    assert recipe.run("--stage", "9", *options).returncode == 0
    scored, reported = recipe.calls()
    assert after(scored, "--results") == tables and after(reported, "--out") == page


def test_a_name_of_tables_is_no_path(tmp_path: Path) -> None:
    done = Recipe(tmp_path).run("--tables", "../a")
    assert done.returncode == 2 and "option '--tables' takes a name such as mutual, not '../a'" in done.stderr
