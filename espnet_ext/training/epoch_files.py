"""What an epoch and a run leave behind, beside the checkpoint."""

from collections.abc import Callable
from typing import Any

from espnet_ext.infra.weights import DamagedError
from espnet_ext.training.average import average_states
from espnet_ext.training.checkpoint import Position, save
from espnet_ext.training.curves import write_tensorboard
from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import Epoch, ranked, write_history
from espnet_ext.training.options import TrainOptions
from espnet_ext.training.progress import clock, say
from espnet_ext.training.provenance import update_run

State = dict[str, Any]


def keep_best(options: TrainOptions, position: Position) -> None:
    """Delete all but the n best epochs' models; history and run.json follow the checkpoint."""
    best = set(ranked(position.history, options.criterion)[: options.nbest])
    for path in options.folder.glob("*epoch.pth"):
        number = path.name.removesuffix("epoch.pth")
        if number.isdigit() and int(number) not in best:
            path.unlink(missing_ok=True)
    update_run(options.folder, training_seconds=round(position.seconds, 1))
    write_history(options.folder / "history.jsonl", position.history)


def report(options: TrainOptions, entry: Epoch) -> None:
    """Say, and draw in TensorBoard, how an epoch went."""
    phases = ("train", "valid")
    shown = [f"{p} " + ", ".join(f"{k} {v:.3f}" for k, v in entry[p].items() if k != "grad_norm") for p in phases]
    say(
        f"epoch {entry['epoch']}/{options.max_epoch}: {'; '.join(shown)}; lr {entry['lr']:.2e}, "
        f"{entry['utterances_per_second']:.1f} utterances/s, {entry['memory_gb']:.1f} GB, {clock(entry['seconds'])}"
    )
    if options.use_tensorboard:
        write_tensorboard(options.folder / "tensorboard", entry)


def write_model(options: TrainOptions, position: Position, complete: Callable[[State], State]) -> None:
    """model.pth: the mean of the n best epochs, with what `complete` adds."""
    keep_best(options, position)
    best = ranked(position.history, options.criterion)[: options.nbest]
    try:
        state = average_states([options.folder / f"{epoch}epoch.pth" for epoch in best])
    except (DamagedError, FileNotFoundError) as error:
        raise TrainError(
            f"{error}; model.pth is the mean of the best epochs: move {options.folder} away to train again"
        ) from error
    save(options.folder / "model.pth", complete(state), "The epochs' models and the checkpoint are whole.")
    phase, key, _ = options.criterion
    value = position.history[best[0] - 1][phase][key]
    say(f"{options.folder / 'model.pth'}: mean of epochs {', '.join(map(str, best))}; best {phase} {key} {value:.3f}")
