"""From the command's arguments and a configuration to ESPnet's task."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from espnet_ext.training.errors import TrainError
from espnet_ext.training.made_from import subword_folders
from espnet_ext.training.provenance import commit, read_run, update_run, versions


def begin(options: argparse.Namespace, config: dict[str, Any], settings: dict[str, Any], command: str) -> None:
    """Write what is known before training."""
    from espnet_ext.data.subwords import Subwords

    for folder in dict.fromkeys(subword_folders(options, config)):
        Subwords(folder).copy_to(options.exp / "subwords")
    before = read_run(options.exp)
    earlier = [*before.get("earlier_commits", []), *([before["commit"]] if "commit" in before else [])]
    update_run(
        options.exp,
        commit=commit(),
        earlier_commits=list(dict.fromkeys(earlier)),
        seed=config.get("seed", 0),
        versions=versions(),
        command=command,
        settings=settings,
    )


def run(options: argparse.Namespace, config: dict[str, Any], data: Path) -> None:
    """Hand over to ESPnet's task, or just write the configuration of a system made of others."""
    import yaml

    from espnet_ext import models
    from espnet_ext.espnet.task import STTask, default_config
    from espnet_ext.infra.files import atomic_open

    config = {**config, **given_values(options, config, data)}
    if not models.find(config.get("model", "e2e")).learns(config.get("model_conf") or {}):
        config |= {"token_list": None, "src_token_list": None}  # its parts have their own; a path would tie it to here
        with atomic_open(options.exp / "config.yaml") as stream:
            yaml.safe_dump({**default_config(), **config}, stream, sort_keys=False, allow_unicode=True)
        print(f"{options.exp}: made of trained systems, nothing to train", file=sys.stderr)
        return
    parser = STTask.get_parser()
    parser.set_defaults(**config, **process_values(options))
    STTask.main(args=parser.parse_args([]))


def given_values(options: argparse.Namespace, config: dict[str, Any], data: Path) -> dict[str, Any]:
    """What the command line says and the YAML does not."""
    folders = subword_folders(options, config)
    values = {
        "output_dir": str(options.exp),
        "train_dump": str(data),
        "valid_dump": str(options.valid),
        "src_lang": options.src_lang,
        "tgt_lang": options.tgt_lang,
        "src_token_list": str(folders[0] / "tokens.txt"),
        "token_list": str(folders[1] / "tokens.txt") if len(folders) > 1 else None,
    }
    if config.get("normalize") == "global_mvn":
        stats = statistics_of_tasks(options, config) or data / "stats.npz"
        values["normalize_conf"] = {"stats_file": str(stats), **(config.get("normalize_conf") or {})}
    return values


def statistics_of_tasks(options: argparse.Namespace, config: dict[str, Any]) -> Path | None:
    """Where the mean and the variance of all speech that tasks train on are; None where there is no such task."""
    import numpy as np

    from espnet_ext.data.tasks import read_tasks
    from espnet_ext.infra.files import atomic_open

    names = sorted({name for task in read_tasks(config).values() if task.reads == "speech" for name in task.sets})
    files = [options.train.parent / name / "stats.npz" for name in names]
    if len(files) < 2:
        return files[0] if files else None
    loaded = [np.load(path) for path in files]
    total = {key: sum(found[key] for found in loaded) for key in ("count", "sum", "sum_square")}
    with atomic_open(options.exp / "stats.npz", "wb") as stream:
        np.savez(stream, **total)
    return options.exp / "stats.npz"


def process_values(options: argparse.Namespace) -> dict[str, Any]:
    """How this process takes part; torchrun's variables say the rest."""
    import torch

    if options.ngpu and not torch.cuda.is_available():
        raise TrainError("--ngpu: torch finds no GPU here; use --ngpu 0 to train on the CPU")
    if options.ngpu > 1 and "RANK" not in os.environ:
        raise TrainError(
            f"--ngpu {options.ngpu}: start it by torchrun --standalone --nproc_per_node {options.ngpu} -m ..."
        )
    backend = "nccl" if options.ngpu else "gloo"
    return {"ngpu": min(options.ngpu, 1), "dist_backend": backend, "multiprocessing_distributed": False}
