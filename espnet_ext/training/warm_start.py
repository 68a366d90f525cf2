"""`init:` takes parts of other systems' experiments.

`{encoder: asr}`, `{encoder: asr, decoder: mt}`, or `{st_encoder: asr:encoder}` where the names differ.
A peer of a model is a system itself, so `{mt: mt}` takes the whole of another and `{st.encoder: asr}` its encoder.
"""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import torch

from espnet_ext.training.average import load_state
from espnet_ext.training.errors import TrainError
from espnet_ext.training.other_systems import init_sources
from espnet_ext.training.same_subwords import check_subwords

SHOWN = 5  # parameter names in a message


def init_parts(model: torch.nn.Module, table: Mapping[str, str] | None, folder: Path) -> Iterator[str]:
    """Copy parameters into `model`; yields what to tell the user. `folder` is this system's experiment."""
    for part, (path, source_part) in init_sources(table, folder).items():
        yield init_part(model, part, path, source_part, folder)
    frozen = {name.split(".")[0] for name, parameter in model.named_parameters() if not parameter.requires_grad}
    frozen = {part for part in frozen if not getattr(getattr(model, part), "is_pretrained", False)}
    known = {part.split(".")[0] for part in table or ()} | {*getattr(model, "composed_of", ())}
    for part in sorted(frozen - known):
        yield f"WARNING: {part} is frozen and `init:` loads nothing for it, so parts of it stay random"


def init_part(model: torch.nn.Module, part: str, path: Path, source_part: str | None, folder: Path) -> str:
    """Copy what has the same name and shape below `part`; a wrong shape or nothing at all is an error."""
    own = {name: value for name, value in model.state_dict().items() if is_below(name, part)}
    if not own:
        tops = ", ".join(sorted({name.split(".")[0] for name in model.state_dict()}))
        raise TrainError(f"init: {part}: this model has no such part; it has {tops}")
    if source_part is None:
        is_peer = part.split(".")[0] in getattr(model, "peers", ())
        source_part = part.partition(".")[2] if is_peer else part
    theirs = {moved(n, source_part, part): v for n, v in load_state(path).items() if is_below(n, source_part)}
    common = [name for name in own if name in theirs]
    rows = {name: len(theirs[name]) for name in common if theirs[name].dim()}
    check_subwords(part, rows, path, folder)
    for name in common:
        if own[name].shape != theirs[name].shape:
            raise TrainError(
                f"init: {part} from {path}: {name} has shape {tuple(theirs[name].shape)} there and "
                f"{tuple(own[name].shape)} here; make the two configurations agree, or name a smaller part"
            )
    if not common:
        raise TrainError(f"init: {part} from {path}: nothing in {source_part or 'all'} there fits; nothing was loaded")
    with torch.no_grad():
        for name in common:
            own[name].copy_(theirs[name])
    loaded = sum(own[name].numel() for name in common)
    report = f"init: {part} from {path}: {len(common)} of {len(own)} tensors loaded ({loaded:,} numbers)"
    missing, extra = own.keys() - theirs.keys(), theirs.keys() - own.keys()
    return report + named("not there", missing) + named("there but not here", extra)


def is_below(name: str, part: str) -> bool:
    return part in ("", name) or name.startswith(part + ".")


def moved(name: str, source_part: str, part: str) -> str:
    """The name below `part` of what has this name below `source_part`."""
    return part + name.removeprefix(source_part) if source_part else f"{part}.{name}"


def named(title: str, names: Set[str]) -> str:
    """A count and the first names, or nothing."""
    if not names:
        return ""
    return f"; {title}: {len(names)} ({', '.join(sorted(names)[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
