"""A system is built with a block for each stack and makes a step on a made-up utterance, before the real one is."""

import espnet_ext.espnet.fast_import  # noqa: F401 - before any other import of ESPnet

# isort: split
import argparse
import math
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler, AbsEpochStepScheduler, AbsValEpochStepScheduler
from espnet2.tasks.abs_task import scheduler_classes

from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.infra.languages import error_metric
from espnet_ext.training import options as option_table
from espnet_ext.training.config import Config
from espnet_ext.training.errors import TrainError
from espnet_ext.training.kinds import shown
from espnet_ext.training.step import iterate, make_steppers

FRAMES, TOKENS, STEPS = 200, 4, 100
Metrics = dict[str, list[str]]  # of train and valid, what an epoch reports


def try_out(config: Config, src_lang: str | None = None) -> Metrics:
    """What an epoch of this system reports; of what fails, the option is named that would have to be another."""
    try:
        return metrics_of(config.values, src_lang)
    except Exception as error:  # whatever a constructor raises, a value of the configuration is the cause
        raise explained(config, error) from error


def explained(config: Config, error: Exception) -> TrainError:
    """The error of the first option, latest first, without which the rest works."""
    reason = str(error).split("\n")[0] or f"`{traceback.extract_tb(error.__traceback__)[-1].line}` fails"
    for names, value in config.options():
        other = config.without(names)
        try:
            metrics_of(other.values)
        except Exception:  # this option is not, or not alone, the cause
            continue
        return TrainError(
            f"{config.source(*names)}: {'.'.join(names)}: {shown(value)} does not fit the rest: {reason}; "
            f"{value_of(other, names)} does"
        )
    return TrainError(f"{config.layers[-1][0]}: this system cannot be built: {reason}")


def value_of(config: Config, names: tuple[str, ...]) -> str:
    """What an option that was taken away is then."""
    place: Any = config.values
    for name in names:
        place = place.get(name) if isinstance(place, dict) else None
    return "its default" if place is None else shown(place)


def metrics_of(values: dict[str, Any], src_lang: str | None = None) -> Metrics:
    """Build, step, validate and decode once."""
    args = argparse.Namespace(**{**default_config(), **with_one_block(values)})
    vocabulary = vocabulary_of(values)
    args.src_token_list = tokens = tokens_of(vocabulary.langs if vocabulary else ("xx", "yy"))
    args.token_list = tokens if args.subwords == "joint" else [*tokens[:-1], "more", tokens[-1]]
    args.src_lang, args.tgt_lang, args.output_dir, args.amp, args.ngpu = "xx", "yy", "none", "none", 0
    if args.normalize == "global_mvn":
        args.normalize = None  # its statistics are those of data
    with torch.random.fork_rng(devices=[]):
        model = STTask.build_model(args)
        optimizers = STTask.build_optimizers(args, model)
        schedulers = [make_scheduler(args, i, optimizer) for i, optimizer in enumerate(optimizers, 1)]
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        steppers = make_steppers(model, optimizers, scaler, option_table.build_options(args), torch.device("cpu"))
        train: dict[str, None] = {}
        valid: dict[str, None] = {}
        model.iteration = 1
        batches = list(batches_of(model, tokens.index("t0")))
        for batch in batches:
            outcome = iterate(steppers, [(["trial"], dict(batch))], "trial")
            train |= dict.fromkeys(key for step_stats, _ in outcome.stats for key in step_stats)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            follow(optimizer, scheduler)
        model.eval()
        for batch in batches:
            valid |= dict.fromkeys(validate(model, batch, args.decode))
    greedy = [f"{score}_{s}" for s in model.streams for score in scores(model, s, src_lang)]
    norms = [stepper.norm_name for stepper in steppers]
    return {"train": list(dict.fromkeys([*train, *norms])), "valid": [*valid, *(greedy if args.greedy_every else [])]}


def batches_of(model: Any, first: int) -> Iterator[dict[str, torch.Tensor]]:
    """A made-up batch such as the system trains on, or one of each of its tasks; words are `first` and those after."""
    names = [task.names for task in model.tasks.values()] or [model.data_names]
    for number, wanted in enumerate(names):
        whole = utterance(first, model.reads_waveforms)
        batch = {key: value for key, value in whole.items() if key.removesuffix("_lengths") in wanted}
        yield batch | ({"task": torch.tensor([number])} if model.tasks else {})


