"""What must not change in an experiment once it is begun, and how a change is told."""

from pathlib import Path
from typing import Any

from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import read_history
from espnet_ext.training.provenance import read_run

# options that may change in mid-training
HARMLESS = {"max_epoch", "patience", "checkpoint_minutes", "greedy_every", "greedy_utterances", "use_tensorboard"}
HARMLESS |= {"num_workers", "decode", "log_level"}
HARMLESS |= {"amp"}  # in mid-training only, see refuse_other_amp
SHOWN = 6  # changes in a message


def refuse_changes(exp: Path, settings: dict[str, Any], amp: str) -> None:
    """Never go on from, or overwrite, what was trained with other settings."""
    before = read_run(exp).get("settings")
    trained = [exp / name for name in ("checkpoint.pth", "model.pth") if (exp / name).exists()]
    if not trained:
        return
    if before is None:
        raise TrainError(
            f"{exp / 'run.json'} does not say what {trained[0].name} was trained from: put that file back. To train "
            "again from the beginning, move or delete the folder."
        )
    old, new = (
        flat({**s, "config": {k: v for k, v in s["config"].items() if k not in HARMLESS}}) for s in (before, settings)
    )
    changed = [name for name in sorted(old | new) if old.get(name) != new.get(name)]
    if changed:
        shown = [describe_change(name, old.get(name), new.get(name)) for name in changed[:SHOWN]]
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise TrainError(
            f"{exp} was trained with other data or settings: {'; '.join(shown)}{more}. "
            "To train again from the beginning, move or delete that folder; to keep both, give another --exp."
        )
    epochs = len(read_history(exp / "history.jsonl")) if (exp / "history.jsonl").exists() else 0
    most = settings["config"].get("max_epoch")
    if most is not None and epochs > most:
        raise TrainError(
            f"{exp} has {epochs} trained epochs, and max_epoch is now {most}. To train only {most}, move or delete "
            f"that folder; to keep what is there, set max_epoch: {epochs}."
        )
    begun = read_run(exp).get("amp") or [before["config"].get("amp", "none")]
    refuse_other_amp(exp, begun[-1], settings["config"].get("amp", "auto"), amp, epochs == most)


def refuse_other_amp(exp: Path, begun: str, wish: str, amp: str, is_over: bool) -> None:
    """Number formats change within a training only if its user says so."""
    if amp == begun:
        return
    if is_over:
        raise TrainError(
            f"{exp} was trained with amp: {begun}, and is finished, so amp: {amp} has no effect. Give --set "
            f"amp={begun} to keep it; to train again from the beginning, move or delete that folder."
        )
    if wish == "auto":
        raise TrainError(
            f"{exp} was begun with amp: {begun}, and amp: auto means {amp} on this machine. Give --set amp={begun} to "
            f"resume as before, or --set amp={amp} to change it from here on."
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
