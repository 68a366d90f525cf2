"""A mutual iteration against one ST step and one MT step, on the same batch.

    python -m tests.bench.mutual [--rounds 20] [--recipe mini] [--device cpu]

The recipe's configurations of mutual, e2e and mt; 24 utterances of 250 frames, 12 and 14 tokens, 450 sub-words. Every
round makes one of each; medians over the rounds of CPU time (all threads) and of the clock.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.machine.process import keep_freed_memory
from espnet_ext.training import options as option_table
from espnet_ext.training.config import read_config
from espnet_ext.training.step import iterate, make_steppers

RECIPES = Path(__file__).parents[2] / "egs"
UTTERANCES, FRAMES, SOURCE, TARGET, VOCABULARY, THREADS, WARM_UP = 24, 250, 12, 14, 450, 1, 3
TOKENS = ["<blank>", "<unk>", *(f"t{i}" for i in range(VOCABULARY - 3)), "<sos/eos>"]


def make_batch(device: torch.device) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    batch = {"speech": torch.randn(UTTERANCES, FRAMES, 80), "speech_lengths": torch.full((UTTERANCES,), FRAMES)}
    for name, length in (("src_text", SOURCE), ("text", TARGET)):
        batch[name] = torch.randint(5, VOCABULARY - 1, (UTTERANCES, length))
        batch[f"{name}_lengths"] = torch.full((UTTERANCES,), length)
    return {name: value.to(device) for name, value in batch.items()}


def make_step(config: Path, device: torch.device) -> Callable[[], None]:
    """The iteration of a system, as the training loop makes it."""
    args = argparse.Namespace(**{**default_config(), **read_config(config).values, "output_dir": "none"})
    args.token_list = args.src_token_list = TOKENS
    args.normalize = None
    model = STTask.build_model(args).to(device).train()
    model.iteration = 2  # any at which beta is neither 0 nor 1
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    optimizers = STTask.build_optimizers(args, model)
    steppers = make_steppers(model, optimizers, scaler, option_table.build_options(args), device)
    batch = make_batch(device)
    group: list[tuple[list[str], dict[str, Any]]] = [(["a"], {name: batch[name] for name in own_names(model)})]

    def step() -> None:
        assert iterate(steppers, group, "bench").updated

    return step


def own_names(model: Any) -> list[str]:
    return [key for name in model.data_names for key in (name, f"{name}_lengths")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--recipe", default="mini", help="whose configurations")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    keep_freed_memory()  # as our training does
    device = torch.device(args.device)
    steps = {name: make_step(RECIPES / args.recipe / "conf" / f"{name}.yaml", device) for name in SYSTEMS}
    seconds: dict[str, dict[str, list[float]]] = {name: {"cpu": [], "clock": []} for name in steps}
    for number in range(args.rounds + WARM_UP):
        for name, step in steps.items():
            begun = {"cpu": time.process_time(), "clock": time.perf_counter()}
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            taken = {"cpu": time.process_time() - begun["cpu"], "clock": time.perf_counter() - begun["clock"]}
            if number >= WARM_UP:
                for kind, value in taken.items():
                    seconds[name][kind].append(value)
    median = {n: {kind: statistics.median(values) for kind, values in each.items()} for n, each in seconds.items()}
    print(
        f"python -m tests.bench.mutual --rounds {args.rounds} --recipe {args.recipe}  (load {os.getloadavg()[0]:.1f})\n"
    )
    print("| ms | mutual iteration | ST step | MT step | mutual / (ST + MT) |\n|---|---:|---:|---:|---:|")
    for kind in ("cpu", "clock"):
        own = [1000 * median[name][kind] for name in SYSTEMS]
        print(f"| {kind} | {own[0]:.1f} | {own[1]:.1f} | {own[2]:.1f} | {own[0] / (own[1] + own[2]):.2f} |")


SYSTEMS = ("mutual", "e2e", "mt")

if __name__ == "__main__":
    main()
