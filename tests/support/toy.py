"""A small model and data for tests of the training loop: seconds of training, and every kind of randomness."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from espnet2.train.abs_espnet_model import AbsESPnetModel

from espnet_ext.training.options import TrainOptions
from espnet_ext.training.schedules import WarmupLinearLR
from espnet_ext.training.trainer import Trainer

WIDTH, TOKENS = 6, 5


class ToyModel(AbsESPnetModel):
    """A classifier with dropout, batch statistics, and noise from all three generators."""

    def __init__(self, noise: bool = True) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(torch.nn.Linear(WIDTH, 16), torch.nn.Tanh(), torch.nn.Linear(16, 16))
        self.decoder = torch.nn.Linear(16, TOKENS)
        self.noise = noise
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    def forward(self, speech: torch.Tensor, text: torch.Tensor, **_: Any) -> Any:
        x = self.encoder(speech)
        if self.training and self.noise:
            self.seen += len(text)
            x = torch.nn.functional.dropout(x, 0.2) * (1 + 0.1 * random.random() + 0.1 * np.random.rand())
        logits = self.decoder(x)
        loss = torch.nn.functional.cross_entropy(logits, text)
        acc = (logits.argmax(-1) == text).float().mean()
        return loss, {"loss": loss.detach(), "acc": acc}, torch.tensor(float(len(text)))

    def collect_feats(self, **batch: torch.Tensor) -> dict[str, torch.Tensor]:
        return {}


class ToyFactory:
    """Batches of different sizes, in another order each epoch; a rank takes its share of each."""

    def __init__(self, utterances: int = 90, size: int = 12, seed: int = 1, rank: int = 0, world: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(utterances, WIDTH, generator=generator)
        self.y = (self.x[:, :TOKENS] + 0.3 * torch.randn(utterances, TOKENS, generator=generator)).argmax(-1)
        self.size, self.rank, self.world = size, rank, world
        self.dropped = 0

    def batches(self, epoch: int) -> list[torch.Tensor]:
        order = torch.randperm(len(self.x), generator=torch.Generator().manual_seed(epoch))
        return list(order.split(self.size))

    def num_batches(self, epoch: int = 1) -> int:
        return len(self.batches(epoch))

    def build_iter(self, epoch: int, start_batch: int = 0) -> Iterator[Any]:
        for batch in self.batches(epoch)[start_batch:]:
            own = batch[self.rank :: self.world]
            yield [f"utt{int(i)}" for i in own], {"speech": self.x[own], "text": self.y[own]}


def toy_options(folder: Path, **changed: Any) -> TrainOptions:
    values: dict[str, Any] = {
        "output_dir": str(folder),
        "seed": 0,
        "max_epoch": 3,
        "patience": None,
        "early_stopping_criterion": ["valid", "loss", "min"],
        "best_model_criterion": [["valid", "acc", "max"]],
        "keep_nbest_models": [2],
        "val_scheduler_criterion": ["valid", "loss"],
        "accum_grad": 1,
        "grad_clip": 1.0,
        "grad_clip_type": 2.0,
        "batch_bins": 1000,
        "unused_parameters": False,
        "use_tensorboard": False,
        "amp": "none",
        "checkpoint_minutes": 10.0,
        "greedy_every": 0,
        "greedy_utterances": 8,
        "init": {},
        "subwords": "separate",
        "src_lang": "en",
        "tgt_lang": "de",
    }
    return TrainOptions(**{**values, **changed})


def train_toy(folder: Path, model: Any = None, train: Any = None, valid: Any = None, **changed: Any) -> Any:
    """Train as AbsTask would; returns the model."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    model = model or ToyModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    scheduler = WarmupLinearLR(optimizer, warmup_steps=5)
    options = toy_options(folder, **changed)
    valid = valid or ToyFactory(30, seed=2)
    Trainer.run(model, [optimizer], [scheduler], train or ToyFactory(), valid, None, options, None)
    return model
