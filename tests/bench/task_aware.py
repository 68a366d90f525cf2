"""A step of meta-learning against one of joint learning, on the same batches: with and without a task network.

    python -m tests.bench.task_aware [--rounds 20] [--device cpu]

mini's configurations tasks_*; 16 examples a batch, 400 frames, 12 and 14 tokens, 750 sub-words; a batch of each task in
turn. Medians over the rounds of the time that the three steps take, of the CPU and of the clock.
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

CONF = Path(__file__).parents[2] / "egs" / "mini" / "conf"
EXAMPLES, FRAMES, SOURCE, TARGET, VOCABULARY, WARM_UP = 16, 400, 12, 14, 750, 3
TOKENS = ["<blank>", "<unk>", *(f"t{i}" for i in range(VOCABULARY - 3)), "<sos/eos>"]
ROWS: dict[str, tuple[str, list[str]]] = {
    "joint": ("tasks_joint", []),
    "joint, explicit": ("tasks_explicit", []),
    "joint, implicit": ("tasks_implicit", []),
    "maml": ("tasks_maml", []),
    "maml, explicit": ("tasks_maml_explicit", []),
    "maml, implicit": ("tasks_maml_implicit", []),
    "maml, second order": ("tasks_maml", ["model_conf.order=2"]),
}


def make_batches(model: Any, device: torch.device) -> list[dict[str, torch.Tensor]]:
    """One for each task."""
    torch.manual_seed(0)
    whole = {"speech": torch.randn(EXAMPLES, FRAMES, 80), "speech_lengths": torch.full((EXAMPLES,), FRAMES)}
    for name, length in (("src_text", SOURCE), ("text", TARGET)):
        whole[name] = torch.randint(5, VOCABULARY - 1, (EXAMPLES, length))
        whole[f"{name}_lengths"] = torch.full((EXAMPLES,), length)
    batches = []
    for number, task in enumerate(model.tasks.values()):
        batch = {key: whole[key] for name in task.names for key in (name, f"{name}_lengths")}
        batches.append({**batch, "task": torch.full((EXAMPLES,), number)})
    return [{name: value.to(device) for name, value in batch.items()} for batch in batches]


def make_steps(system: str, changes: list[str], device: torch.device) -> Callable[[], None]:
    """A step of each task, as the training loop makes it."""
    values = {**read_config(CONF / f"{system}.yaml", changes).values, "normalize": None, "output_dir": "none"}
    args = argparse.Namespace(**{**default_config(), **values})
    args.token_list = args.src_token_list = TOKENS
    model = STTask.build_model(args).to(device).train()
    scaler = torch.amp.GradScaler(device.type, enabled=False)
    optimizers = STTask.build_optimizers(args, model)
    steppers = make_steppers(model, optimizers, scaler, option_table.build_options(args), device)
    batches = make_batches(model, device)

    def steps() -> None:
        for batch in batches:
            assert iterate(steppers, [(["a"], batch)], "bench").updated

    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as our training does
    device = torch.device(args.device)
    rows = {name: make_steps(*row, device) for name, row in ROWS.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for number in range(args.rounds + WARM_UP):
        for name, steps in rows.items():
            cpu, clock = time.process_time(), time.perf_counter()
            steps()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if number >= WARM_UP:
                seconds[name].append((time.process_time() - cpu, time.perf_counter() - clock))
    median = {name: [1000 * statistics.median(each) for each in zip(*of, strict=True)] for name, of in seconds.items()}
    print(f"python -m tests.bench.task_aware --rounds {args.rounds}  (load {os.getloadavg()[0]:.1f})\n")
    print("| a step of each of ST, ASR and MT | CPU, ms | clock, ms | CPU, x joint |\n|---|---:|---:|---:|")
    for name, (cpu, clock) in median.items():
        print(f"| {name} | {cpu:.0f} | {clock:.0f} | {cpu / median['joint'][0]:.2f} |")


if __name__ == "__main__":
    main()
