"""What the benches know of the device: its peak, its clock, its memory, and the operations of a step."""

import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

# Dense products in bf16, TFLOP/s, as the makers' data sheets say; the first whose words are all in the device's name.
PEAKS = (
    ("H200", 989.4),
    ("H100 PCIe", 756.0),
    ("H100", 989.4),
    ("B200", 2250.0),
    ("A100", 311.9),
    ("A10G", 70.0),
    ("A10", 125.0),
    ("L40S", 362.1),
    ("L4", 121.0),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
)
WARM_UP = 3  # calls that are not counted: kernels are chosen, memory is found


def name_of(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "a CPU, as a rehearsal"


def peak(device: str) -> float | None:
    """FLOP/s of dense products in bf16; None of a device that the table does not have."""
    name = name_of(device)
    return next((1e12 * value for words, value in PEAKS if all(word in name for word in words.split())), None)


def wait(device: str) -> None:
    """Until the device has done what it was told."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(run: Callable[[], object], device: str, budget: float, least: int = 3) -> float:
    """The median time of a call, of as many as fit the budget in seconds."""
    for _ in range(WARM_UP):
        run()
    taken: list[float] = []
    begun = time.perf_counter()
    while len(taken) < least or time.perf_counter() - begun < budget:
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def memory_of(run: Callable[[], object], device: str) -> float | None:
    """GB at the peak of a call, with all that was there before; None where torch does not count it."""
    if device != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats()
    run()
    wait(device)
    return torch.cuda.max_memory_allocated() / 1e9


def operations_of(run: Callable[[], object]) -> int:
    """Floating point operations of the products of a call, those of its backward pass included."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def shown(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)
