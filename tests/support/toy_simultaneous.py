"""A small learned rule of simultaneous translation, and its training run."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from espnet_ext.espnet.task import STTask
from espnet_ext.training.trainer import Trainer
from tests.support.toy import toy_options
from tests.support.toy_mutual import Batches
from tests.test_models import config_of, save


def train_tn(folder: Path, **changed: Any) -> Any:
    """Train as AbsTask would; returns the model."""
    torch.manual_seed(0)
    translator = folder.parent / f"mt_of_{folder.name}"
    if not translator.exists():
        save(translator, config_of("mt"))
    conf = {"rule": "tn", "hidden": 8, "d": 0, "alpha": 1.0, "trajectories": 2}
    args = Namespace(**config_of("simultaneous", model_conf=conf, mt=f"../{translator.name}", output_dir=str(folder)))
    torch.manual_seed(0)
    model = STTask.build_model(args).train()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    options = toy_options(folder, best_model_criterion=[["valid", "reward", "max"]], **changed)
    Trainer.run(model, [optimizer], [None], Batches(), Batches(2), None, options, None)
    return model
