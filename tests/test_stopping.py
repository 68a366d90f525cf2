"""Ctrl-C ends the stage runner: not before what is being saved is saved, and at once at the second time."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.test_runner import Recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe(tmp_path)


# Saves for longer than any fixed patience, but within the test's: until a file says so.
SAVING = r"""#!/usr/bin/env bash
[[ "$*" != *espnet_ext.sets* ]] || exit 0  # what st.sh asks before its first stage
trap 'touch saving' INT
touch started
until [ -f saving ]; do sleep 0.05; done
until [ -f may_end ]; do sleep 0.05; done
touch saved
"""


def begin_to_save(recipe: Recipe) -> subprocess.Popen[str]:
    """A run whose first command has been asked to stop by Ctrl-C, and saves."""
    (recipe.folder.parents[1] / ".venv/bin/python3").write_text(SAVING)
    run = [str(recipe.folder / "run.sh")]
    runner = subprocess.Popen(run, stderr=subprocess.PIPE, text=True, start_new_session=True)
    for name, ending in (("started", signal.SIGINT), ("saving", None)):
        while not (recipe.folder / name).exists():
            assert runner.poll() is None
            time.sleep(0.02)
        if ending:
            os.kill(runner.pid, ending)
    return runner


def test_ctrl_c_waits_for_a_save(recipe: Recipe) -> None:
    runner = begin_to_save(recipe)
    with pytest.raises(subprocess.TimeoutExpired):
        runner.wait(timeout=11)  # it was killed after 10 s once
    (recipe.folder / "may_end").touch()
    _, errors = runner.communicate(timeout=60)
    assert runner.returncode == 130 and (recipe.folder / "saved").exists()
    assert "stopping after the current save; a second Ctrl-C kills at once" in errors


def test_a_second_ctrl_c_kills(recipe: Recipe) -> None:
    runner = begin_to_save(recipe)
    os.kill(runner.pid, signal.SIGINT)
    runner.communicate(timeout=60)
    assert runner.returncode == 130 and not (recipe.folder / "saved").exists()
    (recipe.folder / "may_end").touch()
    time.sleep(0.5)
    assert not (recipe.folder / "saved").exists()
