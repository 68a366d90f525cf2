"""Subtitle files of a translation: SubRip (.srt) and WebVTT (.vtt)."""

import html
import textwrap
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.languages import is_spaced
from espnet_ext.translating.results import Translation

KINDS = ("srt", "vtt")
COLUMNS = 42  # of a line; a character of Chinese or Japanese takes two
LINES = 2  # of a cue
BREAKS = "。！？，、；：.!?,;: "  # after which a line of text without spaces is best cut

Cue = tuple[float, float, list[str]]  # start and end in seconds, lines


class Subtitles:
    """Writes FOLDER/<name>.<language>.<kind> for each text of each file, and never over one of another file.

    Texts of two tasks in one language have the task's name before it.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.written: dict[Path, str] = {}

    def write(self, result: Translation) -> None:
        stem = Path(result.file).stem
        written = list(result.languages.values())
        names = {s: lang if written.count(lang) == 1 else f"{s}.{lang}" for s, lang in result.languages.items()}
        paths = {s: self.folder / f"{stem}.{name}.{self.kind}" for s, name in names.items()}
        for path in paths.values():
            if path in self.written:
                raise ValueError(f"{result.file}: {path} holds the subtitles of {self.written[path]}; use two folders")
            self.written[path] = result.file
        for stream, path in paths.items():
            with atomic_open(path) as out:
                out.write(as_text(list(cues(result, stream)), self.kind))


def cues(result: Translation, stream: str) -> Iterator[Cue]:
    """The pieces as what fits on a screen; the time within a piece is dealt out by the length of the texts."""
    spaced = is_spaced(result.languages[stream])
    for piece in result.pieces:
        lines = wrapped(piece.texts[stream], spaced)
        if piece.start is None or piece.end is None or not lines:
            continue
        parts = [lines[first : first + LINES] for first in range(0, len(lines), LINES)]
        sizes = [sum(map(width, part)) for part in parts]
        per_column, start = (piece.end - piece.start) / sum(sizes), piece.start
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True), 1):
            end = piece.end if number == len(parts) else start + size * per_column
            yield start, end, part
            start = end


def wrapped(text: str, spaced: bool) -> list[str]:
    """The text in lines of at most COLUMNS."""
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if spaced and width(text) == len(text):
        return textwrap.wrap(text, COLUMNS)
    lines = []
    while width(text) > COLUMNS:
        most = next(n for n in range(len(text), 0, -1) if width(text[:n]) <= COLUMNS)
        place = max((n for n in range(most // 2, most + 1) if text[n - 1 : n] in BREAKS), default=most) or most
        lines.append(text[:place].strip())
        text = text[place:].strip()
    return [line for line in [*lines, text] if line]


def width(text: str) -> int:
    """Columns of a screen that a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else not unicodedata.combining(char) for char in text)


def as_text(found: list[Cue], kind: str) -> str:
    """The whole file; both kinds have no way to write an arrow or a tag as text but VTT's escapes."""
    blocks = []
    for number, (start, end, lines) in enumerate(found, 1):
        shown = [html.escape(line, quote=False) if kind == "vtt" else line.replace("-->", "->") for line in lines]
        times = f"{clock(start, kind)} --> {clock(end, kind)}"
        blocks.append("\n".join([*([str(number)] if kind == "srt" else []), times, *shown]))
    head = ["WEBVTT"] if kind == "vtt" else []
    return "\n\n".join(head + blocks) + "\n" if head or blocks else ""


def clock(seconds: float, kind: str) -> str:
    """12:34:56.789, with a comma in SubRip."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    mark = "," if kind == "srt" else "."
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{mark}{thousandths:03d}"
