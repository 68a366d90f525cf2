"""What the user sees during an epoch: one live line on a terminal, a line now and then in a log file."""

import resource
import sys
import time
from collections.abc import Collection

import torch

LIVE_SECONDS, LOG_SECONDS = 0.5, 30.0
SLOW_BATCHES = 10  # at the start, which say nothing about the rest


def say(message: str) -> None:
    """Print a line to the log, on the first process only."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank()):
        clear = "\r\033[K" if sys.stderr.isatty() else ""  # the live line
        print(f"{clear}{message}", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A duration as h:mm:ss."""
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def peak_memory(device: torch.device) -> float:
    """The most memory used so far in GB: the GPU's, or else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def of_task(task: str, means: dict[str, float]) -> str:
    """Loss and accuracy of a task, as `st 31.2 0.81`."""
    acc = f" {means[f'acc_{task}']:.3f}" if f"acc_{task}" in means else ""
    return f"{task} {means[f'loss_{task}']:.3f}{acc}"


class Progress:
    """What has been done of an epoch or of a validation, its speed and the time left."""

    def __init__(
        self,
        title: str,
        batch: int,
        batches: int,
        epochs_after: int,
        device: torch.device,
        tasks: Collection[str] = (),
    ) -> None:
        self.tasks = tasks
        self.title, self.first, self.batches, self.epochs_after = title, batch, batches, epochs_after
        self.device = device
        self.live = sys.stderr.isatty()
        self.begun = time.monotonic()
        self.shown = self.begun
        self.settled: tuple[float, int] | None = None  # when the first batches, which are slow, were over
        self.utterances = 0

    def is_due(self) -> bool:
        return time.monotonic() - self.shown > (LIVE_SECONDS if self.live else LOG_SECONDS)

    def show(self, batch: int, means: dict[str, float]) -> None:
        """Print the line; `means` are the epoch's so far."""
        self.shown = time.monotonic()
        elapsed = self.shown - self.begun
        values = [f"{name} {means[name]:.3f}" for name in ("loss", "acc") if name in means]
        if tasks := [of_task(task, means) for task in self.tasks if f"loss_{task}" in means]:
            values[-1] += f" ({', '.join(tasks)})"
        speed = f"{self.utterances / elapsed:.1f} utterances/s"
        facts = [f"batch {batch}/{self.batches}", *values, speed, f"{peak_memory(self.device):.1f} GB"]
        line = f"{self.title}: {', '.join([*facts, *self.time_left(batch)])}"
        if self.live:
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
        else:
            say(line)

    def time_left(self, batch: int) -> list[str]:
        """Judged by the batches after the first ones, in which a machine makes its kernels."""
        if self.settled is None and batch - self.first >= SLOW_BATCHES:
            self.settled = self.shown, batch
        since, done = self.settled or (self.begun, self.first)
        if self.settled is None or batch == done:
            return ["time left not known yet"]
        per_batch = (self.shown - since) / (batch - done)
        left = per_batch * (self.batches - batch)
        if not self.epochs_after:
            return [f"left {clock(left)}"]
        later = left + per_batch * self.batches * self.epochs_after
        return [f"left {clock(left)} of the epoch", f"{clock(later)} of the training"]

    def speed(self) -> float:
        """Returns the utterances per second; the next line that is said takes the live line's place."""
        return self.utterances / max(time.monotonic() - self.begun, 1e-9)
