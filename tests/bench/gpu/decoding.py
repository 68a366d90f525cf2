"""Beam search, ours beside Hugging Face's, at the same sizes; 20 tokens for 3 s, beam 5."""

from tests.bench.decode import features, make_model, ours
from tests.bench.gpu.device import memory_of, seconds_of, shown
from tests.support.bench_sizes import Size
from tests.support.decode_peers import FRAMES, hugging_face

DTYPES = ("fp32", "bf16")


def table(sizes: dict[str, Size], device: str, budget: float, utterances: int) -> list[str]:
    """Markdown: utterances a second of one batch, and memory."""
    speech = features([FRAMES] * utterances)
    lines = ["| size | system | type | utterances/s | x Hugging Face | memory, GB |", "|---" * 3 + "|---:" * 3 + "|"]
    for name, size in sizes.items():
        for dtype in DTYPES:
            peer = hugging_face(dtype, speech, utterances, size, device, "sdpa")
            run = ours(make_model("conv1d", dtype, size=size, device=device), speech, utterances, device)
            speeds = {}
            for who, timed in (("ours", run), ("Hugging Face", peer)):
                speeds[who] = utterances / seconds_of(timed, device, budget), memory_of(timed, device)
            for who, (speed, memory) in speeds.items():
                ratio = speed / speeds["Hugging Face"][0]
                lines.append(f"| {name} | {who} | {dtype} | {speed:.1f} | {ratio:.2f} | {shown(memory)} |")
    return lines
