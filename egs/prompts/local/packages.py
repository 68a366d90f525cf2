"""Debian packages without installing them: fetched by apt-get or given as files, and unpacked beside the data."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.infra.files import atomic_folder

SHARE = Path("usr") / "share"


def unpacked(given: Path | None, packages: Sequence[str], downloads: Path) -> list[Path]:
    """Folders that hold usr/share of the packages: the one that is given, or those of its or of fetched .deb files."""
    if given is not None and (given / SHARE).is_dir():
        return [given]
    folder = given or downloads
    found = {name: _newest(folder, name) for name in packages}
    missing = [name for name, path in found.items() if path is None]
    if missing and given is None:
        _fetch(missing, downloads)
        found = {name: _newest(folder, name) for name in packages}
        missing = [name for name, path in found.items() if path is None]
    if missing:
        raise ValueError(
            f"{folder.absolute()}: neither usr/share nor the packages {' '.join(missing)} (<name>_*.deb) are in it; "
            "fetch them there by `apt-get download`, or leave out what they hold with --parts"
        )
    return [_unpack(path, downloads / "unpacked" / path.stem) for path in found.values() if path is not None]


def _newest(folder: Path, name: str) -> Path | None:
    return max(folder.glob(f"{name}_*.deb"), default=None, key=lambda path: path.name)


def _fetch(names: Sequence[str], folder: Path) -> None:
    if shutil.which("apt-get") is None:
        raise ValueError("there is no apt-get on this system; give --corpus a folder with the .deb files")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:  # a package appears when it is whole
        done = subprocess.run(["apt-get", "download", *names], cwd=temporary, capture_output=True, text=True)
        if done.returncode != 0:
            said = " ".join(done.stderr.split())[-300:]
            wanted = " ".join(names)
            raise ValueError(f"apt-get download {wanted}: {said}; or give --corpus a folder with the .deb files")
        for package in Path(temporary).glob("*.deb"):
            package.rename(folder / package.name)


def _unpack(package: Path, folder: Path) -> Path:
    if not folder.is_dir():
        with atomic_folder(folder) as temporary:
            done = subprocess.run(["dpkg-deb", "--extract", package, temporary], capture_output=True, text=True)
            if done.returncode != 0:
                raise ValueError(f"{package}: {' '.join(done.stderr.split())}; delete it, and fetch it again")
    return folder
