"""Files and folders that are whole or absent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from espnet_ext.infra.files import HOST, atomic_folder, atomic_open, read_table, write_table


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


WRITE = "import sys; from espnet_ext.infra.files import *; from pathlib import Path; path = Path(sys.argv[1])\n"
WRITERS = {
    "file": "with atomic_open(path) as stream: stream.write('x' * 100_000)",
    "bytes": "with atomic_open(path, 'wb') as stream: stream.write(b'x' * 100_000)",
    "array": "import numpy\nwith atomic_open(path, 'wb') as stream: numpy.save(stream, numpy.zeros(100_000))",
    "folder": "with atomic_folder(path) as folder: (folder / 'a').write_text('x' * 100_000)",
}


def run(program: str, path: Path, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WRITE + program, str(path)]
    return subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True, **options)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path: Path, writer: str) -> None:
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
    error = run(limit + writer, tmp_path / "out").stderr.splitlines()[-1]
    assert error.startswith(f"espnet_ext.infra.files.FileError: {tmp_path}/out: could not be written: ")
    assert "make room on this disk" in error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_a_folder_that_cannot_be_written_to_is_told_likewise(tmp_path: Path, writer: str) -> None:
    (tmp_path / "file").touch()
    error = run(writer, tmp_path / "file" / "out").stderr.splitlines()[-1]
    assert f"FileError: {tmp_path}/file/out: could not be written: " in error and "give another folder" in error


def test_an_error_that_is_not_about_writing_passes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"), atomic_open(tmp_path / "a") as stream:
        stream.write((tmp_path / "missing").read_text())


def test_the_next_run_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    for writer in ("atomic_open(path / 'a')", "atomic_folder(path / 'b')"):
        run(f"with {writer}: {kill}", tmp_path)
        (left,) = os.listdir(tmp_path)  # the second run has removed what the first left
        assert left.endswith(".tmp")
    alive = tmp_path / f".d.{os.getpid()}@{HOST}.tmp"
    alive.touch()
    (tmp_path / ".e.1@another-host.tmp").touch()
    assert run("write_json(path / 'f', 1)", tmp_path).returncode == 0
    assert sorted(os.listdir(tmp_path)) == sorted([alive.name, ".e.1@another-host.tmp", "f"])


def test_a_process_that_nobody_has_waited_for_counts_as_ended(tmp_path: Path) -> None:
    """Killed workers stay such zombies where the container's first process is slow to reap them."""
    ended = subprocess.Popen(["true"])
    while psutil.Process(ended.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)
    left = tmp_path / f".a.{ended.pid}@{HOST}.tmp"
    left.write_bytes(b"half")
    with atomic_open(tmp_path / "a") as stream:
        stream.write("whole")
    assert not left.exists()
    ended.wait()
