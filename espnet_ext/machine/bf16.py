"""bf16: whether the hardware multiplies in it, and what it costs where it does not."""

import time

import torch

X86 = ("avx512_bf16", "amx_bf16")  # what x86 CPUs call their bf16 products; oneDNN alone also counts emulated ones
WARM_UP, ROWS, WIDTH = 2, 128, 256  # of the product that is timed: tens of milliseconds where bf16 is slowest


def is_native(device: str = "cpu") -> bool:
    """Whether a matrix product in bf16 is one of the hardware's own."""
    if device != "cpu":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    features = torch.cpu.get_capabilities()
    if features["architecture"] == "x86_64" and not any(features[name] for name in X86):
        return False
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def choose(wish: str, device: str, otherwise: str) -> str:
    """What `auto` is on this machine: bf16, or `otherwise` where that is emulated; any other wish is granted."""
    if wish != "auto":
        return wish
    return "bf16" if is_native(device) else otherwise


def remark(option: str, wish: str, device: str, otherwise: str) -> str | None:
    """What to tell somebody who wished so: what `auto` chose, or that bf16 is emulated and how slow that is."""
    if wish == "auto":
        return f"{option} auto: {choose(wish, device, otherwise)} on this machine"
    if wish == "bf16" and not is_native(device):
        ratio = seconds(torch.bfloat16, device) / seconds(torch.float32, device)
        return (
            f"{option} bf16: emulated on this machine, a matrix product takes {ratio:.1f} times as long as in fp32; "
            f"auto or {otherwise} is faster"
        )
    return None


def seconds(dtype: torch.dtype, device: str) -> float:
    """The time of a small matrix product."""
    rows, weight = (torch.ones(size, WIDTH, dtype=dtype, device=device) for size in (ROWS, WIDTH))
    taken = []
    for _ in range(WARM_UP + 1):
        start = time.perf_counter()
        float((rows @ weight)[0, 0])  # waits for a GPU
        taken.append(time.perf_counter() - start)
    return min(taken)
