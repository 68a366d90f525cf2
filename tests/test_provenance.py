"""The commit of a result says what else the working tree held."""

import subprocess

import pytest

from espnet_ext.training.provenance import ENDS, changed_weights, commit, weights

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


def test_weights_that_changed_are_named(tmp_path):
    """Also those of parts, and of a file that is larger than what is read of it; what was deleted says nothing."""
    for system, config in {"asr": "{}", "mt": "{}", "pipeline": "{asr: ../asr, mt: ../mt}"}.items():
        (tmp_path / system).mkdir()
        (tmp_path / system / "config.yaml").write_text(config)
    for system in ("asr", "mt"):
        (tmp_path / system / "model.pth").write_bytes(bytes(3 * ENDS))
    pipeline = tmp_path / "pipeline"
    before = weights(pipeline)
    assert [*before] == ["../asr/model.pth", "../mt/model.pth"] and changed_weights(pipeline, before) == []
    (tmp_path / "mt/model.pth").write_bytes(bytes(3 * ENDS - 1) + b"1")
    (tmp_path / "asr/model.pth").unlink()
    assert changed_weights(pipeline, before) == [pipeline / "../mt/model.pth"]
    assert changed_weights(pipeline, {}) == []  # decoded before this was written down


def test_outside_of_a_repository_it_is_unknown(tmp_path):
    assert commit(tmp_path) == "unknown"
