"""A small training of a system with tasks: the model of tests/support/task_models on the dumps of tiny_train."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from espnet_ext import models
from espnet_ext.data import subwords
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.training.options import build_options
from espnet_ext.training.schedules import WarmupLinearLR
from espnet_ext.training.trainer import Trainer
from tests.support.tiny_train import DE, EN, make_dumps, write_config

NAME = "toy_tasks"
TASKS: dict[str, dict[str, Any]] = {
    "asr": {"set": "train", "reads": "speech", "src": "en", "tgt": "en"},
    "st": {"set": "train", "reads": "speech", "src": "en", "tgt": "de"},
    "mt": {"set": ["train", "more"], "reads": "text", "src": "en", "tgt": "de"},
}
WORDS = {"en": EN, "de": DE}


def know_toy_tasks(patch: pytest.MonkeyPatch) -> None:
    """Let `model: toy_tasks` be found as the systems of espnet_ext/models are."""
    patch.setattr(models, "__path__", [*models.__path__, str(Path(__file__).parent / "task_models")])
    patch.setattr(models, "NAMES", tuple(sorted({*models.NAMES, NAME})))


def make_task_dumps(root: Path, **config: Any) -> Path:
    """dump/train, dump/more, dump/dev, the universal vocabulary, and conf/toy_tasks.yaml with changes."""
    dump = make_dumps(root, sets=("train", "more", "dev"))
    values = {"subwords": "joint", "tasks": TASKS, **config}
    vocabulary = vocabulary_of(values)
    assert vocabulary is not None
    folder = dump / "subwords" / vocabulary.name
    folder.mkdir()
    lines = [word for lang in vocabulary.langs for word in WORDS[lang]]
    subwords.train(folder, lines, vocabulary.langs, None, "char")
    write_config(root / "conf" / f"{NAME}.yaml", **values)
    return dump


def train_tasks(folder: Path, **changed: Any) -> None:
    """Train as AbsTask would, on dumps beside the folder that are made once."""
    root = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        know_toy_tasks(patch)
        dump = root / "dump"
        if not dump.exists():
            make_task_dumps(root, mixture={"batches": 8, "temperature": 5}, optim_conf={"lr": 0.01})
        config = yaml.safe_load((root / "conf" / f"{NAME}.yaml").read_text())
        vocabulary = vocabulary_of(config)
        assert vocabulary is not None
        model_file = subwords.Subwords(dump / "subwords" / vocabulary.name)
        model_file.copy_to(folder / "subwords")
        places = {"train_dump": str(dump / "train"), "valid_dump": str(dump / "dev"), "output_dir": str(folder)}
        tokens = {"token_list": model_file.tokens, "src_token_list": model_file.tokens, "normalize": None}
        languages = {"src_lang": "en", "tgt_lang": "de", "greedy_every": 0, "keep_nbest_models": [2]}
        args = Namespace(**{**default_config(), **config, **places, **tokens, **languages, **changed})
        torch.manual_seed(0)
        model = STTask.build_model(args)
        optimizers = STTask.build_optimizers(args, model)
        alone = Namespace(dist_rank=0, dist_world_size=1)
        train, valid = (STTask.build_iter_factory(args, alone, mode) for mode in ("train", "valid"))
        schedulers = [WarmupLinearLR(optimizers[0], warmup_steps=5)]
        Trainer.run(model, optimizers, schedulers, train, valid, None, build_options(args), None)
