"""Dump directories from which a small model learns within seconds, and configurations of small models."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from espnet_ext.data import subwords, text
from espnet_ext.data.ark import INDEX, archive_name, index_rows, write_matrix
from espnet_ext.infra.files import write_table

EN = ["a", "cat", "sat", "on", "the", "mat", "and", "saw", "bats"]
DE = ["eine", "katze", "lag", "auf", "der", "matte", "und", "sah", "tiere"]
FRAMES = 24  # of a word
PARTS = {"attention_heads": 2, "linear_units": 32, "num_blocks": 1}


def make_dumps(root: Path, utterances: int = 60, sets: tuple[str, ...] = ("train", "dev")) -> Path:
    """dump/<set> and dump/subwords of utterances whose words sound each their own way; returns dump."""
    sound = np.random.default_rng(0).normal(size=(len(EN), FRAMES, 80))
    for number, name in enumerate(sets):
        random = np.random.default_rng(number + 1)
        dump, data = root / "dump" / name, root / "data" / name
        dump.mkdir(parents=True)
        words = [random.integers(len(EN), size=2 + i % 4) for i in range(utterances)]
        feats = [sound[w].reshape(-1, 80) + 0.3 * random.normal(size=(len(w) * FRAMES, 80)) for w in words]
        ids = [f"{name}{i:03d}" for i in range(utterances)]
        with open(dump / archive_name(0), "wb") as stream:
            places = [write_matrix(stream, key, feat) for key, feat in zip(ids, feats)]
        lengths = [len(feat) for feat in feats]
        np.save(dump / INDEX, index_rows(ids, lengths, 0, places))
        write_table(dump / "utt2num_frames", [(key, str(n)) for key, n in zip(ids, lengths)])
        every = np.concatenate(feats)
        np.savez(dump / "stats.npz", count=len(every), sum=every.sum(0), sum_square=(every**2).sum(0))
        for lang, lexicon in (("en", EN), ("de", DE)):
            write_table(data / f"text.{lang}", [(k, " ".join(lexicon[i] for i in w)) for k, w in zip(ids, words)])
            text.build(data / f"text.{lang}", dump / f"text.{lang}")
    for lang, lexicon in (("en", EN), ("de", DE)):
        folder = root / "dump" / "subwords" / lang
        folder.mkdir(parents=True)
        subwords.train(folder, lexicon, [lang], None, "char")
    return root / "dump"


def write_config(path: Path, **changed: Any) -> Path:
    """conf/<system>.yaml of a small model."""
    config: dict[str, Any] = {
        "model": path.stem,
        "encoder": "transformer",
        "encoder_conf": {"output_size": 32, "input_layer": "conv2d", **PARTS},
        "decoder": "transformer",
        "decoder_conf": PARTS,
        "specaug": None,
        "normalize": "global_mvn",
        "optim": "adamw",
        "optim_conf": {"lr": 0.005},
        "scheduler": "warmuplinearlr",
        "scheduler_conf": {"warmup_steps": 10},
        "batch_bins": 1200,
        "max_epoch": 2,
        "keep_nbest_models": 2,
        "greedy_utterances": 10,
        "use_tensorboard": False,
        "amp": "none",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({**config, **changed}, sort_keys=False), encoding="utf-8")
    return path


def arguments(root: Path, system: str, *more: str) -> list[str]:
    """The command line of train.py for dumps and configurations made here."""
    folders = ["--train", f"{root}/dump/train", "--valid", f"{root}/dump/dev", "--subwords", f"{root}/dump/subwords"]
    return [
        f"{root}/conf/{system}.yaml",
        f"{root}/exp/{system}",
        *folders,
        "--src_lang",
        "en",
        "--tgt_lang",
        "de",
        *more,
    ]
