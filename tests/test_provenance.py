"""The commit of a result says what else the working tree held."""

import subprocess

import pytest

from espnet_ext.training.provenance import commit

COMMITTED = ("../../docs/claims.md", "RESULTS.md", "RESULTS.json", "SWEEP-asr-seed.png", "conf/asr.yaml", "run.sh")


@pytest.fixture()
def repository(tmp_path):
    def git(*command: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *command], check=True)

    git("init", "-q")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/code.py").write_text("a = 1\n")
    for name in COMMITTED:
        path = tmp_path / "egs/new" / name
        (tmp_path / "egs/new/conf").mkdir(parents=True, exist_ok=True)
        path.resolve().parent.mkdir(parents=True, exist_ok=True)
        path.resolve().write_text("a: 1\n")
    (tmp_path / ".gitignore").write_text("exp/\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        (None, ""),
        ("package/code.py", "+changes"),
        ("package/models.py", "+untracked"),
        ("egs/new/local/data.py", "+untracked"),
        ("notes.txt", ""),
        ("exp/ignored.py", ""),
        ("egs/new/RESULTS.md", ""),  # written by the run itself
        ("egs/new/RESULTS.json", ""),
        ("docs/claims.md", ""),
        ("egs/new/SWEEP-asr-seed.png", ""),
        ("egs/new/conf/asr.yaml", "+changes"),
        ("egs/new/run.sh", "+changes"),
    ],
)
def test_what_is_not_in_the_commit_is_said(repository, path, mark):
    if path:
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("b = 2\n")
    found = commit(repository / "package")
    assert len(found.partition("+")[0]) == 40 and found[40:] == mark


def test_outside_of_a_repository_it_is_unknown(tmp_path):
    assert commit(tmp_path) == "unknown"
