"""The training loop, behind the interface of ESPnet's Trainer so that AbsTask runs it."""

import argparse
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from espnet2.schedulers.abs_scheduler import AbsBatchStepScheduler, AbsEpochStepScheduler, AbsValEpochStepScheduler

from espnet_ext.infra.files import write_json
from espnet_ext.training import epoch_files
from espnet_ext.training import options as option_table
from espnet_ext.training.checkpoint import Checkpoint, Position, rng_state, save, set_rng_state
from espnet_ext.training.curves import plot_curves
from espnet_ext.training.errors import Interrupted, TrainError, describe_batch
from espnet_ext.training.history import epochs_since_best
from espnet_ext.training.meter import Meter
from espnet_ext.training.options import TrainOptions
from espnet_ext.training.prefetch import prefetch, to_device
from espnet_ext.training.progress import Progress, clock, peak_memory, say
from espnet_ext.training.provenance import read_run, update_run
from espnet_ext.training.schedules import oddities
from espnet_ext.training.signals import StopRequest, stop_requests
from espnet_ext.training.step import iterate, make_steppers
from espnet_ext.training.validate import validate
from espnet_ext.training.warm_start import init_parts

MAX_BAD_STEPS = 10  # in a row: after these it is not bad luck


class Trainer:
    """What ESPnet's AbsTask asks for."""

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        option_table.add_arguments(parser)

    @classmethod
    def build_options(cls, args: argparse.Namespace) -> TrainOptions:
        return option_table.build_options(args)

    @classmethod
    def run(
        cls,
        model: torch.nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[Any],
        train_iter_factory: Any,
        valid_iter_factory: Any,
        plot_attention_iter_factory: Any,
        trainer_options: TrainOptions,
        distributed_option: Any,
    ) -> None:
        loop = Loop(model, optimizers, schedulers, train_iter_factory, valid_iter_factory, trainer_options)
        with stop_requests() as stop:
            loop.run(stop)


