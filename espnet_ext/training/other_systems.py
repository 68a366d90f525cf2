"""The experiments that another one starts from, or is made of."""

from collections.abc import Mapping
from pathlib import Path

from espnet_ext.training.errors import TrainError

# ours, and then the names that ESPnet's recipes decode with
MODEL_FILES = (
    "model.pth",
    "model.safetensors",
    *(f"valid.{key}.{kind}.pth" for kind in ("ave", "best") for key in ("acc", "loss")),
)


def find_model(wanted_for: str, system: str, folder: Path) -> Path:
    """The model file of a system beside `folder`, of another experiment's folder, or the file itself."""
    places = [folder.parent / system, Path(system)]
    for place in places:
        if place.is_file():
            return place
        for name in MODEL_FILES:
            if (place / name).is_file():
                return place / name
    if (places[0] / "checkpoint.pth").exists():
        raise TrainError(f"{wanted_for}: the training of {places[0]} is not finished; finish it first")
    if system != Path(system).name:  # a path
        raise TrainError(f"{wanted_for}: there is no model in {places[1]}, nor in {places[0]}; train it first")
    raise TrainError(
        f"{wanted_for}: there is no model in {places[0]}; train it first, "
        f'e.g. --systems "{system} {folder.name}", or give the path of an experiment or model file'
    )


def init_sources(table: Mapping[str, str] | None, folder: Path) -> dict[str, tuple[Path, str | None]]:
    """For each part of `init:` the model file, and the part's name there if it is given."""
    found = {}
    for part, source in (table or {}).items():
        system, _, name = str(source).partition(":")
        found[part] = find_model(f"init: {part}: {system}", system, folder), name or None
    return found
