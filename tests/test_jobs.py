"""Jobs over shards: order of results, errors that name the job, no child left behind, Slurm through submitit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from espnet_ext.infra import jobs

ROOT = Path(__file__).parent.parent


def square(number: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return number * number


def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError(f"bad number {number}")
    return number


def exit_at_two(number: int) -> int:
    if number == 2:
        raise SystemExit("data/train/wav.scp:3: no such file")
    return number


def process_id(number: int) -> int:
    return os.getpid()


def touch_and_sleep(path: str) -> None:
    Path(path).touch()
    time.sleep(600)


@pytest.mark.parametrize("nj", [1, 2, 8])
def test_results_keep_the_order_of_jobs(tmp_path: Path, nj: int) -> None:
    given = [(3, 0.3), (2, 0.1), (1, 0.0)]
    assert jobs.run_jobs(square, given, nj=nj, log_dir=tmp_path, description="square") == [9, 4, 1]


def test_no_jobs(tmp_path: Path) -> None:
    assert jobs.run_jobs(square, [], nj=4, log_dir=tmp_path, description="square") == []


def test_one_job_runs_in_this_process(tmp_path: Path) -> None:
    assert jobs.run_jobs(process_id, [(0,)], nj=4, log_dir=tmp_path, description="pid") == [os.getpid()]
    apart = jobs.run_jobs(process_id, [(0,), (1,)], nj=2, log_dir=tmp_path, description="pid")
    assert os.getpid() not in apart


def own_gpu(number: int) -> tuple[int, str | None]:
    time.sleep(0.5)  # long enough for each worker to get a job
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def test_local_workers_are_dealt_one_gpu_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    options = {"nj": 3, "log_dir": tmp_path, "description": "gpu"}
    seen = dict(jobs.run_jobs(own_gpu, [(i,) for i in range(6)], gpus_per_job=1, **options))
    assert set(seen.values()) <= {"3", "5"} and list(seen.values()).count("5") <= 1
    assert {gpus for _, gpus in jobs.run_jobs(own_gpu, [(0,), (1,)], **options)} == {"3,5"}


@pytest.mark.parametrize("nj", [1, 2])
@pytest.mark.parametrize(
    ("function", "message"),
    [(fail_at_two, "ValueError: bad number 2"), (exit_at_two, "SystemExit: data/train/wav.scp:3: no such file")],
)
def test_a_failing_job_is_named(tmp_path: Path, nj: int, function, message: str) -> None:
    with pytest.raises(jobs.JobError) as raised:
        jobs.run_jobs(function, [(1,), (2,), (3,)], nj=nj, log_dir=tmp_path, description="check shards")
    assert str(raised.value).startswith(f"check shards: job 1 of 3 (2) failed with {message}")
    assert function.__name__ in (tmp_path / "failed.1.log").read_text()
    assert no_worker_left()


def no_worker_left() -> bool:
    """Only the interpreter's own resource tracker may remain."""
    return all("resource_tracker" in " ".join(p.cmdline()) for p in psutil.Process().children(recursive=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nj": 0}, "nj must be at least 1, not 0"),
        ({"nj": 1, "executor": "pbs"}, "unknown executor 'pbs'; choose from local, slurm"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        jobs.run_jobs(square, [(1,)], log_dir=tmp_path, description="square", **options)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_their_parent(tmp_path: Path, ending: signal.Signals) -> None:
    program = (
        "from pathlib import Path; from espnet_ext.infra.jobs import run_jobs\n"
        "from tests.test_jobs import touch_and_sleep\n"
        "if __name__ == '__main__':\n"
        f"    names = [({str(tmp_path / 'a')!r},), ({str(tmp_path / 'b')!r},)]\n"
        f"    run_jobs(touch_and_sleep, names, nj=2, log_dir={str(tmp_path)!r}, description='sleep')\n"
    )
    (tmp_path / "program.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(tmp_path / "program.py")]
    parent = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) >= 2
    parent.send_signal(ending)
    assert parent.wait(60) != 0
    wait_until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))


def wait_until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened within a minute"
        time.sleep(0.05)


def test_slurm_results_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SLURM_CLUSTER", "local")
    monkeypatch.setattr(jobs, "SLURM_POLL_SECONDS", 0.1)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = {"nj": 2, "executor": "slurm", "log_dir": tmp_path, "description": "square numbers"}
    assert jobs.run_jobs(square, [(3,), (2,)], **options) == [9, 4]
    with pytest.raises(jobs.JobError, match=r"job 1 of 2 \(2\) failed with ValueError: bad number 2;"):
        jobs.run_jobs(fail_at_two, [(1,), (2,)], **options)
    assert "in fail_at_two" in (tmp_path / "failed.1.log").read_text()


def test_a_command_can_submit_its_own_functions(tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(
        "from functools import lru_cache\n"
        "from espnet_ext.infra import jobs\n"
        "@lru_cache\n"
        "def load(): return 7\n"
        "def work(number): return number * load()\n"
        "if __name__ == '__main__':\n"
        "    jobs.SLURM_CLUSTER, jobs.SLURM_POLL_SECONDS = 'local', 0.1\n"
        "    how = {'nj': 2, 'executor': 'slurm', 'log_dir': 'log', 'description': 'work'}\n"
        "    print(jobs.run_jobs(work, [(2,), (3,)], **how))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    command = [sys.executable, "-m", "command"]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "[14, 21]", result.stderr
