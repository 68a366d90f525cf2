"""The next batches are made in a thread while the model works on this one."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

_END = object()


def to_device(item: tuple[list[str], dict[str, Any]], device: torch.device) -> tuple[list[str], dict[str, Any]]:
    """The batch with its tensors on `device`; the copy to a GPU overlaps with computation."""
    utt_ids, batch = item
    if device.type == "cpu":
        return utt_ids, batch
    with torch.cuda.device(device):  # a thread begins on the first GPU, which may be another process's
        return utt_ids, {
            name: value.pin_memory().to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for name, value in batch.items()
        }


def prefetch(items: Iterable[Any], prepare: Callable[[Any], Any], depth: int = 2) -> Iterator[Any]:
    """Yield prepare(item) for every item, up to `depth` of them made ahead; an error in the thread is raised here."""
    ready: queue.Queue = queue.Queue(depth)
    closed = threading.Event()

    def put(value: Any) -> bool:
        while not closed.is_set():
            try:
                ready.put(value, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(prepare(item)):
                    return
            put(_END)
        except BaseException as error:  # raised again in the main thread
            put(error)

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (value := ready.get()) is not _END:
            if isinstance(value, BaseException):
                raise value
            yield value
    finally:
        closed.set()
        thread.join()
