"""A small mutual system, batches of noise, and its training run; also two processes of it under gloo.

python -m tests.support.toy_mutual FOLDER trains two processes for a few iterations and saves what each then has.
"""

import random
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from espnet_ext.espnet.task import STTask
from espnet_ext.training.step import iterate, make_steppers
from espnet_ext.training.trainer import Trainer
from tests.support.toy import toy_options
from tests.test_models import CONF, DECODER, batch_of, config_of

NOISY = {"dropout_rate": 0.2, "positional_dropout_rate": 0.2}
OPTIM = {"optim": "adamw", "optim_conf": {"lr": 0.01}, "scheduler": "warmuplinearlr"}
SCHEDULES = {"scheduler_conf": {"warmup_steps": 5}, "mt_peer": {"optim_conf": {"lr": 0.002}}}


def make_args(noisy: bool = False, name: str = "mutual", **more: Any) -> Namespace:
    noise = NOISY if noisy else {}
    layers = {"encoder_conf": {**CONF, "input_layer": "conv1d", **noise}, "decoder_conf": {**DECODER, **noise}}
    masks = {"apply_time_warp": False, "time_mask_width_range": [0, 5]}
    specaug = {"specaug": "specaug", "specaug_conf": masks} if noisy else {"specaug": None}
    return Namespace(**config_of(name, **{**layers, **specaug, **OPTIM, **SCHEDULES, **more}))


def make_model(args: Namespace) -> Any:
    torch.manual_seed(2)
    return STTask.build_model(args).train()


class Batches:
    """Batches of three utterances, in another order each epoch; a rank takes its share of each."""

    dropped = 0

    def __init__(self, number: int = 6, rank: int = 0, world: int = 1) -> None:
        self.items = []
        for i in range(number):
            batch = batch_of((5, 3, 2 + i % 3), (70, 64, 33 + 5 * i))
            batch["speech"] = batch["speech"] * (1 + 0.1 * i)
            ids = [f"utt{i}{j}" for j in range(3)]
            self.items.append((ids[rank::world], {key: value[rank::world] for key, value in batch.items()}))

    def batches(self, epoch: int) -> list[list[str]]:
        return [ids for ids, _ in self.items]

    def num_batches(self, epoch: int = 1) -> int:
        return len(self.items)

    def build_iter(self, epoch: int, start_batch: int = 0) -> Iterator[Any]:
        order = torch.randperm(len(self.items), generator=torch.Generator().manual_seed(epoch)).tolist()
        for i in order[start_batch:]:
            yield self.items[i]


def train_mutual(folder: Path, **changed: Any) -> Any:
    """Train as AbsTask would; returns the model."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    args = make_args(noisy=True, model_conf={"beta_cycle": 8})
    model = make_model(args)
    optimizers = STTask.build_optimizers(args, model)
    from espnet_ext.training.schedules import WarmupLinearLR

    schedulers = [WarmupLinearLR(optimizer, **args.scheduler_conf) for optimizer in optimizers]
    options = toy_options(folder, **changed)
    Trainer.run(model, optimizers, schedulers, Batches(), Batches(2), None, options, None)
    return model


def take_steps(rank: int, world: int) -> dict[str, torch.Tensor]:
    """Three iterations of this process's share; returns the parameters."""
    args = make_args(model_conf={"beta_cycle": 4, "joint_embeddings": True})
    model = make_model(args)
    optimizers = STTask.build_optimizers(args, model)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    steppers = make_steppers(model, optimizers, scaler, toy_options(Path()), torch.device("cpu"))
    for number, item in enumerate(Batches(3, rank, world).items, 1):
        model.iteration = number
        assert iterate(steppers, [item], "").updated
    return model.state_dict()


def run_rank(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(take_steps(rank, 2), folder / f"rank{rank}.pth")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main(folder: Path) -> None:
    import multiprocessing

    fork = multiprocessing.get_context("fork")  # imports are paid once
    workers = [fork.Process(target=run_rank, args=(rank, folder)) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    sys.exit(max(abs(worker.exitcode or 0) for worker in workers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
