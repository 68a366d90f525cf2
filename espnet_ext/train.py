"""Train one system: conf/<system>.yaml -> exp/<system>/; the same command resumes a stopped training."""

import argparse
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.weights import DamagedError

PARTS = ("model.pth", "subwords/*/*")  # of a finished experiment, beside run.json
EPILOG = """To print a configuration's options, with values, defaults, help and the file or argument that sets them:
python -m espnet_ext.train --explain conf/<system>.yaml [--set KEY=VALUE ...]"""


def split_changes(text: str) -> list[str]:
    """Each `key=value` of several in one argument; a value such as {lr: 1e-3, beta: 2} may hold spaces."""
    return re.split(r"\s+(?=[\w.]+=)", text.strip())


class Changes(argparse.Action):
    """Collects what `--set` says."""

    def __call__(self, parser: Any, options: argparse.Namespace, words: Any, name: str | None = None) -> None:
        options.set = [*options.set, *(change for text in words for change in split_changes(text))]


def base_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m espnet_ext.train", description=__doc__, epilog=EPILOG)
    parser.add_argument("config", type=Path, help="conf/<system>.yaml")
    parser.add_argument("--set", nargs="+", action=Changes, default=[], metavar="KEY=VALUE", help="change the config")
    return parser


def parse(argv: list[str]) -> argparse.Namespace:
    parser = base_parser()
    parser.add_argument("exp", type=Path, help="folder of the experiment; systems to start from are beside it")
    parser.add_argument("--train", type=Path, required=True, help="dump directory to train on")
    parser.add_argument("--valid", type=Path, required=True, help="dump directory to validate on")
    parser.add_argument("--text_train", type=Path, help="dump directory to train on, for text-only systems")
    parser.add_argument("--src_lang", required=True, help="language of the speech and of its transcripts")
    parser.add_argument("--tgt_lang", help="language to translate into")
    parser.add_argument("--subwords", type=Path, required=True, help="folder of the sub-word models")
    parser.add_argument("--ngpu", type=int, default=0, help="GPUs; 0: the CPU; for more than one, use torchrun")
    parser.add_argument("--explain", action="store_true", help="print every option in force; needs only CONFIG")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    if "--explain" in argv:
        explain([word for word in argv if word != "--explain"])
        return
    options = parse(argv)
    # Read when torch loads: each new shape of a batch makes kernels, and the default keeps those of a few batches only.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
    from espnet_ext.data.tasks import TaskError
    from espnet_ext.training.errors import TrainError

    with one_line_errors(f"train {options.exp.name}", TrainError, DamagedError, TaskError):
        train(options, shlex.join(["python", "-m", "espnet_ext.train", *argv]))


def explain(argv: list[str]) -> None:
    """Print every option in force; the configuration is checked, too."""
    options = base_parser().parse_args(argv)
    from espnet_ext.training.check_config import check_config
    from espnet_ext.training.config import read_config
    from espnet_ext.training.errors import TrainError
    from espnet_ext.training.explain import explain as describe

    with one_line_errors("train", TrainError):
        config = read_config(options.config, options.set)
        check_config(config)
        print(describe(config))


def is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def train(options: argparse.Namespace, command: str) -> None:
    """Train, unless the experiment is finished and was made from just this."""
    from espnet_ext.data.task_sets import check_sets
    from espnet_ext.data.tasks import read_tasks
    from espnet_ext.infra.stamps import Stamp
    from espnet_ext.training.config import read_config
    from espnet_ext.training.made_from import data_folder, input_files
    from espnet_ext.training.provenance import read_run

    given = read_config(options.config, options.set)
    config = given.values
    if read_run(options.exp).get("settings", {}).get("config") != config:  # what was begun with this was checked then
        from espnet_ext.training.check_config import check_config

        check_config(given, options.src_lang)
    check_sets(read_tasks(config), options.train.parent, options.valid.name)
    data = data_folder(options, config)
    files = {str(path): Stamp(path, [path]).key[:16] for path in input_files(options, config, data)}
    settings = {"config": config, "langs": [options.src_lang, options.tgt_lang], "data": str(data), "files": files}
    finished = Stamp(options.exp / "run.json", [], parts=PARTS, **settings)
    if finished.is_current(say=False) and (options.exp / "config.yaml").exists():
        if is_first_process():
            print(f"{options.exp}: inputs have not changed, skipped", file=sys.stderr)
        return
    from espnet_ext.machine import bf16
    from espnet_ext.training.changes import refuse_changes
    from espnet_ext.training.launch import begin, run

    wish, device = config.get("amp", "auto"), "cuda" if options.ngpu else "cpu"
    amp = bf16.choose(wish, device, "none")
    if not is_first_process():
        run(options, {**config, "amp": amp}, data)
        return
    refuse_changes(options.exp, settings, amp)
    with finished.making():
        begin(options, config, settings, command)
        if remark := bf16.remark("amp:", wish, device, "none"):
            print(remark, file=sys.stderr, flush=True)
        run(options, {**config, "amp": amp}, data)


if __name__ == "__main__":
    main(sys.argv[1:])
