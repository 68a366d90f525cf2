"""Train one system: conf/<system>.yaml -> exp/<system>/; the same command goes on where a run was stopped."""

import argparse
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.weights import DamagedError

# options that may change in mid-training
HARMLESS = {"max_epoch", "patience", "checkpoint_minutes", "greedy_every", "greedy_utterances", "use_tensorboard"}
HARMLESS |= {"num_workers", "decode", "log_level"}
HARMLESS |= {"amp"}  # in mid-training only, see refuse_other_amp
PARTS = ("model.pth", "subwords/*/*")  # of a finished experiment, beside run.json
SHOWN = 6  # changes in a message
EPILOG = """The options of a configuration, with values, defaults, help and the file or argument that says so:
python -m espnet_ext.train --explain conf/<system>.yaml [--set KEY=VALUE ...]"""


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m espnet_ext.train", description=__doc__, epilog=EPILOG)
    parser.add_argument("config", type=Path, help="conf/<system>.yaml")
    parser.add_argument("exp", type=Path, help="folder of the experiment; other systems are looked for beside it")
    parser.add_argument("--train", type=Path, required=True, help="dump directory to train on")
    parser.add_argument("--valid", type=Path, required=True, help="dump directory to validate on")
    parser.add_argument("--text_train", type=Path, help="dump directory to train on for systems that read text only")
    parser.add_argument("--src_lang", required=True, help="language of the speech and of its transcripts")
    parser.add_argument("--tgt_lang", help="language to translate into")
    parser.add_argument("--subwords", type=Path, required=True, help="folder of the sub-word models")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs; 0: the CPU; more than one: under torchrun")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the config")
    options = parser.parse_args(argv)
    options.set = [change for text in options.set for change in split_changes(text)]
    return options


def split_changes(text: str) -> list[str]:
    """Each `key=value` of several in one argument; a value such as {lr: 1e-3, beta: 2} may hold spaces."""
    return re.split(r"\s+(?=[\w.]+=)", text.strip())


def main(argv: list[str]) -> None:
    if "--explain" in argv:
        explain([word for word in argv if word != "--explain"])
        return
    options = parse(argv)
    # Read when torch loads: each new shape of a batch makes kernels, and the default keeps those of a few batches only.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
    from espnet_ext.training.errors import TrainError

    with one_line_errors(f"train {options.exp.name}", TrainError, DamagedError):
        train(options, shlex.join(["python", "-m", "espnet_ext.train", *argv]))


def explain(argv: list[str]) -> None:
    """Print every option in force; the configuration is checked, too."""
    parser = argparse.ArgumentParser("python -m espnet_ext.train --explain", description=explain.__doc__)
    parser.add_argument("config", type=Path, help="conf/<system>.yaml")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the config")
    options = parser.parse_args(argv)
    from espnet_ext.training.check_config import check_config
    from espnet_ext.training.config import read_config
    from espnet_ext.training.errors import TrainError
    from espnet_ext.training.explain import explain as describe

    try:
        config = read_config(options.config, options.set)
        check_config(config)
        print(describe(config))
    except TrainError as error:
        sys.exit(f"train: {error}")


def is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def train(options: argparse.Namespace, command: str) -> None:
    """Train, unless the experiment is finished and was made from just this."""
    from espnet_ext.infra.stamps import Stamp
    from espnet_ext.training.config import read_config
    from espnet_ext.training.provenance import read_run

    given = read_config(options.config, options.set)
    config = given.values
    data = data_folder(options, config, read_run(options.exp))
    files = {str(path): Stamp(path, [path]).key[:16] for path in input_files(options, config, data)}
    settings = {"config": config, "langs": [options.src_lang, options.tgt_lang], "data": str(data), "files": files}
    finished = Stamp(options.exp / "run.json", [], parts=PARTS, **settings)
    if finished.is_current(say=False) and (options.exp / "config.yaml").exists():
        if is_first_process():
            print(f"{options.exp}: inputs have not changed, skipped", file=sys.stderr)
        return
    from espnet_ext.machine import bf16

    wish, device = config.get("amp", "auto"), "cuda" if options.ngpu else "cpu"
    amp = bf16.choose(wish, device, "none")
    config = {**config, "amp": amp}
    if not is_first_process():
        run(options, config, data)
        return
    refuse_changes(options.exp, settings, amp)
    with finished.making():
        begin(options, given, settings, command)
        if remark := bf16.remark("amp:", wish, device, "none"):
            print(remark, file=sys.stderr, flush=True)
        run(options, config, data)


def data_folder(options: argparse.Namespace, config: dict[str, Any], before: dict[str, Any]) -> Path:
    """Where the training data are; a run begun before says so without the import of its model."""
    if options.text_train is None:
        return options.train
    for folder in (options.train, options.text_train):
        if before.get("settings", {}).get("data") == str(folder):
            return folder
    from espnet_ext import models

    return options.train if "speech" in models.find(config.get("model", "e2e")).data_names else options.text_train


def input_files(options: argparse.Namespace, config: dict[str, Any], data: Path) -> list[Path]:
    """The files that tell whether data, sub-words or other systems have changed."""
    from espnet_ext.training.other_systems import find_model, init_sources

    langs = [lang for lang in (options.src_lang, options.tgt_lang) if lang]
    files = [folder / "utt2num_frames" for folder in (data, options.valid)]
    files += [folder / "stats.npz" for folder in (data, options.valid)]
    files += [folder / f"text.{lang}" / "meta.json" for folder in (data, options.valid) for lang in langs]
    files += [folder / "model.spm" for folder in subword_folders(options, config)]
    files = [path for path in files if path.exists()]
    files += [path for path, _ in init_sources(config.get("init"), options.exp).values()]
    parts = [options.exp / config[name] for name in ("asr", "mt") if config.get(name)]  # of a pipeline
    parts = [os.path.relpath(os.path.normpath(part), options.exp.parent) for part in parts]
    return files + [find_model(options.exp.name, part, options.exp) for part in parts]


