"""Files and folders that are whole or absent; stamps that know what an output was made from."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_ext.infra import files
from espnet_ext.infra.files import Stamp, atomic_folder, atomic_open, read_table, write_table


def test_a_file_appears_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_open(path) as stream:
        stream.write("one\n")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), atomic_open(path) as stream:
        stream.write("two\n")
        raise ZeroDivisionError
    assert path.read_text() == "one\n"
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_folder_appears_only_when_whole(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "a") as folder:
            (folder / text).touch()
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "a") as folder:
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["a"]
    assert os.listdir(tmp_path / "a") == ["two"]


def test_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    program = (
        "import os, signal; from espnet_ext.infra.files import atomic_open\n"
        f"with atomic_open({str(path)!r}) as stream:\n"
        "    stream.write('new'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).parent.parent)
    assert subprocess.run([sys.executable, "-c", program], cwd=root).returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_tables_are_sorted_by_bytes_and_keep_what_lines_hold(tmp_path: Path) -> None:
    rows = [("b", "x\u2028y"), ("B", "two words"), ("ä", ""), ("a", "\x85")]
    assert write_table(tmp_path / "t", rows) == 4
    assert list(read_table(tmp_path / "t")) == [rows[1], rows[3], rows[0], rows[2]]


@pytest.mark.parametrize("large", [False, True])
def test_a_stamp_notices_every_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    if large:
        monkeypatch.setattr(files, "HASHED_WHOLE", 0)
    source, other, output = tmp_path / "in", tmp_path / "other", tmp_path / "out"
    source.write_text("1")
    other.write_text("1")
    assert not Stamp(output, [source], size=1).is_current()
    Stamp(output, [source], size=1).write()
    assert not Stamp(output, [source], size=1).is_current(), "no output, whatever the stamp says"
    output.touch()
    assert Stamp(output, [source], size=1).is_current()
    assert not Stamp(output, [source], size=2).is_current()
    assert not Stamp(output, [source, other], size=1).is_current()
    assert not Stamp(output, [other], size=1).is_current()
    source.write_text("23")
    assert not Stamp(output, [source], size=1).is_current()


def test_a_skip_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    output.touch()
    Stamp(output, []).write()
    assert Stamp(output, []).is_current()
    assert capsys.readouterr().err == f"{output}: inputs have not changed, skipped\n"
