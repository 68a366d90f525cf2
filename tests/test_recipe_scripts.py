"""A recipe with more scripts than run.sh: what the runner says of it is said of the script that was called."""

import subprocess
from pathlib import Path

import pytest

from tests.test_runner import RECIPE, ROOT, Recipe


def test_a_script_of_another_name_is_what_resumes_and_made_a_sweep(tmp_path: Path) -> None:
    recipe = Recipe(tmp_path)
    script = recipe.folder / "run_speech.sh"
    script.write_text(RECIPE.replace("st.sh", "st.sh --script run_speech.sh"))
    script.chmod(0o755)
    (recipe.folder / "fail_at").write_text("local/data.py")
    failed = subprocess.run([script, "--nj", "3"], capture_output=True, text=True, timeout=60)
    assert failed.stderr.rstrip().endswith(f"resume with: {script} --nj 3 --stage 1")
    (recipe.folder / "fail_at").unlink()
    subprocess.run([script, "--vary", "one:a=1,2"], check=True, timeout=60)
    assert "--command=./run_speech.sh --vary one:a=1,2" in recipe.calls()[-1]


@pytest.mark.parametrize("path", sorted((ROOT / "egs").glob("*/run_*.sh")), ids=lambda path: path.name)
def test_scripts_beside_run_sh_say_their_name(path: Path) -> None:
    assert f"--script {path.name} " in path.read_text()
