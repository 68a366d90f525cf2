"""What an unpacked system says of itself, checked before it is built: types, sizes, and that its weights fit."""

import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from espnet_ext.packing.layout import PARTS, WEIGHTS, PackError

MOST_VALUES = 1_000_000  # of a configuration, aliases written out
DEEPEST = 20
LANGUAGE = re.compile(r"[\w-]{1,64}", re.ASCII)
SECTIONS = ("model", "encoder", "decoder", "frontend", "specaug", "normalize", "ctc")  # `<name>_conf` builds the model
LARGEST_OPTION = 10_000  # of what a system adds to its parts
LARGEST_NUMBER = 100_000  # no width, depth or length of a layer is larger
WIDEST_BEAM = 1000


def check(folder: Path) -> None:
    """Refuse an unpacked system that is not what training writes."""
    from espnet_ext import models

    config = read_yaml(folder / "config.yaml")
    check_types(config)
    weights = [folder / name for name in WEIGHTS if (folder / name).exists()]
    if weights:
        shapes = shapes_of(weights[0])
        if not models.find(config["model"]).composed_of:  # what is made of others has checked parts and little more
            check_fits(config, shapes, folder)


def read_yaml(path: Path) -> dict[str, Any]:
    """A configuration; its values are counted, with aliases written out, before any of them is built."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = path.read_text(encoding="utf-8")
    sizes: dict[str, int] = {}  # of what an anchor names
    open_: list[list[Any]] = [[None, 0]]  # anchor and size of each collection that has begun
    for event in yaml.parse(text, loader):
        size = 0
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append([event.anchor, 1])
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = open_.pop()
            sizes |= {anchor: size} if anchor else {}
        elif isinstance(event, yaml.ScalarEvent):
            size = 1
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise PackError("config.yaml: something in it holds itself")
            size = sizes[event.anchor]
        open_[-1][1] += size
        if open_[-1][1] > MOST_VALUES or len(open_) > DEEPEST:
            raise PackError(f"config.yaml: over {MOST_VALUES} values, or over {DEEPEST} within each other")
    return yaml.load(text, loader)


def check_types(config: Any) -> None:
    """Only what training writes, and no path; the part of a pipeline is the member of that name."""
    from espnet_ext import models

    if not isinstance(config, dict) or not all(isinstance(name, str) for name in config):
        raise PackError("config.yaml: no list of options")
    needed = [name for name in ("model", "src_lang", "tgt_lang", "subwords") if name not in config]
    if needed:
        raise PackError(f"config.yaml: does not say {needed[0]}; only systems of this project are packed")
    if config["model"] not in models.NAMES:
        raise PackError(f"config.yaml: model {str(config['model'])[:40]!r}; choose from {', '.join(models.NAMES)}")
    for name in ("src_lang", "tgt_lang"):
        if config[name] is not None and not (isinstance(config[name], str) and LANGUAGE.fullmatch(config[name])):
            raise PackError(f"config.yaml: {name} is not the code of a language")
    for name in ("src_token_list", "token_list"):
        value = config.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(token, str) for token in value)):
            raise PackError(f"config.yaml: {name} is not a list of tokens; a path is not taken")
    for name in PARTS:
        if config.get(name) not in (None, name):
            raise PackError(f"config.yaml: {name} leads out of the pack")
    for name in SECTIONS:
        check_section(name, config.get(f"{name}_conf"), LARGEST_OPTION if name == "model" else LARGEST_NUMBER)
    check_section("mt_peer", config.get("mt_peer"))
    check_section("decode", config.get("decode"))
    check_value("input_size", config.get("input_size"))


def check_section(name: str, section: Any, most: float = LARGEST_NUMBER) -> None:
    if section is not None and not isinstance(section, dict):
        raise PackError(f"config.yaml: {name} is not a section of options")
    for key, value in (section or {}).items():
        if key not in ("optim_conf", "scheduler_conf", "stats_file"):  # of a training that is over
            check_value(f"{name}: {key}", value, WIDEST_BEAM if key in ("beam", "nbest") else most)


def check_value(name: str, value: Any, most: float = LARGEST_NUMBER) -> None:
    """A short text, a number within bounds, or a list or section of these."""
    if isinstance(value, dict):
        check_section(name, value)
    elif isinstance(value, list) and len(value) <= 1000:
        for item in value:
            check_value(name, item)
    elif isinstance(value, (int, float)):
        if not (math.isfinite(value) and abs(value) <= most):
            raise PackError(f"config.yaml: {name} is over {most}")
    elif not (value is None or (isinstance(value, str) and len(value) <= 1000)):
        raise PackError(f"config.yaml: {name} is neither a number nor a short text")


def shapes_of(weights: Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the parameters, as they lie in the file."""
    if weights.suffix == ".safetensors":
        from safetensors import safe_open

        with safe_open(weights, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    from espnet_ext.infra.weights import DamagedError, load_tensors

    with zipfile.ZipFile(weights) as archive:  # as torch.save writes it: torch would unpack what is compressed
        infos = archive.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise PackError(f"{weights.name}: is compressed, which torch.save does not do")
        if sum(info.file_size for info in infos) > weights.stat().st_size:
            raise PackError(f"{weights.name}: its members are larger than the file")
    try:
        state = load_tensors(weights)
    except DamagedError:  # torch's message says how to load it all the same
        raise PackError(f"{weights.name}: holds more than tensors, or is damaged; do not use this file") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and hasattr(v, "shape") for name, v in state.items()
    ):
        raise PackError(f"{weights.name}: does not hold parameters by their names")
    return {name: tuple(value.shape) for name, value in state.items()}


def check_fits(config: dict[str, Any], shapes: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Build the model without memory for its numbers, and no further than its weights go; compare the two."""
    import argparse

    import torch

    from espnet_ext.espnet.task import STTask, default_config

    conf = {name: value for name, value in (config.get("normalize_conf") or {}).items() if name != "stats_file"}
    built = {**default_config(), **config, "normalize_conf": conf, "output_dir": str(folder)}
    numbers = sum(math.prod(shape) for shape in shapes.values())
    with torch.device("meta"), budget(2 * len(shapes) + 1000, 2 * numbers + 1_000_000):
        model = STTask.build_model(argparse.Namespace(**built))
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in [*wanted, *shapes]:
        if wanted.get(name) != shapes.get(name):
            found = (
                f"{name} is {list(shapes.get(name, ()))} in the weights, {list(wanted.get(name, ()))} by config.yaml"
            )
            raise PackError(f"{found}; these do not belong together")


@contextmanager
def budget(tensors: int, numbers: int) -> Iterator[None]:
    """Stop whatever builds more parameters than these, or many more layers."""
    from torch.nn.modules import module as hooks

    used = {"tensors": 0, "numbers": 0, "layers": 0}

    def count(name: str, more: int, most: int) -> None:
        used[name] += more
        if used[name] > most:
            raise PackError("config.yaml: describes a larger model than its weights")

    def parameter(module: Any, name: str, value: Any) -> None:
        if value is not None:
            count("tensors", 1, tensors)
            count("numbers", value.numel(), numbers)

    def layer(module: Any, name: str, value: Any) -> None:
        count("layers", 1, 20 * tensors)

    handles = [
        hooks.register_module_parameter_registration_hook(parameter),
        hooks.register_module_module_registration_hook(layer),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