def subword_folders(options: argparse.Namespace, config: dict[str, Any]) -> list[Path]:
    """The sub-word models of the source and of the target, as architecture.md names them."""
    langs = [lang for lang in (options.src_lang, options.tgt_lang) if lang]
    if config.get("subwords", "separate") == "joint":
        return [options.subwords / "-".join(sorted(set(langs)))] * len(langs)
    return [options.subwords / lang for lang in langs]


def refuse_changes(exp: Path, settings: dict[str, Any], amp: str) -> None:
    """Never go on from, or overwrite, what was trained with other settings."""
    from espnet_ext.training.errors import TrainError
    from espnet_ext.training.history import read_history
    from espnet_ext.training.provenance import read_run

    before = read_run(exp).get("settings")
    trained = [exp / name for name in ("checkpoint.pth", "model.pth") if (exp / name).exists()]
    if not trained:
        return
    if before is None:
        raise TrainError(
            f"{exp / 'run.json'} does not say what {trained[0].name} was trained from: put that file back, or, to "
            "train anew, move or delete the folder."
        )
    old, new = (
        flat({**s, "config": {k: v for k, v in s["config"].items() if k not in HARMLESS}}) for s in (before, settings)
    )
    changed = [name for name in sorted(old | new) if old.get(name) != new.get(name)]
    if changed:
        shown = [describe_change(name, old.get(name), new.get(name)) for name in changed[:SHOWN]]
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise TrainError(
            f"{exp} was trained from something else: {'; '.join(shown)}{more}. "
            "To train anew, move or delete that folder; to keep both, give another --exp."
        )
    epochs = len(read_history(exp / "history.jsonl")) if (exp / "history.jsonl").exists() else 0
    most = settings["config"].get("max_epoch")
    if most is not None and epochs > most:
        raise TrainError(
            f"{exp} has {epochs} trained epochs, and max_epoch is {most} now. To train so few anew, move or delete "
            f"that folder; to keep what is there, say max_epoch: {epochs}."
        )
    begun = read_run(exp).get("amp") or [before["config"].get("amp", "none")]
    refuse_other_amp(exp, begun[-1], settings["config"].get("amp", "auto"), amp, epochs == most)


def refuse_other_amp(exp: Path, begun: str, wish: str, amp: str, is_over: bool) -> None:
    """Number formats change within a training only if its user says so."""
    from espnet_ext.training.errors import TrainError

    if amp == begun:
        return
    if is_over:
        raise TrainError(
            f"{exp} was trained with amp: {begun}, which amp: {amp} cannot change any more. Say --set amp={begun} to "
            "keep it; to train anew, move or delete that folder."
        )
    if wish == "auto":
        raise TrainError(
            f"{exp} was begun with amp: {begun}, and amp: auto is {amp} on this machine. Say --set amp={begun} to go "
            f"on as it was begun, or --set amp={amp} to change it from here on."
        )


def flat(value: Any, name: str = "") -> dict[str, Any]:
    """A nested dictionary with dotted names."""
    if not isinstance(value, dict):
        return {name: value}
    return {key: item for k, v in value.items() for key, item in flat(v, f"{name}.{k}".lstrip(".")).items()}


def describe_change(name: str, old: Any, new: Any) -> str:
    if name.startswith("files."):
        return f"{name.removeprefix('files.')} has changed"
    return f"{name.removeprefix('config.')}: {old} before, {new} now"


def begin(options: argparse.Namespace, config: Any, settings: dict[str, Any], command: str) -> None:
    """Check the configuration and write what is known before training."""
    from espnet_ext.data.subwords import Subwords
    from espnet_ext.training.check_config import check_config
    from espnet_ext.training.provenance import commit, read_run, update_run, versions

    check_config(config, options.src_lang)
    for folder in dict.fromkeys(subword_folders(options, config.values)):
        Subwords(folder).copy_to(options.exp / "subwords")
    before = read_run(options.exp)
    earlier = [*before.get("earlier_commits", []), *([before["commit"]] if "commit" in before else [])]
    update_run(
        options.exp,
        commit=commit(),
        earlier_commits=list(dict.fromkeys(earlier)),
        seed=config.values.get("seed", 0),
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
        "token_list": str(folders[1] / "tokens.txt") if options.tgt_lang else None,
    }
    if config.get("normalize") == "global_mvn":
        values["normalize_conf"] = {"stats_file": str(data / "stats.npz"), **(config.get("normalize_conf") or {})}
    return values


def process_values(options: argparse.Namespace) -> dict[str, Any]:
    """How this process takes part; torchrun's variables say the rest."""
    import torch

    from espnet_ext.training.errors import TrainError

    if options.ngpu and not torch.cuda.is_available():
        raise TrainError("--ngpu: torch finds no GPU here; use --ngpu 0 to train on the CPU")
    if options.ngpu > 1 and "RANK" not in os.environ:
        raise TrainError(
            f"--ngpu {options.ngpu}: start it by torchrun --standalone --nproc_per_node {options.ngpu} -m ..."
        )
    backend = "nccl" if options.ngpu else "gloo"
    return {"ngpu": min(options.ngpu, 1), "dist_backend": backend, "multiprocessing_distributed": False}


if __name__ == "__main__":
    main(sys.argv[1:])
