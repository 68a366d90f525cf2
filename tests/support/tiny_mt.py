"""A spoken set and a text translator that was trained on it for a few steps, so that what it writes ends by itself."""

import random
from pathlib import Path

import numpy as np
import soundfile
import torch

from espnet_ext.data.dataset import collate
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.infra.files import read_table, write_table
from tests.support.tiny_exp import WORDS, make_dump, make_system

LINES = 24


def make_recipe(root: Path) -> Path:
    """data/train, parts of two recordings, and exp/mt; returns `root`."""
    make_dump(root)
    exp, draw, data = make_system(root, "mt"), random.Random(1), root / "data/train"
    for name in ("a", "b"):
        soundfile.write(root / f"{name}.wav", np.zeros(16000 * LINES), 16000)
    ids = [f"{'ab'[i % 2]}-{i:02d}" for i in range(LINES)]
    write_table(data / "wav.scp", [(name, str(root / f"{name}.wav")) for name in ("a", "b")])
    write_table(data / "segments", [(key, f"{key[0]} {i:.6f} {i + 0.5:.6f}") for i, key in enumerate(ids)])
    write_table(data / "utt2spk", [(key, key[0]) for key in ids])
    for lang, words in WORDS.items():
        write_table(data / f"text.{lang}", [(key, " ".join(draw.choices(words, k=3))) for key in ids])
    train(exp, data)
    return root


def train(exp: Path, data: Path) -> None:
    experiment = load_experiment(exp)
    subwords = {"src_text": (experiment.src_subwords, "en"), "text": (experiment.tgt_subwords, "de")}
    columns = {
        name: [np.array(model.encode(text)) for _, text in read_table(data / f"text.{lang}")]
        for name, (model, lang) in subwords.items()
    }
    batch = collate([("", {name: column[i] for name, column in columns.items()}) for i in range(LINES)])[1]
    for step in range(120):
        experiment.model.train().zero_grad()
        experiment.model(**batch)[0].backward()
        for parameter in experiment.model.parameters():
            assert parameter.grad is not None
            parameter.data -= 0.01 * (1 - step / 120) * parameter.grad.sign()  # torch.optim takes seconds to import
    torch.save(experiment.model.state_dict(), exp / "model.pth")
