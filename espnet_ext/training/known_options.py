"""Which options a configuration may have: ESPnet's that this project reads, and those of the classes it chooses."""

import argparse
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias

from espnet_ext.data.tasks import KEYS as TASK_KEYS
from espnet_ext.data.tasks import streams_of
from espnet_ext.training.kinds import fits, kind_of

PEER_OPTIONS = {"encoder", "encoder_conf", "decoder_conf", "model_conf"}
PEER_OPTIONS |= {"optim", "optim_conf", "scheduler", "scheduler_conf"}

# What the command line says, so that a configuration cannot.
GIVEN = {"output_dir": "exp", "train_dump": "--train or --text_train", "valid_dump": "--valid", "ngpu": "--ngpu"}
GIVEN |= {"src_lang": "--src_lang", "tgt_lang": "--tgt_lang"}
GIVEN |= dict.fromkeys(("src_token_list", "token_list"), "--subwords")

# Of ESPnet's options those that its task reads before our loop begins; the rest would be accepted and not heeded.
READ_BY_ESPNET = {"optim", "optim_conf", "scheduler", "scheduler_conf", "num_workers", "log_level", "freeze_param"}
READ_BY_ESPNET |= {"exclude_weight_decay", "exclude_weight_decay_conf", "valid_batch_bins", "max_batch_size"}
READ_BY_ESPNET |= {
    "num_iters_per_epoch",
    "cudnn_enabled",
    "cudnn_benchmark",
    "cudnn_deterministic",
    "use_tf32",
    "detect_anomaly",
}
OUR_GROUPS = ("Speech translation", "training loop")

Phase: TypeAlias = Literal["train", "valid"]
Mode: TypeAlias = Literal["min", "max"]
KINDS: dict[str, Any] = {
    "keep_nbest_models": int | list[int],
    "best_model_criterion": list[tuple[Phase, str, Mode]],
    "early_stopping_criterion": tuple[Phase, str, Mode],
    "val_scheduler_criterion": tuple[Phase, str],
    "init": dict[str, str],
    "freeze_param": list[str],
}
TYPES = {"int": int, "float": float, "str2bool": bool, "int_or_none": int | None}  # of argparse's functions

# Where ESPnet's help is of ESPnet's own training loop.
HELP = {
    "batch_bins": "Frames (tokens of text) in a padded batch, for all processes together.",
    "valid_batch_bins": "The same in validation; null: batch_bins.",
    "max_batch_size": "Most utterances in a batch; null: as many as fit in batch_bins.",
    "num_iters_per_epoch": "Batches of an epoch, drawn again for each epoch; null: all.",
    "accum_grad": "Batches for one update; the gradient is that of one large batch.",
    "num_workers": "More processes that read data, besides the first.",
    "keep_nbest_models": "How many of the best epochs are averaged to model.pth.",
    "best_model_criterion": "How the best epochs are chosen: [[phase, value, min or max]].",
    "early_stopping_criterion": "What has to improve within `patience` epochs: [phase, value, min or max].",
    "val_scheduler_criterion": "The value that schedules such as reducelronplateau get after an epoch.",
    "optim_conf": "Options of the optimizer.",
    "scheduler_conf": "Options of the schedule.",
    "scheduler": "The schedule of the learning rate.",
    "init": "Parts of this system and the systems that they are taken from, such as {encoder: asr}.",
    "subwords": "A model for each language, or one for both.",
}

# Parameters of classes that the code fills.
FILLED = {"self", "start_E", "params", "optimizer", "parts", "vocab_size", "odim", "input_size"}

# The least and the most of options that have such limits wherever they stand.
RANGES: dict[str, tuple[float, float | None]] = {
    **dict.fromkeys(("max_epoch", "batch_bins", "valid_batch_bins", "max_batch_size", "accum_grad"), (1, None)),
    "num_iters_per_epoch": (1, None),
    **dict.fromkeys(("greedy_utterances", "max_frames", "max_tokens", "input_size"), (1, None)),
    **dict.fromkeys(("num_blocks", "output_size", "attention_heads", "linear_units", "keep_nbest_models"), (1, None)),
    **dict.fromkeys(("patience", "greedy_every", "num_workers", "checkpoint_minutes", "warmup_steps"), (0, None)),
    **dict.fromkeys(("grad_clip", "grad_clip_type"), (1e-9, None)),
    **dict.fromkeys(("asr_weight", "asr_ctc_weight", "st_ctc_weight", "lsm_weight", "subword_sampling.alpha"), (0, 1)),
    **dict.fromkeys(("inter_weight", "lr", "weight_decay"), (0, None)),
    "seed": (0, 2**32 - 1),
    "mixture.temperature": (1e-9, None),
    "mixture.batches": (1, None),
}


@dataclass(frozen=True)
class Option:
    """What a value must be, what it is if nobody says, and what it means."""

    kind: Any
    default: Any = None
    help: str = ""


MIXTURE = {
    "temperature": Option(float, 1.0, "Shares go by size ** (1 / temperature); 1: every example once per epoch."),
    "batches": Option(int | None, None, "Batches of an epoch; null: num_iters_per_epoch, or one pass of every task."),
}
VOCABULARY = {
    "langs": Option(list[str], None, "Its languages; null: those of the tasks."),
    "sets": Option(list[str], None, "The sets whose text it is learned from; null: those of the tasks."),
}


