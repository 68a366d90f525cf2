"""Pictures of a training run: curves.png, and TensorBoard's files."""

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

from espnet_ext.training.history import Epoch

SCORES = ("wer", "bleu")
MIMICRY = {"divergence": ["kl1", "kl2"], "beta": ["beta"]}  # of systems that have these


def plot_curves(folder: Path, history: Sequence[Epoch], tasks: Collection[str] = ()) -> Path:
    """Loss, accuracy (of each task too), mimicry and greedy scores by epoch, train and validation, as `curves.png`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from espnet_ext.infra.files import atomic_open

    scores = sorted({key for entry in history for key in entry["valid"] if key.split("_")[0] in SCORES})
    seen = {key for entry in history for key in entry["train"]}
    panels = [("loss", ["loss", *(f"loss_{task}" for task in tasks)])]
    panels += [("accuracy", ["acc", *(f"acc_{task}" for task in tasks)]), *([("greedy", scores)] if scores else [])]
    panels += [(name, keys) for name, keys in MIMICRY.items() if seen.issuperset(keys)]
    figure = Figure(figsize=(4.5 * len(panels), 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, keys) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for number, phase in enumerate(("train", "valid")):
            for i, key in enumerate(keys):
                points = [(e["epoch"], e[phase][key]) for e in history if key in e[phase]]
                if points:
                    label = phase if len(keys) == 1 and key == keys[0] and title != "greedy" else f"{phase} {key}"
                    style = f"C{i}o-{'-' * (phase == 'train')}" if tasks else f"C{2 * i + number}o-"
                    axes.plot(*zip(*points, strict=True), style, markersize=3, label=label)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small" if tasks else None)
    figure.suptitle(f"{folder.name}: {len(history)} epochs, {history[-1]['seconds'] / 60:.1f} min")
    path = folder / "curves.png"
    with atomic_open(path, "wb") as stream:
        figure.savefig(stream, format="png", dpi=110)
    return path


def write_tensorboard(folder: Path, entry: Epoch) -> None:
    """Append an epoch's figures; opened and closed each time, so that nothing is lost or held open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.utils.tensorboard import SummaryWriter
    with SummaryWriter(str(folder), purge_step=entry["epoch"], filename_suffix=f".{entry['epoch']}") as writer:
        for phase in ("train", "valid"):
            for key, value in entry[phase].items():
                writer.add_scalar(f"{key}/{phase}", value, entry["epoch"])
        for key in (*(key for key in entry if key.startswith("lr")), "utterances_per_second", "memory_gb"):
            writer.add_scalar(key, entry[key], entry["epoch"])
