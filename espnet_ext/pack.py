"""Pack a trained system into one file, which `python -m espnet_ext.translate --exp FILE` reads on another machine."""

import argparse
import hashlib
import json
import os
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from espnet_ext.infra.files import atomic_open

if TYPE_CHECKING:
    from espnet_ext.espnet.experiment import Experiment

MANIFEST = "manifest.json"
FORMAT = "espnet_ext pack 1"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of zip: the same system gives the same bytes
PARTS = ("asr", "mt")  # systems that a pipeline names in its configuration
BLOCK = 1 << 20


class PackError(ValueError):
    """A pack that cannot be made or trusted: the file, the member, what was found and what to do."""


def pack(exp: str | Path, out: str | Path) -> list[str]:
    """Write the experiment, and the parts of a pipeline, to the zip file `out`; returns the names of its members."""
    members = collect(Path(exp))
    entries = {name: describe(source) for name, source in sorted(members.items())}
    manifest = json.dumps({"format": FORMAT, "members": entries}, indent=2, sort_keys=True).encode()
    with atomic_open(out, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_info(MANIFEST), manifest)
        for name in entries:
            source = members[name]
            with archive.open(_info(name), "w", force_zip64=True) as member:
                for block in _blocks(source):
                    member.write(block)
    return list(entries)


def collect(exp: Path, prefix: str = "") -> dict[str, Path | bytes]:
    """What decoding needs, by its name in the pack: a file, or the content of a changed configuration."""
    import yaml

    if not (exp / "config.yaml").exists():
        raise PackError(f"{exp}: no config.yaml; give the folder of a trained system")
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    if "src_lang" not in config:
        raise PackError(f"{exp}: an experiment of ESPnet, not of this project; convert it first")
    members: dict[str, Path | bytes] = {}
    parts = [name for name in PARTS if isinstance(config.get(name), str)]
    for name in parts:
        members |= collect(Path(os.path.normpath(exp / config[name])), f"{prefix}{name}/")
        config[name] = name
    if not parts and not (exp / "model.pth").exists():
        raise PackError(f"{exp}: no model.pth; the training is not finished")
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    members[f"{prefix}config.yaml"] = text.encode()
    files = [exp / "model.pth", exp / "run.json", *sorted((exp / "subwords").rglob("*"))]
    for path in files:
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(exp).parts):
            members[prefix + path.relative_to(exp).as_posix()] = path
    return members


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


def unpack(path: str | Path, folder: str | Path) -> Path:
    """Unpack into `folder`, checking every member against the manifest before it is used."""
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        raise PackError(f"{path}: there is no such file; pack a system with python -m espnet_ext.pack EXP OUT.zip")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise PackError(f"{path}: not a zip file, or its end is missing ({error}); fetch it again") from error
    with archive:
        entries = _manifest(path, archive)
        for info in archive.infolist():
            _refuse_unsafe(path, info)
        found = [info.filename for info in archive.infolist() if info.filename != MANIFEST]
        extra, missing = set(found) - set(entries), set(entries) - set(found)
        if extra or missing or len(found) != len(entries):
            wrong = sorted(extra | missing) or sorted(name for name in found if found.count(name) > 1)
            raise PackError(f"{path}: member '{wrong[0]}' does not agree with {MANIFEST}; pack the system again")
        for name, entry in entries.items():
            _extract(path, archive, name, entry, folder / name)
    return folder


def _manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads(archive.read(MANIFEST))
        if manifest["format"] != FORMAT:
            raise PackError(f"{path}: {MANIFEST} says format '{manifest['format']}', not '{FORMAT}'; pack again")
        return {
            str(name): {"sha256": entry["sha256"], "size": entry["size"]} for name, entry in manifest["members"].items()
        }
    except PackError:
        raise
    except Exception as error:  # whatever a damaged file makes of zip and JSON
        raise PackError(
            f"{path}: member '{MANIFEST}' is missing or damaged ({error}); this is no pack, or fetch it again"
        ) from error


def _refuse_unsafe(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse names that lead out of the folder, and members that are no plain files."""
    name = info.orig_filename
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        raise PackError(f"{path}: member '{name}' would lie outside its folder; do not use this file")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        raise PackError(f"{path}: member '{name}' is not a plain file; do not use this file")


def _extract(path: Path, archive: zipfile.ZipFile, name: str, entry: dict[str, Any], target: Path) -> None:
    """Write one member, never more than the manifest says, and compare its hash."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with archive.open(name) as member, open(target, "wb") as stream:
            while block := member.read(BLOCK):
                size += len(block)
                if size > entry["size"]:
                    break
                digest.update(block)
                stream.write(block)
    except Exception as error:  # whatever a damaged member makes of zip
        raise PackError(f"{path}: member '{name}' is damaged ({error}); fetch the file again") from error
    if size != entry["size"] or digest.hexdigest() != entry["sha256"]:
        target.unlink()
        raise PackError(f"{path}: member '{name}' is not what was packed (its hash differs); fetch the file again")


@contextmanager
def opened(exp: str | Path) -> Iterator[Path]:
    """The folder of an experiment, also of a packed one, which is unpacked for as long as it is in use."""
    exp = Path(exp)
    if exp.is_dir():
        yield exp
        return
    with tempfile.TemporaryDirectory(prefix="espnet_ext.") as folder:
        yield unpack(exp, folder)


def load(exp: str | Path, device: str = "cpu") -> "Experiment":
    """load_experiment for folders and packs; a packed system's files are gone when it is in memory."""
    from espnet_ext.espnet.experiment import load_experiment

    with opened(exp) as folder:
        return load_experiment(folder, device)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.pack", description=__doc__)
    parser.add_argument("exp", type=Path, help="folder of a trained system, e.g. exp/e2e")
    parser.add_argument("out", type=Path, help="file to write, e.g. e2e.zip")
    args = parser.parse_args(arguments)
    try:
        names = pack(args.exp, args.out)
    except (PackError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{args.out}: {len(names)} files of {args.exp}, {args.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
