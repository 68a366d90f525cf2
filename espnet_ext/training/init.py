"""`init:` takes parts of other systems' experiments.

`{encoder: asr}`, `{encoder: asr, decoder: mt}`, or `{st_encoder: asr:encoder}` where the names differ.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from espnet_ext.training.average import load_state
from espnet_ext.training.errors import TrainError

# ours, and then the names that ESPnet's recipes decode with
MODEL_FILES = ("model.pth", *(f"valid.{key}.{kind}.pth" for kind in ("ave", "best") for key in ("acc", "loss")))
SHOWN = 5  # parameter names in a message


def init_parts(model: torch.nn.Module, table: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Copy parameters into `model`; yields what to tell the user. `folder` is this system's experiment."""
    for part, source in (table or {}).items():
        system, _, source_part = source.partition(":")
        path = find_model(part, system, folder)
        yield init_part(model, part, path, source_part or part)


def find_model(part: str, system: str, folder: Path) -> Path:
    """The model file of a system beside this one, of another experiment's folder, or the file itself."""
    places = [folder.parent / system, Path(system)]
    for place in places:
        if place.is_file():
            return place
        for name in MODEL_FILES:
            if (place / name).is_file():
                return place / name
    if (folder.parent / system / "checkpoint.pth").exists():
        raise TrainError(f"init: {part}: {system}: its training is not finished; finish it first")
    raise TrainError(
        f"init: {part}: {system}: no model.pth in {places[0]}; train it first, "
        f'e.g. --systems "{system} {folder.name}", or give the path of an experiment or model file'
    )


def sources(table: Mapping[str, str], folder: Path) -> list[Path]:
    """The files that `init` reads: inputs of this experiment."""
    return [find_model(part, source.partition(":")[0], folder) for part, source in (table or {}).items()]


def init_part(model: torch.nn.Module, part: str, path: Path, source_part: str) -> str:
    """Copy what has the same name and shape below `part`; a wrong shape or nothing at all is an error."""
    own = {name: value for name, value in model.state_dict().items() if is_below(name, part)}
    if not own:
        tops = ", ".join(sorted({name.split(".")[0] for name in model.state_dict()}))
        raise TrainError(f"init: {part}: the model has no such part; it has {tops}")
    theirs = {part + n[len(source_part) :]: v for n, v in load_state(path).items() if is_below(n, source_part)}
    common = [name for name in own if name in theirs]
    for name in common:
        if own[name].shape != theirs[name].shape:
            raise TrainError(
                f"init: {part} from {path}: {name} has shape {tuple(theirs[name].shape)} there and "
                f"{tuple(own[name].shape)} here; make the two configurations agree, or name a smaller part"
            )
    if not common:
        raise TrainError(f"init: {part} from {path}: nothing there is called {source_part}; nothing was loaded")
    with torch.no_grad():
        for name in common:
            own[name].copy_(theirs[name])
    loaded = sum(own[name].numel() for name in common)
    report = f"init: {part} from {path}: {len(common)} of {len(own)} tensors loaded ({loaded:,} numbers)"
    return (
        report
        + named("not there", own.keys() - theirs.keys())
        + named("there but not here", theirs.keys() - own.keys())
    )


def is_below(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def named(title: str, names: set[str]) -> str:
    """A count and the first names, or nothing."""
    if not names:
        return ""
    return f"; {title}: {len(names)} ({', '.join(sorted(names)[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
