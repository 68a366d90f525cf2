"""The runner says how long what is left takes, where somebody has written down how long the stages take."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.test_runner import ROOT, Recipe

SECONDS = """# by a test
1	prepare corpus	60
7	train one	110
7	train three	600
8	decode test with one	20
9	score	60
"""
BEGIN = (
    "set -euo pipefail; . ../../utils/forecast.sh; log() { echo $*; }; stop_stage=10 systems=one set= seeds= augment="
)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


@pytest.mark.parametrize(
    ("options", "minutes"),
    [
        (["--systems", "one"], [5, 4, 2, 1]),  # nothing has taken time, so nothing is known of this machine
        (["--systems", "two"], [2, 1]),
        (["--systems", "one", "--stage", "7", "--stop_stage", "7"], [2]),
        (["--systems", "one", "--set", "max_epoch=1"], []),
        (["--systems", "one", "--seeds", "1 2"], []),
    ],
)
def test_what_is_left_is_told_where_it_is_known(recipe: Recipe, options: list[str], minutes: list[int]) -> None:
    assert "left" not in recipe.run(*options).stderr
    (recipe.folder / "local").mkdir()
    (recipe.folder / "local" / "seconds").write_text(SECONDS)
    told = recipe.run(*options).stderr
    assert re.findall(r"toy: about (\d+) minutes left", told) == [str(n) for n in minutes]


@pytest.mark.parametrize(("taken", "minutes"), [(120, 7), (30, 2), (2, 4)])  # twice as slow, faster, skipped
def test_what_is_left_follows_the_speed_of_this_machine(recipe: Recipe, taken: int, minutes: int) -> None:
    (recipe.folder / "local").mkdir()
    (recipe.folder / "local" / "seconds").write_text(SECONDS)
    script = f"{BEGIN}; note_time 'prepare corpus' {taken}; forecast 'train one'"
    told = subprocess.run(["bash", "-c", script], cwd=recipe.folder, capture_output=True, text=True, check=True).stdout
    assert told == f"toy: about {minutes} minutes left\n"


@pytest.mark.parametrize("path", ROOT.glob("egs/*/local/seconds"), ids=lambda path: path.parts[-3])
def test_every_stage_of_a_forecast_is_one_of_the_recipe(path: Path) -> None:
    plan = subprocess.run([path.parents[1] / "run.sh", "--dry_run"], capture_output=True, text=True, check=True).stdout
    stages = re.findall(r"^# stage (\d+), (.*)$", plan, re.MULTILINE)
    lines = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    assert [(number, name) for number, name, _ in lines] == stages
