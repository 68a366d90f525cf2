"""The seam: the only file that knows ESPnet's task interface.

A YAML chooses ESPnet's parts by their ESPnet names and our system by `model`.
"""

import espnet_ext.espnet.fast_import  # noqa: F401 - before any other import of ESPnet

# isort: split
import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.tasks import abs_task
from espnet2.tasks.abs_task import AbsTask
from espnet2.train.abs_espnet_model import AbsESPnetModel
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import int_or_none

from espnet_ext import models
from espnet_ext.data.own_subwords import own_subwords
from espnet_ext.data.tasks import Task, read_tasks
from espnet_ext.espnet.parts import CHOICES, Parts
from espnet_ext.machine.fast_dropout import use_fast_dropout
from espnet_ext.machine.process import keep_freed_memory
from espnet_ext.nn.pretrained import PRETRAINED
from espnet_ext.training.merge import merged
from espnet_ext.training.schedules import WarmupLinearLR
from espnet_ext.training.trainer import Trainer

abs_task.scheduler_classes["warmuplinearlr"] = WarmupLinearLR


class STTask(AbsTask):
    """ESPnet's task for every system of espnet_ext/models."""

    class_choices_list = list(CHOICES.values())
    trainer = Trainer

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        group = parser.add_argument_group("Speech translation")
        group.add_argument("--model", default="e2e", help=f"The system: {', '.join(models.NAMES)}.")
        group.add_argument("--model_conf", action=NestedDictAction, default={}, help="Options of the system.")
        group.add_argument("--decode", action=NestedDictAction, default={}, help="Decoding options.")
        group.add_argument("--subwords", default="separate", choices=("separate", "joint"))
        group.add_argument("--tasks", action=NestedDictAction, default={}, help="What it learns, if several things.")
        group.add_argument("--mixture", action=NestedDictAction, default={}, help="How tasks make up an epoch.")
        group.add_argument("--derived", action=NestedDictAction, default={}, help="Sets that are made from others.")
        group.add_argument("--vocabulary", action=NestedDictAction, default={}, help="langs and sets of all tasks.")
        group.add_argument("--subword_sampling", action=NestedDictAction, default=None, help="alpha, nbest.")
        group.add_argument("--train_dump", help="Dump directory to train on.")
        group.add_argument("--valid_dump", help="Dump directory to validate on.")
        group.add_argument("--src_lang", help="Language of the transcript.")
        group.add_argument("--tgt_lang", help="Language of the translation.")
        group.add_argument("--src_token_list", help="Tokens of the transcript: a list or its file.")
        group.add_argument("--token_list", help="Tokens of the translation: a list or its file.")
        group.add_argument("--input_size", type=int_or_none, default=80, help="Features per frame.")
        group.add_argument("--asr", help="A pipeline's recogniser: path from this experiment to its.")
        group.add_argument("--mt", help="A pipeline's translator.")
        group.add_argument("--mt_peer", action=NestedDictAction, default={}, help="Options of the text peer only.")
        group.add_argument("--max_frames", type=int, default=3000, help="Training leaves out longer utterances.")
        group.add_argument("--max_tokens", type=int, default=500, help="Training leaves out longer texts.")
        group.add_argument("--ctc_conf", action=NestedDictAction, default={}, help="Options of ESPnet's CTC.")
        for choice in cls.class_choices_list:
            choice.add_arguments(group)

    @classmethod
    def main_worker(cls, args: argparse.Namespace) -> None:
        keep_freed_memory()
        super().main_worker(args)

    @classmethod
    def build_optimizers(cls, args: argparse.Namespace, model: torch.nn.Module) -> list[torch.optim.Optimizer]:
        """One optimizer, or one for each peer that learns in turn; a text peer may have another, by `mt_peer`."""
        if not model.phases:
            return super().build_optimizers(args, model)
        first, second = (
            argparse.Namespace(**merged(vars(args), args.mt_peer if name == "mt" else {})) for name in model.phases
        )
        # where ESPnet looks for the second's
        vars(args).update(scheduler2=second.scheduler, scheduler2_conf=second.scheduler_conf)
        peers = [getattr(model, name) for name in model.phases]
        return [*super().build_optimizers(first, peers[0]), *super().build_optimizers(second, peers[1])]

    @classmethod
    def build_model(cls, args: argparse.Namespace) -> AbsESPnetModel:
        for name in ("token_list", "src_token_list"):
            tokens = getattr(args, name)
            if isinstance(tokens, str):  # config.yaml is to hold the list itself
                setattr(args, name, Path(tokens).read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        model = models.find(args.model)(Parts(args), **args.model_conf)
        use_fast_dropout(model)
        return model

    @classmethod
    def build_iter_factory(
        cls, args: argparse.Namespace, distributed_option: Any, mode: str, kwargs: dict | None = None
    ) -> AbsIterFactory:
        from espnet_ext.data.dataset import SpeechTextData

        training = mode == "train"
        if tasks := read_tasks(vars(args)):
            return cls.build_task_factory(args, distributed_option, training, tasks)
        names = models.find(args.model).data_names
        data = SpeechTextData(
            args.train_dump if training else args.valid_dump,
            args.src_lang,
            args.tgt_lang,
            *own_subwords(Path(args.output_dir), vars(args)),
            names=names,
            sample=args.subword_sampling["alpha"] if training and args.subword_sampling else None,
            waveforms=args.encoder in PRETRAINED,
        )
        most = args.num_iters_per_epoch if training else None
        return cls.batches_of(data, names, args, distributed_option, training, seed=args.seed, most=most)

    @classmethod
    def build_task_factory(
        cls, args: argparse.Namespace, distributed_option: Any, training: bool, tasks: dict[str, Task]
    ) -> AbsIterFactory:
        """The batches of a system with tasks, each of one of them."""
        from espnet_ext.data.task_data import TaskFactory, open_task

        dump, valid = Path(args.train_dump).parent, Path(args.valid_dump).name
        subwords = own_subwords(Path(args.output_dir), vars(args))[1]
        sample = args.subword_sampling["alpha"] if training and args.subword_sampling else None
        factories = []
        for number, task in enumerate(tasks.values()):
            sets = task.sets if training else task.valid or (valid,)
            data = open_task(task, sets, dump, subwords, sample, args.encoder in PRETRAINED)
            seed = (args.seed, number)
            factories.append(cls.batches_of(data, task.names, args, distributed_option, training, seed=seed))
        mixture = {**args.mixture, "batches": args.mixture.get("batches") or args.num_iters_per_epoch}
        options = {"seed": args.seed, "shuffle": training, "num_workers": args.num_workers}
        return TaskFactory(tasks, factories, mixture, **options)

    @classmethod
    def batches_of(
        cls,
        data: Any,
        names: Sequence[str],
        args: argparse.Namespace,
        distributed: Any,
        training: bool,
        *,
        seed: Any,
        most: int | None = None,
    ) -> Any:
        """The batches of one data set, of examples with these parts."""
        from espnet_ext.data.loader import IterFactory

        return IterFactory(
            data,
            batch_bins=args.batch_bins if training else args.valid_batch_bins or args.batch_bins,
            max_examples=args.max_batch_size,
            limits=[args.max_frames if name == "speech" else args.max_tokens for name in names],
            most=most,
            seed=seed,
            shuffle=training,
            num_workers=args.num_workers,
            rank=distributed.dist_rank or 0,
            world=distributed.dist_world_size or 1,
        )

    @classmethod
    def build_collate_fn(cls, args: argparse.Namespace, train: bool) -> None:
        """Our loader makes whole batches."""

    @classmethod
    def build_preprocess_fn(cls, args: argparse.Namespace, train: bool) -> None:
        """Our loader reads features and token ids."""

    @classmethod
    def required_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()

    @classmethod
    def optional_data_names(cls, train: bool = True, inference: bool = False) -> tuple[str, ...]:
        return ()


@functools.cache
def default_config() -> dict[str, Any]:
    """What an option is when a configuration does not say."""
    return vars(STTask.get_parser().parse_args([]))
