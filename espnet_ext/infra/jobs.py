"""Run one function over many jobs, in local processes or as a Slurm array."""

import concurrent.futures
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from espnet_ext.infra.bars import progress_bar
from espnet_ext.infra.files import FileError

EXECUTORS = ("local", "slurm")
SLURM_CLUSTER = "slurm"  # submitit's name for it; tests put its "local" here
SLURM_TIMEOUT_MIN = 24 * 60  # site settings, such as the partition, come from Slurm's own SBATCH_* variables
SLURM_POLL_SECONDS = 1.0

Running = Generator[tuple[int, Callable[[], Any]], None, None]  # (job number, getter of its result) as jobs finish


class JobError(RuntimeError):
    """A job failed; the message names the job, its arguments, its error and the file with the traceback."""


def run_jobs(
    function: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    *,
    nj: int,
    executor: str = "local",
    log_dir: str | Path,
    description: str,
    gpus_per_job: int = 0,
    sizes: Sequence[float] | None = None,
    unit: str = "job",
) -> list[Any]:
    """Call function(*job) for each job, `nj` at a time; returns the results in the order of the jobs.

    `function` is at the top level of a module and its arguments can be pickled. The first job that fails stops
    the others and raises JobError, as Ctrl-C stops them. With `gpus_per_job` a Slurm job asks for so many, and local
    processes are dealt one GPU each, in turn.
    The progress bar counts jobs, or, by their `sizes`, the `unit` that a job's work is measured in.
    """
    if executor not in EXECUTORS:
        raise ValueError(f"unknown executor '{executor}'; choose from {', '.join(EXECUTORS)}")
    if nj < 1:
        raise ValueError(f"nj must be at least 1, not {nj}")
    log_dir = Path(log_dir)
    log_dir.mkdir(parents=True, exist_ok=True)
    results: list[Any] = [None] * len(jobs)
    if not jobs:
        return results
    running: Running
    if executor == "slurm":
        running = _on_slurm(function, jobs, nj, log_dir, description, gpus_per_job)
    elif min(nj, len(jobs)) == 1:
        running = ((number, partial(function, *job)) for number, job in enumerate(jobs))
    else:
        running = _in_processes(function, jobs, nj, _gpus() if gpus_per_job else [])
    steps = [1] * len(jobs) if sizes is None else [round(size) for size in sizes]
    scale = sizes is not None  # 1.2k rather than 1234
    with closing(running), progress_bar(sum(steps), description, unit, unit_scale=scale) as bar:
        for number, get_result in running:
            with _named(number, jobs, log_dir, description):
                results[number] = get_result()
            bar.update(steps[number])
    return results


@contextmanager
def _named(number: int, jobs: Sequence[tuple[Any, ...]], log_dir: Path, description: str) -> Iterator[None]:
    """Turn an error of a job into a JobError that says which job it was."""
    try:
        yield
    except FileError:  # it names its file, and there may be no room for a log
        raise
    except (Exception, SystemExit) as error:
        log = log_dir / f"failed.{number}.log"
        log.write_text(traceback.format_exc(), encoding="utf-8")
        arguments = ", ".join(repr(value) for value in jobs[number])
        shown = arguments if len(arguments) <= 200 else arguments[:200] + "..."
        raise JobError(
            f"{description}: job {number} of {len(jobs)} ({shown}) failed with {type(error).__name__}: {error}; "
            f"traceback in {log}"
        ) from error


def _gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name."""
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        return os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _in_processes(function: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], nj: int, gpus: list[str]) -> Running:
    """Yield (job number, getter of its result) as jobs finish; leaves no child behind, whatever happens."""
    others = set(multiprocessing.active_children())
    workers = min(nj, len(jobs))
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")
    deal = context.SimpleQueue()  # a worker takes its GPU from it
    for number in range(workers if gpus else 0):
        deal.put(gpus[number % len(gpus)])
    pool = concurrent.futures.ProcessPoolExecutor(
        workers, context, initializer=_start_worker, initargs=(threads, deal if gpus else None)
    )
    try:
        numbers = {pool.submit(function, *job): number for number, job in enumerate(jobs)}
        for future in concurrent.futures.as_completed(numbers):
            yield numbers[future], future.result
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
            child.join()


def _start_worker(threads: int, gpus: Any) -> None:
    """Share cores and GPUs, leave Ctrl-C to the parent, and end when the parent is gone, even by kill -9."""
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus.get()
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _on_slurm(
    function: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    nj: int,
    log_dir: Path,
    description: str,
    gpus_per_job: int,
) -> Running:
    """Yield (job number, getter of its result) as the tasks of one Slurm array finish; cancels the rest on an error."""
    import submitit
    from submitit.helpers import as_completed

    cluster = submitit.AutoExecutor(folder=log_dir, cluster=SLURM_CLUSTER)
    cluster.update_parameters(
        name=description.replace(" ", "_"),
        timeout_min=SLURM_TIMEOUT_MIN,
        cpus_per_task=1,
        gpus_per_node=gpus_per_job,
        slurm_array_parallelism=nj,
    )
    submitted = cluster.map_array(partial(_outcome, _importable(function)), *zip(*jobs, strict=True))
    numbers = {id(job): number for number, job in enumerate(submitted)}
    try:
        for job in as_completed(submitted, poll_frequency=SLURM_POLL_SECONDS):
            yield numbers[id(job)], partial(_result, job)
    finally:
        for job in submitted:
            if not job.done():
                job.cancel()


def _importable(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function by the name of its module, where `python -m` calls that __main__, which another process is not."""
    spec = sys.modules["__main__"].__spec__
    if function.__module__ != "__main__" or spec is None:
        return function
    return getattr(importlib.import_module(spec.name), function.__name__)


def _outcome(function: Callable[..., Any], *job: Any) -> tuple[Any, BaseException | None]:
    """The result or the error: submitit would hand on the error as text that buries its message."""
    try:
        return function(*job), None
    except (Exception, SystemExit) as error:
        error.add_note(traceback.format_exc())
        return None, error


def _result(job: Any) -> Any:
    result, error = job.result()
    if error is not None:
        raise error
    return result
