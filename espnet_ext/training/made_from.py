"""What a training is made from: its data, sub-words and other systems."""

import argparse
import os
from pathlib import Path
from typing import Any

from espnet_ext import models
from espnet_ext.data.tasks import read_tasks
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.training.other_systems import find_model, init_sources


def data_folder(options: argparse.Namespace, config: dict[str, Any]) -> Path:
    """Where the training data are: systems that read text only may have more of it; tasks name sets beside it."""
    reads_speech = models.reads_speech(config.get("model", "e2e"))
    return options.train if options.text_train is None or reads_speech else options.text_train


def task_folders(options: argparse.Namespace, config: dict[str, Any]) -> list[Path]:
    """The sets that tasks train on and are validated on."""
    tasks = read_tasks(config).values()
    names = [name for task in tasks for name in (*task.sets, *(task.valid or (options.valid.name,)))]
    return [options.train.parent / name for name in dict.fromkeys(names)]


def input_files(options: argparse.Namespace, config: dict[str, Any], data: Path) -> list[Path]:
    """The files that tell whether data, sub-words or other systems have changed."""
    folders = task_folders(options, config) or [data, options.valid]
    files = [folder / "utt2num_frames" for folder in folders]
    files += [folder / "stats.npz" for folder in folders]
    files += [folder / f"text.{lang}" / "meta.json" for folder in folders for lang in languages(options, config)]
    files += [folder / "model.spm" for folder in subword_folders(options, config)]
    files = [path for path in files if path.exists()]
    files += [path for path, _ in init_sources(config.get("init"), options.exp).values()]
    parts = [options.exp / config[name] for name in ("asr", "mt") if config.get(name)]  # of a pipeline
    parts = [os.path.relpath(os.path.normpath(part), options.exp.parent) for part in parts]
    return files + [find_model(options.exp.name, part, options.exp) for part in parts]


def languages(options: argparse.Namespace, config: dict[str, Any]) -> list[str]:
    """Those of the texts that are read or written."""
    if vocabulary := vocabulary_of(config):
        return list(vocabulary.langs)
    return [lang for lang in (options.src_lang, options.tgt_lang) if lang]


def subword_folders(options: argparse.Namespace, config: dict[str, Any]) -> list[Path]:
    """The sub-word models of the source and of the target, as architecture.md names them."""
    if vocabulary := vocabulary_of(config):
        return [options.subwords / vocabulary.name] * 2
    langs = languages(options, config)
    if config.get("subwords", "separate") == "joint":
        return [options.subwords / "-".join(sorted(set(langs)))] * len(langs)
    return [options.subwords / lang for lang in langs]
