"""Stamps that know what an output was made from, whether it is whole, and who makes it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_ext.infra import stamps
from espnet_ext.infra.files import FileError
from espnet_ext.infra.stamps import Stamp

ROOT = Path(__file__).parent.parent


def make(output: Path, inputs: list[Path], **settings: object) -> None:
    with Stamp(output, inputs, **settings).making():
        output.write_text("made")


@pytest.mark.parametrize("large", [False, True])
def test_a_stamp_notices_every_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    if large:
        monkeypatch.setattr(stamps, "HASHED_WHOLE", 0)
    source, other, output = tmp_path / "in", tmp_path / "other", tmp_path / "out"
    source.write_text("1")
    other.write_text("1")
    assert not Stamp(output, [source], size=1).is_current()
    make(output, [source], size=1)
    output.unlink()
    assert not Stamp(output, [source], size=1).is_current(), "no output, whatever the stamp says"
    make(output, [source], size=1)
    assert Stamp(output, [source], size=1).is_current()
    assert not Stamp(output, [source], size=2).is_current()
    assert not Stamp(output, [source, other], size=1).is_current()
    assert not Stamp(output, [other], size=1).is_current()
    source.write_text("23")
    assert not Stamp(output, [source], size=1).is_current()


def test_a_skip_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    make(output, [])
    assert Stamp(output, []).is_current()
    assert capsys.readouterr().err == f"{output}: inputs have not changed, skipped\n"


def test_a_killed_run_leaves_no_stamp_of_the_run_before(tmp_path: Path) -> None:
    """Run A, then B that is killed after it wrote its output, then A again: what lies there is B's."""
    output = tmp_path / "out"
    make(output, [], system="A")
    program = (
        "import os, signal, sys; from pathlib import Path; from espnet_ext.infra.stamps import Stamp\n"
        "output = Path(sys.argv[1])\n"
        "with Stamp(output, [], system='B').making():\n"
        "    output.write_text('made'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, output], cwd=ROOT).returncode == -signal.SIGKILL
    assert not Stamp(output, [], system="A").is_current()
    assert not Stamp(output, [], system="B").is_current()
    make(output, [], system="A")  # nobody holds it
    assert Stamp(output, [], system="A").is_current()


def test_an_error_leaves_no_stamp(tmp_path: Path) -> None:
    output = tmp_path / "out"
    make(output, [])
    with pytest.raises(ZeroDivisionError), Stamp(output, []).making():
        raise ZeroDivisionError
    assert not Stamp(output, []).is_current()


@pytest.mark.parametrize("damage", ["delete", "cut", "flip"])
@pytest.mark.parametrize("name", ["out/a", "out/sub/b", "c.txt"])
def test_a_damaged_part_is_made_again(tmp_path: Path, capsys, damage: str, name: str) -> None:
    output, part = tmp_path / "out", tmp_path / name
    stamp = Stamp(output, [], parts=["out/*", "out/*/*", "*.txt"])
    with stamp.making():
        part.parent.mkdir(parents=True, exist_ok=True)
        output.mkdir(exist_ok=True)
        part.write_text("whole\n")
    assert Stamp(output, [], parts=stamp.parts).is_current()
    if damage == "delete":
        part.unlink()
    else:
        part.write_text("whol" if damage == "cut" else "whale\n")
    assert not Stamp(output, [], parts=stamp.parts).is_current()
    assert f"{part}: changed since it was made, so it is made again" in capsys.readouterr().err


def test_hidden_files_of_a_folder_are_no_parts(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    with Stamp(output, []).making():
        (output / ".log").touch()
        (output / "a").touch()
    (output / ".log").write_text("more")
    (output / "b").touch()
    assert Stamp(output, []).is_current()


def test_a_stamp_without_parts_of_an_earlier_version_counts(tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.touch()
    stamp = Stamp(output, [])
    stamp.path.write_text(stamp.key)
    assert stamp.is_current()


def test_a_second_run_is_told_who_holds_the_output(tmp_path: Path) -> None:
    output = tmp_path / "out"
    program = (
        "import sys; from espnet_ext.infra.stamps import Stamp\n"
        "with Stamp(sys.argv[1], []).making(): print('held', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, output]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        message = rf"out: is being made by process {holder.pid} on .* since .*; wait until it ends, or end it"
        with pytest.raises(FileError, match=message), Stamp(output, []).making():
            pass
        forked = os.fork()
        if not forked:
            os._exit(0)
        os.waitpid(forked, 0)
        holder.kill()
    make(output, [])
    assert Stamp(output, []).is_current()