def known_options(values: Mapping[str, Any], section: tuple[str, ...]) -> dict[str, Option] | None:
    """The options of a section, or outside all of them; None if any name may stand there."""
    from espnet_ext.espnet.task import default_config

    if not section:
        return top_options()
    if section[0] == "mt_peer":
        if len(section) == 1:
            return {name: option for name, option in top_options().items() if name in PEER_OPTIONS}
        return known_options({**values, **values["mt_peer"], "model": "mt"}, section[1:])
    if section[0] == "decode":
        return {**search_options(), **(stream_sections(values) if len(section) == 1 else {})}
    if section[0] == "tasks":
        return task_options(values, section)
    if section[0] == "mixture":
        return MIXTURE
    if section[0] == "vocabulary":
        return VOCABULARY
    if section[0] == "subword_sampling":
        return {"alpha": Option(float, None, "Smoothing of the distribution that segmentations are sampled from.")}
    chosen = chosen_class({**default_config(), **values}, section[0])
    if chosen is None:
        return None
    if section[0] == "model_conf" and section[-1] in chosen.sections:
        return parameters(chosen.sections[section[-1]])
    handed_on = chosen.more_options(values.get(section[0]) or {}) if section[0] == "model_conf" else ()
    return {**parameters(chosen), **{name: Option(Any) for name in sorted(handed_on)}}


def top_options() -> dict[str, Option]:
    """Those outside all sections."""
    from espnet_ext.espnet.task import STTask
    from espnet_ext.training.options import TrainOptions

    read = {field.name for field in fields(TrainOptions)} | READ_BY_ESPNET
    options = {}
    parser = STTask.get_parser()
    for group in parser._action_groups:
        for action in group._group_actions:
            if (action.dest in read or group.title in OUR_GROUPS) and action.dest not in GIVEN:
                meaning = HELP.get(action.dest) or " ".join((action.help or "").split())
                options[action.dest] = Option(kind_of_action(action), action.default, meaning)
    return options


def kind_of_action(action: argparse.Action) -> Any:
    """What argparse would take, in a YAML."""
    from espnet_ext import models

    if action.dest == "model":
        return Literal[models.NAMES]
    if action.dest in KINDS:
        return KINDS[action.dest]
    if action.choices is not None:
        kind: Any = Literal[tuple(action.choices)]
    elif type(action).__name__ == "NestedDictAction":
        kind = dict
    else:
        kind = TYPES.get(getattr(action.type, "__name__", ""), str)
    return kind | None if action.default is None and not fits(None, kind) else kind


def search_options() -> dict[str, Option]:
    from espnet_ext.search.options import SearchOptions

    return {f.name: Option(f.type, f.default, f.metadata["help"]) for f in fields(SearchOptions)}


def stream_sections(values: Mapping[str, Any]) -> dict[str, Option]:
    """The sections of `decode` for what the system writes, with the options that it would have by itself."""
    from espnet_ext import models
    from espnet_ext.espnet.task import default_config

    model = models.find({**default_config(), **values}["model"])
    kinds = {name: stream.kind for name, stream in streams_of(values).items() if model.knows_tasks} or {
        name: name for name in model.streams
    }
    return {
        stream: Option(dict, model.search_defaults.get(kind, {}), f"Options of the stream {stream} alone.")
        for stream, kind in kinds.items()
    }


def task_options(values: Mapping[str, Any], section: tuple[str, ...]) -> dict[str, Option]:
    """The tasks, or what can be said of one."""
    if len(section) == 1:
        tasks = values.get("tasks") or {}
        return {name: Option(dict | None, None, "One thing that the system learns.") for name in tasks}
    return {key: Option(Any, None, meaning) for key, meaning in TASK_KEYS.items()}


def chosen_class(values: Mapping[str, Any], section: str) -> Any:
    """The class whose options `<part>_conf` has: that of `<part>`; None if that cannot be told."""
    from espnet_ext import models
    from espnet_ext.espnet.parts import CHOICES, CTC
    from espnet_ext.espnet.task import abs_task

    part = section.removesuffix("_conf")
    name: Any = values.get(part)
    if section == "ctc_conf":
        return CTC
    if part == section:
        return None
    if part == "model":
        return models.find(name)
    if part in CHOICES and isinstance(name, str):
        return CHOICES[part].get_class(name)
    return {"optim": abs_task.optim_classes, "scheduler": abs_task.scheduler_classes}.get(part, {}).get(name)


def parameters(of: type) -> dict[str, Option]:
    """The constructor's parameters, of base classes too where the rest is handed on to them."""
    options: dict[str, Option] = {}
    for cls in of.__mro__:
        if "__init__" not in vars(cls):
            continue
        found = inspect.signature(vars(cls)["__init__"]).parameters.values()
        for p in found:
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name not in FILLED:
                default = None if p.default is p.empty else p.default
                options.setdefault(p.name, Option(kind_of(p), default))
        if not any(p.kind == p.VAR_KEYWORD for p in found):
            break
    return options
