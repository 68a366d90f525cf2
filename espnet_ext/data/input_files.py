"""The files that a command line means: folders, lists and single files."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from espnet_ext.infra.lines import read_lines

AUDIO = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".sph", ".aiff", ".au"),
    *(".m4a", ".aac", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma"),
)


class InputError(ValueError):
    """An input that cannot be translated, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def expand(names: Iterable[str], text: bool = False) -> Iterator[str | InputError]:
    """The files that are meant: a folder's audio, the paths in a list (@LIST, .scp or .txt), or the file itself."""
    for name in names:
        path = Path(name)
        listed = name.startswith("@") or (not text and path.suffix in (".scp", ".txt"))
        if listed:
            yield from _listed(Path(name.removeprefix("@")))
        elif os.path.isdir(path):  # False too for names that the system refuses
            found = sorted(str(p) for p in path.rglob("*") if p.suffix.lower() in ((".txt",) if text else AUDIO))
            yield from found
            if not found:
                yield InputError(f"{name}: no {'text' if text else 'audio'} file in this folder")
        else:
            yield name


def _listed(path: Path) -> Iterator[str | InputError]:
    """The paths in a list: one a line, or `id path` in a .scp; what follows a line that is no text is not read."""
    try:
        for line in read_lines(path, "give a text file of paths, one a line"):
            value = (line.partition(" ")[2] if path.suffix == ".scp" else line).strip()
            if value:
                yield value
    except (OSError, ValueError) as error:
        yield InputError(f"{path}: this list cannot be read ({error})")
