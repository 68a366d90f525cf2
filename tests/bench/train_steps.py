"""Training steps side by side: ours, ESPnet's and Hugging Face's model at the same sizes, in one run.

    python -m tests.bench.train_steps [--rounds 5] [--only ours,espnet] [--types fp32,bf16]

12 + 6 layers of 256, FFN 2048, 4 heads, 4000 sub-words, 24 utterances of 400 frames, 25 tokens, 2 threads; conv2d
subsampling against ESPnet, conv1d against Hugging Face. Every round takes one step of each, so that what else the
machine does slows all alike. Peak memory is that of a process of its own for each.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable

import torch

FRAMES, TOKENS, UTTERANCES, VOCABULARY, WIDTH, THREADS = 400, 25, 24, 4000, 256, 2
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
VARIANTS = ("ours conv2d", "espnet conv2d", "ours conv1d", "hf conv1d")
PEERS = {"ours conv2d": "espnet conv2d", "ours conv1d": "hf conv1d"}
Step = Callable[[torch.dtype], None]


def layers(blocks: int) -> dict[str, int]:
    return {"attention_heads": 4, "linear_units": 2048, "num_blocks": blocks}


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "speech": torch.randn(UTTERANCES, FRAMES, 80),
        "speech_lengths": torch.full((UTTERANCES,), FRAMES),
        "text": torch.randint(5, VOCABULARY - 1, (UTTERANCES, TOKENS)),
        "text_lengths": torch.full((UTTERANCES,), TOKENS),
    }


def espnet_model(task: type, input_layer: str) -> torch.nn.Module:
    """The end-to-end model of an ESPnet-style task: ESPnet's own, or ours."""
    tokens = ["<blank>", "<unk>", *(f"t{i}" for i in range(VOCABULARY - 3)), "<sos/eos>"]
    args = vars(task.get_parser().parse_args([]))
    args |= {"token_list": tokens, "src_token_list": tokens, "input_size": 80, "normalize": None}
    args |= {"encoder": "transformer", "decoder": "transformer", "decoder_conf": layers(6)}
    args |= {"encoder_conf": {"output_size": WIDTH, "input_layer": input_layer, **layers(12)}}
    args["model_conf"] = {"lsm_weight": 0.1}
    return task.build_model(Namespace(**args))


def make_step(model: torch.nn.Module, loss_of: Callable[[], torch.Tensor], fused: bool) -> Step:
    optimizer = torch.optim.AdamW(model.train().parameters(), 1e-4, fused=fused)

    def step(dtype: torch.dtype) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = loss_of()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def make(variant: str) -> Step:
    """The training step of a model."""
    who, input_layer = variant.split()
    given = batch()
    if who == "hf":
        from transformers import Speech2TextConfig, Speech2TextForConditionalGeneration

        sizes = {"vocab_size": VOCABULARY, "d_model": WIDTH, "encoder_layers": 12, "decoder_layers": 6}
        sizes |= {
            f"{part}_{size}": n
            for part in ("encoder", "decoder")
            for size, n in (("ffn_dim", 2048), ("attention_heads", 4))
        }
        config = Speech2TextConfig(**sizes, conv_channels=512, input_feat_per_channel=80, max_source_positions=6000)
        hf = Speech2TextForConditionalGeneration(config)
        inputs = {"input_features": given["speech"], "labels": given["text"]}
        inputs["attention_mask"] = torch.ones(UTTERANCES, FRAMES, dtype=torch.long)
        return make_step(hf, lambda: hf(**inputs).loss, fused=True)  # its Trainer's default
    if who == "espnet":
        from espnet2.tasks.st import STTask as Task
    else:
        from espnet_ext.task import STTask as Task
    model = espnet_model(Task, input_layer)
    return make_step(model, lambda: model(**{k: v.clone() for k, v in given.items()})[0], fused=who == "ours")


def measure(variants: list[str], types: list[str], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each step, a round at a time."""
    steps = {variant: make(variant) for variant in variants}
    seconds: dict[tuple[str, str], list[float]] = {(v, t): [] for v in variants for t in types}
    for number in range(rounds + 1):
        for (variant, dtype), taken in seconds.items():
            start = time.perf_counter()
            steps[variant](TYPES[dtype])
            if number:  # the first round warms up
                taken.append(time.perf_counter() - start)
    return seconds


def peak_memory(variant: str, dtype: str) -> float:
    """GB that a process of its own needs for two steps, less what it has before the first."""
    command = [sys.executable, "-m", "tests.bench.train_steps", "--memory", variant, "--types", dtype]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_memory(variant: str, dtype: str) -> None:
    step = make(variant)
    before = resident("VmRSS")
    for _ in range(2):
        step(TYPES[dtype])
    print((resident("VmHWM") - before) / 1e6)


def resident(field: str) -> float:
    """A line of /proc/self/status, in kB."""
    with open("/proc/self/status", encoding="utf-8") as lines:
        return next(float(line.split()[1]) for line in lines if line.startswith(field))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="ours,espnet,hf", help="whose models, with commas")
    parser.add_argument("--types", default="fp32,bf16")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    parser.add_argument("--no_memory", action="store_true", help="do not measure memory")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    if args.memory:
        print_memory(args.memory, args.types)
        return
    types = args.types.split(",")
    variants = [variant for variant in VARIANTS if variant.split()[0] in args.only.split(",")]
    seconds = measure(variants, types, args.rounds)
    speed = {key: UTTERANCES / statistics.median(taken) for key, taken in seconds.items()}
    print(f"python -m tests.bench.train_steps --rounds {args.rounds}  (load {os.getloadavg()[0]:.1f})\n")
    print("| model | type | utterances/s | faster than its peer by | peak memory GB |\n|---|---|---:|---:|---:|")
    for dtype in types:
        for variant in variants:
            peer = PEERS.get(variant)
            ratio = "" if (peer, dtype) not in speed else f"{median_ratio(seconds, variant, peer, dtype):.2f}"
            memory = "" if args.no_memory else f"{peak_memory(variant, dtype):.2f}"
            print(f"| {variant} | {dtype} | {speed[variant, dtype]:.1f} | {ratio} | {memory} |", flush=True)


def median_ratio(seconds: dict[tuple[str, str], list[float]], ours: str, peer: str | None, dtype: str) -> float:
    """The median over rounds of peer's time by ours."""
    return statistics.median(b / a for a, b in zip(seconds[ours, dtype], seconds[str(peer), dtype], strict=True))


if __name__ == "__main__":
    main()