class Loop:
    """One training run: epochs of steps, validation, checkpoints; the averaged model at the end."""

    def __init__(
        self,
        model: Any,
        optimizers: Sequence[torch.optim.Optimizer],
        schedulers: Sequence[Any],
        train: Any,
        valid: Any,
        options: TrainOptions,
    ) -> None:
        self.model, self.train, self.valid, self.options = model, train, valid, options
        self.optimizers, self.schedulers = optimizers, schedulers
        self.device = next(model.parameters()).device
        self.distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        self.rank = torch.distributed.get_rank() if self.distributed else 0
        scaler = torch.amp.GradScaler(self.device.type, enabled=options.amp == "fp16")
        self.suffixes = ["", *(f"_{name}" for name in getattr(model, "phases", ())[1:])]  # of what each phase has
        parts = {"model": model, "scaler": scaler}
        for suffix, optimizer, scheduler in zip(self.suffixes, optimizers, schedulers, strict=True):
            parts |= {f"optimizer{suffix}": optimizer, f"scheduler{suffix}": scheduler}
        options.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = Checkpoint(options.folder, {name: part for name, part in parts.items() if part is not None})
        self.position = Position()
        updates = options.max_epoch * -(-train.num_batches(1) // options.accum_grad)
        for scheduler in schedulers:
            if hasattr(scheduler, "end_at"):
                scheduler.end_at(updates)
        self._describe()
        self._restore()
        for suffix, scheduler in zip(self.suffixes, schedulers, strict=True):
            last = self.position.history[-1].get(f"lr{suffix}") if self.position.history else None
            for oddity in oddities(scheduler, updates, last):
                say(oddity)
        self.steppers = make_steppers(model, optimizers, scaler, options, self.device)
        self.stop = StopRequest()
        self.meter = Meter()

    def _describe(self) -> None:
        parameters = sum(p.numel() for p in self.model.parameters())
        if self.rank == 0:
            update_run(self.options.folder, parameters=parameters)
        for name, data in (("training", self.train), ("validation", self.valid)):
            if data.dropped:
                say(f"{data.dropped} {name} utterances are left out: longer than max_frames or max_tokens")
        say(f"{parameters:,} parameters; {self.train.num_batches(1)} batches per epoch")
        if about := getattr(self.train, "about", ""):
            say(f"batches of an epoch by task: {about}")

    def _restore(self) -> None:
        """Go on from the checkpoint, or else start from other systems' parts."""
        if not self.checkpoint.path.exists():
            if self.rank:
                torch.manual_seed(self.options.seed + self.rank)  # every rank drops other units
            for line in init_parts(self.model, self.options.init, self.options.folder):
                say(line)
            return
        self.position, rngs = self.checkpoint.load()
        say(f"{self.checkpoint.path}: resumed at {self.checkpoint.saved}, after {clock(self.position.seconds)}")
        if self.rank < len(rngs):
            set_rng_state(rngs[self.rank])
        else:
            torch.manual_seed(self.options.seed + self.rank + 1000 * self.position.step)

    def run(self, stop: StopRequest) -> None:
        """Train to the end, or until asked to stop."""
        self.stop = stop
        self.clock_started = time.monotonic()
        self._record_amp()
        try:
            while not self._is_over():
                self.train_epoch()
                self._finish_epoch()
        except Interrupted:
            if self.rank == 0 and self.position.history:
                plot_curves(self.options.folder, self.position.history, self.options.tasks)
            say(f"stopped by signal {stop.number} at {self.checkpoint.saved}; all is saved; the same command resumes")
            raise SystemExit(128 + (stop.number or 0)) from None
        if self.rank == 0:
            epoch_files.write_model(self.options, self.position, self._completed)
            plot_curves(self.options.folder, self.position.history, self.options.tasks)
        if self.distributed:
            torch.distributed.barrier()

    def _completed(self, state: epoch_files.State) -> epoch_files.State:
        """A model's parameters with what it makes once of training examples, such as the embeddings of its tasks."""
        complete = getattr(self.model, "complete", None)
        if complete is None:
            return state
        self.model.load_state_dict(state)
        self.model.eval()
        items = prefetch(self.train.build_iter(1), lambda item: to_device(item, self.device))
        if found := complete(items):
            write_json(self.options.folder / "task_embeddings.json", found)
        return self.model.state_dict()

    def _record_amp(self) -> None:
        """In run.json, the number formats that this run's steps were made in."""
        if self.rank or self._is_over():
            return
        used = read_run(self.options.folder).get("amp", []) if self.position.step else []
        if used[-1:] != [self.options.amp]:
            update_run(self.options.folder, amp=[*used, self.options.amp])

    def _is_over(self) -> bool:
        p, o = self.position, self.options
        if p.history and o.patience is not None:
            stale = epochs_since_best(p.history, o.early_stopping_criterion)
            if stale > o.patience:
                say(f"no better {' '.join(o.early_stopping_criterion[:2])} for {stale} epochs, so training ends early")
                return True
        return p.epoch > o.max_epoch

    def train_epoch(self) -> None:
        """Take what is left of the epoch, a group of batches at a time."""
        p = self.position
        self.meter = Meter(p.meter if self.rank == 0 else None)
        batches = self.train.num_batches(p.epoch)
        title = f"epoch {p.epoch}/{self.options.max_epoch}"
        left, tasks = self.options.max_epoch - p.epoch, self.options.tasks
        self.progress = Progress(title, p.batch, batches, left, self.device, tasks)
        self.model.train()
        self.saved_at = time.monotonic()
        if p.batch >= batches:
            return
        items = prefetch(self.train.build_iter(p.epoch, start_batch=p.batch), lambda item: to_device(item, self.device))
        for group in grouped(items, self.options.accum_grad):
            self._step(group)
            p.batch += len(group)
            if self.rank == 0 and self.progress.is_due():
                self.progress.show(p.batch, self.meter.own_means())
            self._save_if_due()

    def _step(self, group: list[tuple[list[str], dict[str, Any]]]) -> None:
        p = self.position
        place = f"epoch {p.epoch}, batch {p.batch + 1}"
        self.model.iteration = p.step + 1
        outcome = iterate(self.steppers, group, place)
        p.step += 1
        self.progress.utterances += sum(len(utt_ids) for utt_ids, _ in group)
        if outcome.updated:
            p.skipped_in_a_row = 0
            for stats, weight in outcome.stats:
                self.meter.add(stats, weight)
        else:
            p.skipped += 1
            p.skipped_in_a_row += outcome.is_bad
        for scheduler in self.schedulers:
            if isinstance(scheduler, AbsBatchStepScheduler):
                scheduler.step()
        if p.skipped_in_a_row >= MAX_BAD_STEPS:
            which = "; ".join(describe_batch(utt_ids, batch) for utt_ids, batch in group)
            raise TrainError(
                f"{place}: loss or gradient was NaN or infinite in {MAX_BAD_STEPS} steps in a row, last with {which}. "
                "Look at these utterances, lower the learning rate, or set amp: none."
            )
        if outcome.is_bad:
            ids = " ".join(utt_id for utt_ids, _ in group for utt_id in utt_ids)
            say(f"{place}: loss or gradient is NaN or infinite, step skipped ({p.skipped_in_a_row} in a row): {ids}")

    def _save_if_due(self) -> None:
        """Save every `checkpoint_minutes` and when asked to stop; all processes decide alike."""
        is_due = time.monotonic() - self.saved_at > 60 * self.options.checkpoint_minutes
        stop = self.stop.is_made
        if self.distributed:
            wishes = torch.tensor([stop, is_due], dtype=torch.int32, device=self.device)
            torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
            stop, is_due = wishes.tolist()
        if stop or is_due:
            self._save()
        if stop:
            raise Interrupted

    def _save(self) -> None:
        p = self.position
        p.meter = self.meter.state()
        p.seconds += time.monotonic() - self.clock_started
        self.clock_started = self.saved_at = time.monotonic()
        rngs = [rng_state()]
        if self.distributed:
            rngs = [{} for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather_object(rngs, rng_state())
        if self.rank == 0:
            self.checkpoint.save(p, rngs)

    def _finish_epoch(self) -> None:
        """Validate, schedule, and make the epoch's files; a kill between any two of them loses nothing."""
        p, o = self.position, self.options
        speed = self.progress.speed()
        greedy = bool(o.greedy_every) and (p.epoch % o.greedy_every == 0 or p.epoch == o.max_epoch)
        rng = rng_state()
        try:
            valid = validate(self.model, self.valid, p.epoch, o, greedy, self.stop)
        except Interrupted:
            self._save()
            raise
        set_rng_state(rng)  # what validation draws must not matter
        entry = {
            "epoch": p.epoch,
            "step": p.step,
            "skipped": p.skipped,
            **{f"lr{s}": o.param_groups[0]["lr"] for s, o in zip(self.suffixes, self.optimizers, strict=True)},
            "utterances_per_second": round(speed, 2),
            "memory_gb": round(peak_memory(self.device), 3),
            "seconds": round(p.seconds + time.monotonic() - self.clock_started, 1),
            "train": self.meter.means(),
            "valid": valid,
        }
        p.history.append(entry)
        for scheduler in self.schedulers:
            if isinstance(scheduler, AbsValEpochStepScheduler):
                phase, key = o.val_scheduler_criterion
                scheduler.step(entry[phase][key])
            elif isinstance(scheduler, AbsEpochStepScheduler):
                scheduler.step()
        if self.rank == 0:
            kept = f"The checkpoint of {self.checkpoint.saved} is whole." if self.checkpoint.saved else ""
            save(o.folder / f"{p.epoch}epoch.pth", self.model.state_dict(), kept)
        p.epoch, p.batch, self.meter = p.epoch + 1, 0, Meter()
        self._save()
        if self.rank == 0:
            epoch_files.keep_best(o, p)
            epoch_files.report(o, entry)


def grouped(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items; the last may be shorter."""
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group
