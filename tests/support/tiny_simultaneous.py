"""An untrained translator with much to say, in several words, and a simultaneous system for each rule on it."""

import shutil
from pathlib import Path
from typing import Any

import torch

from espnet_ext.data import subwords
from espnet_ext.espnet.experiment import load_experiment
from tests.support.tiny_exp import WORDS, make_dump, make_system

DECODE = {"max_length": 40}
SEED = 4  # with which the translations are no repetitions of one token
CONF: dict[str, dict[str, Any]] = {
    "greedy": {},
    "waitk": {"k": 2},
    "le": {"d": 3},
    "tn": {"d": 2, "hidden": 8},
    "sl": {"rho": 0.5, "hidden": 8},
    "rl": {"cw": 2, "hidden": 8},
}


def make_systems(root: Path) -> None:
    """exp/mt, and exp/<rule> for each rule, which reads whole words."""
    make_dump(root)
    for lang, words in WORDS.items():
        folder = root / "dump" / "subwords" / lang
        shutil.rmtree(folder)
        folder.mkdir()
        subwords.train(folder, [" ".join(words)] * 3, [lang], 30, "bpe")
    translator = make_system(root, "mt", decode=DECODE)
    model = load_experiment(translator).model
    torch.manual_seed(SEED)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter.data, std=parameter.std().item())
    torch.save(model.state_dict(), translator / "model.pth")
    for name, conf in CONF.items():
        exp = make_system(
            root, "simultaneous", mt="../mt", decode=DECODE, model_conf={"rule": name, "step": "word", **conf}
        )
        exp = exp.rename(exp.parent / name)
        if (exp / "model.pth").exists():
            state = torch.load(exp / "model.pth") | {f"mt.{key}": value for key, value in model.state_dict().items()}
            learned = {key: torch.randn_like(value) for key, value in state.items() if key.startswith("rule.")}
            torch.save(state | learned, exp / "model.pth")
