"""Training steps side by side: ours, ESPnet's and Hugging Face's model at the same sizes, in one run.

    python -m tests.bench.train_steps [--rounds 5] [--only ours,espnet] [--types fp32,bf16]

12 + 6 layers of 256, FFN 2048, 4 heads, 4000 sub-words, 24 utterances of 400 frames, 25 tokens, 2 threads; conv2d
subsampling against ESPnet, conv1d against Hugging Face. Every round takes one step of each, so that what else the
machine does slows all alike. Each has a process of its own; memory is the peak less what it had before the first step.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from argparse import Namespace
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch

from espnet_ext.machine import bf16
from tests.support.bench_sizes import MEDIUM, Size, hugging_face

THREADS = 2
UTTERANCES = MEDIUM.utterances
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
VARIANTS = ("ours conv2d", "espnet conv2d", "ours conv1d", "hf conv1d")
PEERS = {"ours conv2d": "espnet conv2d", "ours conv1d": "hf conv1d"}
WARM_UP = 2  # rounds that are not counted
KINDS = {  # of operations, in the profile; the first whose word is in an operation's name
    "matrix products of linear layers": ("linear", "addmm", "aten::mm"),
    "convolutions": ("conv",),
    "matrix products of attention": ("bmm", "attention"),
    "softmax, loss": ("softmax", "nll_loss"),
    "layer normalisation": ("layer_norm",),
    "optimizer, clipping": ("_fused", "_foreach", "norm"),
    "copies and number formats": ("copy", "reorder", "cat", "empty", "zero_", "fill_"),
}
Step = Callable[[torch.dtype], None]
Key = tuple[str, str]  # model and type
Seconds = dict[Key, list[float]]


def batch(size: Size = MEDIUM, device: str = "cpu") -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {
        "speech": torch.randn(size.utterances, size.frames, 80),
        "speech_lengths": torch.full((size.utterances,), size.frames),
        "text": torch.randint(5, size.vocabulary - 1, (size.utterances, size.tokens)),
        "text_lengths": torch.full((size.utterances,), size.tokens),
    }
    return {name: value.to(device) for name, value in made.items()}


def espnet_model(task: type, input_layer: str, size: Size = MEDIUM) -> torch.nn.Module:
    """The end-to-end model of an ESPnet-style task: ESPnet's own, or ours."""
    tokens = ["<blank>", "<unk>", *(f"t{i}" for i in range(size.vocabulary - 3)), "<sos/eos>"]
    args = vars(task.get_parser().parse_args([]))
    args |= {"token_list": tokens, "src_token_list": tokens, "input_size": 80, "normalize": None}
    args |= {"encoder": "transformer", "decoder": "transformer", "decoder_conf": size.layers(size.decoder)}
    args |= {"encoder_conf": {"output_size": size.width, "input_layer": input_layer, **size.layers(size.encoder)}}
    args["model_conf"] = {"lsm_weight": 0.1}
    return task.build_model(Namespace(**args))


