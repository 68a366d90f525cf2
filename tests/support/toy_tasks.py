"""A small training of a system with tasks: the model of tests/support/task_models on the dumps of tiny_train."""

from pathlib import Path
from typing import Any

import pytest

from espnet_ext import models
from espnet_ext.data import subwords
from espnet_ext.data.vocabulary import vocabulary_of
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
