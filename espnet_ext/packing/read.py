"""Read a pack that anybody may have made: sizes are bounded before anything is read, and no path is taken from it."""

import hashlib
import io
import json
import re
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from espnet_ext.infra.lines import visible
from espnet_ext.packing.layout import (
    BLOCK,
    FORMAT,
    FORMATS,
    LARGEST_MANIFEST,
    MANIFEST,
    MOST_MEMBERS,
    PARTS,
    PackError,
    largest,
)

if TYPE_CHECKING:
    from espnet_ext.espnet.experiment import Experiment

MOST_AT_ONCE = 4 << 20  # bytes that zipfile may ask for, such as the list of members
HASH = re.compile(r"[0-9a-f]{64}")


class _Bounded(io.BufferedReader):
    """A file that does not let itself be read whole."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            here = self.tell()
            size = self.seek(0, io.SEEK_END) - here
            self.seek(here)
        if size > MOST_AT_ONCE:
            name = visible(str(getattr(self.raw, "name", "")))
            raise PackError(f"{name}: its list of members has {size} bytes; do not use this file")
        return super().read(size)


def load(exp: str | Path, device: str = "cpu") -> "Experiment":
    """load_experiment for folders and packs; a packed system's files are gone when it is in memory."""
    from espnet_ext.espnet.experiment import load_experiment

    exp = Path(exp)
    if exp.is_dir():
        return load_experiment(exp, device)
    with tempfile.TemporaryDirectory(prefix="espnet_ext.") as folder:
        unpack(exp, folder)
        from espnet_ext.packing import trust

        try:
            parts = [Path(folder) / part for part in PARTS if (Path(folder) / part).is_dir()]
            for part in [*parts, Path(folder)]:
                trust.check(part)
            found = load_experiment(folder, device)
            found.model.search_options(found.config.get("decode"))
            return found
        except Exception as error:  # whatever a hostile configuration makes of YAML, torch, ESPnet and SentencePiece
            said = " ".join(str(error).replace(f"{folder}/", "").split())[:300]
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            raise PackError(f"{exp}: this system cannot be loaded: {visible(kind + said)}") from error


def unpack(path: str | Path, folder: str | Path) -> Path:
    """Unpack into `folder`, checking every member against the manifest before it is used."""
    path, folder = Path(path), Path(folder)
    if not path.is_file():
        raise PackError(f"{path}: there is no such file; pack a system with python -m espnet_ext.pack EXP OUT.zip")
    try:
        archive = zipfile.ZipFile(_Bounded(io.FileIO(path)))
    except PackError:
        raise
    except Exception as error:  # whatever a damaged file makes of zipfile
        raise PackError(f"{path}: not a zip file, or its end is missing ({error}); fetch it again") from error
    with archive:
        infos = archive.infolist()
        if len(infos) > MOST_MEMBERS or sum(info.file_size for info in infos) > path.stat().st_size:
            raise PackError(f"{path}: its members are too many, or larger than the file; do not use this file")
        for info in infos:
            _refuse_unsafe(path, info)
        entries = _manifest(path, archive)
        found = [info.filename for info in infos if info.filename != MANIFEST]
        extra, missing = set(found) - set(entries), set(entries) - set(found)
        if extra or missing or len(found) != len(entries):
            wrong = sorted(extra | missing) or sorted(name for name in found if found.count(name) > 1)
            raise PackError(f"{path}: member '{visible(wrong[0])}' does not agree with {MANIFEST}; pack again")
        for name, entry in entries.items():
            _extract(path, archive, name, entry, folder / name)
    return folder


def _refuse_unsafe(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse names that lead out of the folder, members that are no plain files, and what is too large for its kind."""
    name, shown = info.orig_filename, visible(info.orig_filename[:200])
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or ":" in name or "\0" in name:
        raise PackError(f"{path}: member '{shown}' would lie outside its folder; do not use this file")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG) or info.is_dir():
        raise PackError(f"{path}: member '{shown}' is not a plain file; do not use this file")
    if info.compress_type != zipfile.ZIP_STORED:
        raise PackError(f"{path}: member '{shown}' is compressed, which packs are not; do not use this file")
    most = LARGEST_MANIFEST if name == MANIFEST else largest(name)
    if most is None:
        raise PackError(f"{path}: member '{shown}' is nothing that a pack holds; do not use this file")
    if info.file_size > most:
        raise PackError(f"{path}: member '{shown}' has {info.file_size} bytes, over {most}; do not use this file")


def _manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads(archive.read(MANIFEST))
        format, entries = manifest["format"], manifest["members"]
        if format in FORMATS:
            return {name: _entry(entry["sha256"], entry["size"]) for name, entry in entries.items()}
    except Exception as error:  # whatever a damaged file makes of zip and JSON
        raise PackError(
            f"{path}: member '{MANIFEST}' is missing or damaged ({error}); this is no pack, or fetch it again"
        ) from error
    raise PackError(f"{path}: {MANIFEST} says format '{visible(str(format)[:80])}', not '{FORMAT}'; pack again")


def _entry(sha256: Any, size: Any) -> dict[str, Any]:
    if type(size) is not int or not isinstance(sha256, str) or not HASH.fullmatch(sha256):
        raise ValueError("a size that is no whole number, or no hash")
    return {"sha256": sha256, "size": size}


def _extract(path: Path, archive: zipfile.ZipFile, name: str, entry: dict[str, Any], target: Path) -> None:
    """Write one member, never more than the manifest says, and compare its hash."""
    differs = PackError(f"{path}: member '{name}' is not what was packed (its hash differs); fetch the file again")
    if archive.getinfo(name).file_size != entry["size"]:
        raise differs
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = open(target, "wb")  # noqa: SIM115  closed below; what it raises is no fault of the pack
    except OSError as error:
        raise _no_room(path, target, error) from error
    with stream:
        try:
            with archive.open(name) as member:
                while block := member.read(BLOCK):
                    digest.update(block)
                    _write(path, stream, block, target)
        except PackError:
            raise
        except Exception as error:  # whatever a damaged member makes of zip
            raise PackError(f"{path}: member '{name}' is damaged ({error}); fetch the file again") from error
    if digest.hexdigest() != entry["sha256"]:
        target.unlink()
        raise differs


def _write(path: Path, stream: io.BufferedWriter, block: bytes, target: Path) -> None:
    try:
        stream.write(block)
        stream.flush()
    except OSError as error:
        raise _no_room(path, target, error) from error


def _no_room(path: Path, target: Path, error: OSError) -> PackError:
    return PackError(f"{path}: cannot be unpacked to {target.parent} ({error.strerror}); make room, or set TMPDIR")
