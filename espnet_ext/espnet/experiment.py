"""A trained system, loaded from its folder: one of ours, or of ESPnet's."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_ext.data.own_subwords import own_subwords
from espnet_ext.espnet import read_experiment
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.infra.weights import DamagedError, load_tensors
from espnet_ext.models._base import BaseModel


@dataclass
class Experiment:
    """A trained system, ready to decode."""

    model: BaseModel
    config: dict[str, Any]
    src_subwords: Any  # espnet_ext.data.subwords.Subwords, or what read_experiment makes of ESPnet's tokens
    tgt_subwords: Any
    folder: Path

    def language(self, stream: str) -> str | None:
        """What a stream is written in, where the system knows it."""
        return self.model.stream(stream).language(self.config.get("src_lang"), self.config.get("tgt_lang"))

    def text(self, stream: str, tokens: list[int]) -> str:
        """What the tokens of a stream say, on one line."""
        subwords = self.model.stream(stream).of(self.src_subwords, self.tgt_subwords)
        return " ".join(subwords.decode(tokens).split())


def own_weights(folder: Path) -> Path:
    """What training left, or what a pack holds instead."""
    packed = folder / "model.safetensors"
    return packed if packed.exists() and not (folder / "model.pth").exists() else folder / "model.pth"


def load_experiment(folder: str | Path, device: str | torch.device = "cpu") -> Experiment:
    """The system in an experiment directory of ours, or of ESPnet's ASR, MT or ST training."""
    folder = Path(folder)
    if not (folder / "config.yaml").exists():
        raise FileNotFoundError(f"{folder}: no config.yaml; train this system first")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    if "src_lang" in config:
        weights, subwords = own_weights(folder), own_subwords(folder, config)
    else:
        weights, subwords = read_experiment.weights_file(folder), read_experiment.subwords(folder, config)
        config = read_experiment.our_config(config)
    config = {**default_config(), **config, "output_dir": str(folder)}
    # The model file holds the statistics; the file that they came from may be gone.
    conf = config.get("normalize_conf") or {}
    built = {**config, "normalize_conf": {name: value for name, value in conf.items() if name != "stats_file"}}
    model = STTask.build_model(argparse.Namespace(**built))
    if model.composed_of:
        subwords = model.subwords  # those of its parts
    if model.learns(config["model_conf"]):
        if not weights.exists():
            raise FileNotFoundError(f"{weights}: not there; the training of {folder.name} is not finished")
        try:
            state = load_tensors(weights)
        except DamagedError as error:
            raise DamagedError(f"{error}; delete it and train again (stage 7), which only makes this file") from error
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{weights} does not fit {folder / 'config.yaml'}: {error}") from None
    return Experiment(model.to(device).eval(), config, *subwords, folder)