@torch.no_grad()
def validate(model: Any, batch: dict[str, torch.Tensor], decode: Any) -> list[str]:
    """What validation reports of a batch, which is decoded too."""
    _, stats, _ = model(**batch)
    limits = {"beam": 2, "nbest": 1, "max_length": 3, "min_ratio": 0.0}
    options = {stream: o.replace(**limits) for stream, o in model.search_options(decode).items()}
    if "task" in batch:
        options = {name: options[name] for name in (model.streams[int(batch["task"])],)}
    given = {name: value for name, value in batch.items() if name.removesuffix("_lengths") in model.inputs}
    model.decode(given, options)
    return list(stats)


def scores(model: Any, stream: str, src_lang: str | None) -> Sequence[str]:
    """What greedy validation calls its figure for a stream."""
    found = model.stream(stream)
    if found.kind != "asr":
        return ["bleu"]
    language = found.language(src_lang, None)
    return [error_metric(language)] if language else ["wer", "cer"]


def tokens_of(langs: Sequence[str]) -> list[str]:
    """A small vocabulary of these languages."""
    special = [f"<{task}_{lang}>" for lang in langs for task in ("asr", "st", "mt")]
    return ["<blank>", "<unk>", *special, *(f"t{i}" for i in range(20)), "<sos/eos>"]


def with_one_block(values: Any) -> Any:
    """A configuration with stacks of one block, since how many there are matters to nothing else."""
    if not isinstance(values, dict):
        return values
    return {name: 1 if name == "num_blocks" else with_one_block(value) for name, value in values.items()}


def utterance(first: int, as_waveform: bool) -> dict[str, torch.Tensor]:
    tokens_BL = torch.arange(first, first + TOKENS)[None]
    speech = torch.randn(1, 160 * FRAMES) if as_waveform else torch.randn(1, FRAMES, 80)
    batch = {"speech": speech, "src_text": tokens_BL, "text": tokens_BL.clone()}
    return batch | {f"{name}_lengths": torch.tensor([value.size(1)]) for name, value in batch.items()}


def make_scheduler(args: argparse.Namespace, number: int, optimizer: torch.optim.Optimizer) -> Any:
    """As ESPnet's task does."""
    suffix = "" if number == 1 else str(number)
    name = getattr(args, f"scheduler{suffix}")
    return None if name is None else scheduler_classes[name](optimizer, **getattr(args, f"scheduler{suffix}_conf"))


def follow(optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
    """Some steps of the schedule; each must give a rate that can be used."""
    if hasattr(scheduler, "end_at"):
        scheduler.end_at(STEPS)
    for _ in range(3):
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        if not all(math.isfinite(rate) and rate >= 0 for rate in rates):
            raise ValueError(f"the learning rate becomes {rates[0]}")
        if isinstance(scheduler, AbsValEpochStepScheduler):
            scheduler.step(1.0)
        elif isinstance(scheduler, AbsBatchStepScheduler | AbsEpochStepScheduler):
            scheduler.step()


def check_criteria(config: Config, metrics: Metrics) -> None:
    """What epochs are judged by must be what they report, each of them."""
    values = {**default_config(), **config.values}
    best = values["best_model_criterion"]
    if len(best) != 1:
        raise TrainError(f"{config.source('best_model_criterion')}: best_model_criterion: {shown(best)}; expected one")
    for option, (phase, key, *_) in (
        ("best_model_criterion", best[0]),
        ("early_stopping_criterion", values["early_stopping_criterion"]),
        ("val_scheduler_criterion", values["val_scheduler_criterion"]),
    ):
        where = f"{config.source(option)}: {option}: {phase} {key}"
        if key not in metrics[phase]:
            raise TrainError(f"{where}: no such value; choose from {', '.join(metrics[phase])}")
        if key.startswith(("wer_", "cer_", "bleu_")) and values["greedy_every"] != 1:
            raise TrainError(f"{where} exists only every {values['greedy_every']} epochs; set greedy_every: 1")
