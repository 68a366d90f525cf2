"""Pack a trained system into one file."""

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.packing import card
from espnet_ext.packing.layout import BLOCK, CARD, FORMAT, MANIFEST, PARTS, WEIGHTS, PackError, largest

EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of zip: the same system gives the same bytes
Members = dict[str, Path | bytes]  # a file, or the content of a changed one


def pack(exp: str | Path, out: str | Path, weights: str = "safetensors", license: str = card.UNKNOWN) -> list[str]:
    """Write the experiment, and the parts of a pipeline, to the zip file `out`; returns the names of its members."""
    members = collect(Path(exp), weights)
    members[CARD] = card.write(Path(exp), license).encode()
    entries = {name: describe(source) for name, source in sorted(members.items())}
    for name, entry in entries.items():
        if entry["size"] > (largest(name) or 0):
            raise PackError(f"{exp}: {name} has {entry['size']} bytes; a pack holds at most {largest(name) or 0} of it")
    manifest = json.dumps({"format": FORMAT, "members": entries}, indent=2, sort_keys=True).encode()
    with atomic_open(out, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_info(MANIFEST), manifest)
        for name in entries:
            source = members[name]
            with archive.open(_info(name), "w", force_zip64=True) as member:
                for block in _blocks(source):
                    member.write(block)
    return list(entries)


def collect(exp: Path, weights: str = "safetensors", prefix: str = "") -> Members:
    """What decoding needs, by its name in the pack."""
    import yaml

    if not (exp / "config.yaml").exists():
        raise PackError(f"{exp}: no config.yaml; give the folder of a trained system")
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    if "src_lang" not in config:
        raise PackError(f"{exp}: an experiment of ESPnet, not of this project; convert it first")
    members: Members = {}
    parts = [name for name in PARTS if isinstance(config.get(name), str)]
    for name in parts:
        members |= collect(Path(os.path.normpath(exp / config[name])), weights, f"{prefix}{name}/")
        config[name] = name
    if not parts or any((exp / name).exists() for name in WEIGHTS):
        name, source = _weights(exp, weights)
        members[prefix + name] = source
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    members[f"{prefix}config.yaml"] = text.encode()
    for path in [exp / "run.json", *sorted((exp / "subwords").rglob("*"))]:
        name = prefix + path.relative_to(exp).as_posix()
        if path.is_file() and largest(name) is not None:
            members[name] = path
    return members


def _weights(exp: Path, kind: str) -> tuple[str, Path | bytes]:
    """The name of the weights in the pack, and what it holds."""
    found = next((exp / name for name in WEIGHTS if (exp / name).exists()), None)
    if found is None:
        raise PackError(f"{exp}: no model.pth; the training is not finished")
    if found.suffix == f".{kind}":
        return found.name, found
    from espnet_ext.infra.weights import load_tensors

    state = load_tensors(found)
    if kind == "safetensors":
        import safetensors.torch

        # Each tensor by itself: a matrix that two layers share is stored twice.
        apart = {name: value.detach().clone().contiguous() for name, value in state.items()}
        return "model.safetensors", safetensors.torch.save(apart)
    import io

    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return "model.pth", buffer.getvalue()


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    return info


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with open(source, "rb") as stream:
        while block := stream.read(BLOCK):
            yield block


def describe(source: Path | bytes) -> dict[str, Any]:
    """Size and hash of a member."""
    digest, size = hashlib.sha256(), 0
    for block in _blocks(source):
        digest.update(block)
        size += len(block)
    return {"sha256": digest.hexdigest(), "size": size}
