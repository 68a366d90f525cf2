"""Training steps, ours beside Hugging Face's model with torch's attention kernels, at the same sizes and batches."""

import torch

from tests.bench.gpu.device import memory_of, operations_of, peak, seconds_of, shown
from tests.bench.train_steps import TYPES, make
from tests.support.bench_sizes import Size

VARIANTS = {"ours": "ours conv1d", "Hugging Face": "hf conv1d"}


def table(sizes: dict[str, Size], device: str, budget: float) -> list[str]:
    """Markdown: speeds in both number formats, the share of the peak in bf16, memory."""
    columns = ["size", "model", "type", "steps/s", "utterances/s", "x Hugging Face", "share of peak", "memory, GB"]
    lines = [f"| {' | '.join(columns)} |", "|---" * 3 + "|---:" * 5 + "|"]
    for name, size in sizes.items():
        speeds: dict[tuple[str, str], float] = {}
        rows = []
        for who, variant in VARIANTS.items():
            step = make(variant, size, device, "sdpa")
            for dtype, number in TYPES.items():
                speed = 1 / seconds_of(lambda step=step, number=number: step(number), device, budget)
                speeds[who, dtype] = speed
                share = share_of_peak(lambda step=step, number=number: step(number), speed, dtype, device)
                memory = memory_of(lambda step=step, number=number: step(number), device)
                rows.append((who, dtype, speed, share, memory))
            del step
            if device == "cuda":
                torch.cuda.empty_cache()
        for who, dtype, speed, share, memory in rows:
            ratio = speed / speeds["Hugging Face", dtype]
            figures = f"{speed:.2f} | {speed * size.utterances:.0f} | {ratio:.2f} | {share} | {shown(memory)}"
            lines.append(f"| {name} | {who} | {dtype} | {figures} |")
    return lines


def share_of_peak(step: object, speed: float, dtype: str, device: str) -> str:
    """Of the device's products in bf16, how many a step uses; in fp32 there is another peak."""
    most = peak(device)
    if dtype != "bf16" or most is None:
        return ""
    return f"{100 * operations_of(step) * speed / most:.1f} %"  # type: ignore[arg-type]