def make_step(model: torch.nn.Module, loss_of: Callable[[], torch.Tensor], fused: bool, device: str = "cpu") -> Step:
    optimizer = torch.optim.AdamW(model.train().parameters(), 1e-4, fused=fused)

    def step(dtype: torch.dtype) -> None:
        with torch.autocast(device, torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def make(variant: str, size: Size = MEDIUM, device: str = "cpu", attention: str | None = None) -> Step:
    """The training step of a model; `attention` is Hugging Face's name of a kernel."""
    who, input_layer = variant.split()
    given = batch(size, device)
    if who == "hf":
        hf = hugging_face(size, attention).to(device)
        inputs = {"input_features": given["speech"], "labels": given["text"]}
        inputs["attention_mask"] = torch.ones(given["speech"].shape[:2], dtype=torch.long, device=device)
        return make_step(hf, lambda: hf(**inputs).loss, fused=True, device=device)  # its Trainer's default
    if who == "espnet":
        from espnet2.tasks.st import STTask as Task
    else:
        from espnet_ext.espnet.task import STTask as Task
    model = espnet_model(Task, input_layer, size).to(device)
    if input_layer == "conv1d":  # against Hugging Face's model, which has no dropout inside the feed-forward part
        for name, module in model.named_modules():
            if name.endswith("feed_forward.dropout"):
                module.p = 0.0
    return make_step(model, lambda: model(**{k: v.clone() for k, v in given.items()})[0], who == "ours", device)


def serve(requests: Connection, variant: str) -> None:
    """A process of its own for one model: takes a step for every type that it is sent, and answers the seconds."""
    torch.set_num_threads(THREADS)
    if variant.startswith("ours"):
        from espnet_ext.machine.process import keep_freed_memory

        keep_freed_memory()  # as our training does
    step = make(variant)
    before = resident("VmRSS")
    while (dtype := requests.recv()) is not None:
        start = time.perf_counter()
        step(TYPES[dtype])
        requests.send((time.perf_counter() - start, (resident("VmHWM") - before) / 1e6))


def measure(variants: list[str], types: list[str], rounds: int) -> tuple[Seconds, dict[Key, float]]:
    """Seconds of each step, a round at a time, and the memory that each model's process took for them."""
    spawn = multiprocessing.get_context("spawn")
    keys = [(variant, dtype) for variant in variants for dtype in types]
    pipes = {key: spawn.Pipe() for key in keys}
    workers = [spawn.Process(target=serve, args=(pipes[key][1], key[0])) for key in keys]
    for worker in workers:
        worker.start()
    seconds: Seconds = {key: [] for key in keys}
    memory: dict[Key, float] = {}
    for number in range(rounds + WARM_UP):
        for key in keys:
            pipes[key][0].send(key[1])
            taken, memory[key] = pipes[key][0].recv()
            if number >= WARM_UP:
                seconds[key].append(taken)
    for key, worker in zip(keys, workers, strict=True):
        pipes[key][0].send(None)
        worker.join()
    return seconds, memory


def profile(variant: str, dtype: str, steps: int = 3) -> None:
    """Print the share of each kind of operation in a step, in a process of its own thread settings."""
    torch.set_num_threads(THREADS)
    step = make(variant)
    for _ in range(WARM_UP):
        step(TYPES[dtype])
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step(TYPES[dtype])
    shares: Counter[str] = Counter()
    for event in found.key_averages():
        kind = next((k for k, words in KINDS.items() if any(w in event.key for w in words)), "element by element")
        shares[kind] += event.self_cpu_time_total
    parts = ", ".join(f"{kind} {100 * time_ / shares.total():.0f} %" for kind, time_ in shares.most_common())
    print(f"\nWhere a step of {variant} goes in {dtype}: {parts}.")


def resident(field: str) -> float:
    """A line of /proc/self/status, in kB."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(float(line.split()[1]) for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="ours,espnet,hf", help="whose models, with commas")
    parser.add_argument("--types", default="fp32,bf16" if bf16.is_native() else "fp32")
    args = parser.parse_args()
    types = args.types.split(",")
    variants = [variant for variant in VARIANTS if variant.split()[0] in args.only.split(",")]
    seconds, memory = measure(variants, types, args.rounds)
    print(f"python -m tests.bench.train_steps --rounds {args.rounds}  (load {os.getloadavg()[0]:.1f})\n")
    print("| model | type | utterances/s | faster than its peer by | than its peer in fp32 by | memory GB |")
    print("|---|---|---:|---:|---:|---:|")
    for dtype in types:
        for variant in variants:
            speed = UTTERANCES / statistics.median(seconds[variant, dtype])
            ratios = [
                median_ratio(seconds, (variant, dtype), (PEERS.get(variant, ""), peer)) for peer in (dtype, "fp32")
            ]
            print(f"| {variant} | {dtype} | {speed:.1f} | {' | '.join(ratios)} | {memory[variant, dtype]:.2f} |")
    for variant in variants:
        if variant.startswith("ours"):
            for dtype in types:
                profile(variant, dtype)


def median_ratio(seconds: Seconds, ours: Key, peer: Key) -> str:
    """The median over rounds of the peer's time by ours."""
    if peer not in seconds:
        return ""
    return f"{statistics.median(b / a for a, b in zip(seconds[ours], seconds[peer], strict=True)):.2f}"


if __name__ == "__main__":
    main()
