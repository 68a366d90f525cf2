"""The files that a command line means: folders, lists and single files."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from espnet_ext.infra.files import read_table

AUDIO = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".sph", ".aiff", ".au", ".m4a", ".aac", ".mp4", ".webm")


class InputError(ValueError):
    """An input that cannot be translated, in one line."""


def expand(names: Iterable[str], text: bool = False) -> Iterator[str | InputError]:
    """The files that are meant: a folder's audio, the paths in a list (@LIST, .scp or .txt), or the file itself."""
    for name in names:
        path = Path(name)
        listed = name.startswith("@") or (not text and path.suffix in (".scp", ".txt"))
        if listed:
            yield from _listed(Path(name.removeprefix("@")))
        elif path.is_dir():
            found = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in ((".txt",) if text else AUDIO))
            yield from found
            if not found:
                yield InputError(f"{name}: no {'text' if text else 'audio'} file in this folder")
        else:
            yield name


def _listed(path: Path) -> Iterator[str | InputError]:
    """The paths in a list: one a line, or `id path` in a .scp."""
    try:
        if path.suffix == ".scp":
            yield from (value for _, value in read_table(path))
        else:
            yield from (line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        yield InputError(f"{path}: this list cannot be read ({error})")
