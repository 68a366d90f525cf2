"""Texts that grow: redrawn in place on a terminal, a line for each change elsewhere."""

import shutil
import unicodedata
from typing import Any, TextIO

CLEAR = "\x1b[J"  # from the cursor to the end of the screen
BOLD, PLAIN = "\x1b[1m", "\x1b[22m"


class Display:
    """The texts of one file, a line for each stream; a new piece of it begins below the last."""

    def __init__(self, out: TextIO, file: str, languages: dict[str, str]) -> None:
        self.out, self.file, self.languages = out, file, languages
        self.is_terminal = out.isatty()
        self.piece: Any = None
        self.shown: dict[str, str] = {}
        self.rows = 0  # of the terminal that the piece takes up

    def __enter__(self) -> "Display":
        if self.is_terminal:
            self.out.write(f"{printable(self.file)}\n")
        return self

    def __exit__(self, *_: object) -> None:
        self.end_piece()

    def show(self, piece: Any) -> None:
        """`piece.texts` has the text of each stream as far as it is known."""
        if piece is not self.piece:
            self.end_piece()
            self.piece = piece
        texts = {stream: printable(text) for stream, text in piece.texts.items()}
        if texts == self.shown:
            return
        if self.is_terminal:
            self.redraw([f"{self.languages[stream]}  {text}" for stream, text in texts.items()])
        else:
            for stream, text in texts.items():
                if text != self.shown.get(stream, ""):
                    self.out.write(f"{self.file}\t{self.languages[stream]}\t{text}\n")
        self.out.flush()
        self.shown = texts

    def redraw(self, lines: list[str], bold: dict[int, slice] | None = None) -> None:
        """Over what the same piece had before, with parts of some lines bold; the cursor stays behind the last line."""
        up = f"\x1b[{self.rows - 1}A" if self.rows > 1 else ""
        shown = list(lines)
        for number, part in (bold or {}).items():
            line = lines[number]
            shown[number] = f"{line[: part.start]}{BOLD}{line[part]}{PLAIN}{line[part.stop :]}"
        self.out.write(f"\r{up}{CLEAR}" + "\r\n".join(shown))
        columns = shutil.get_terminal_size().columns
        self.rows = sum(rows(line, columns) for line in lines)

    def end_piece(self) -> None:
        if self.is_terminal and self.piece is not None:
            self.out.write("\r\n")
        self.piece, self.shown, self.rows = None, {}, 0


def printable(text: str) -> str:
    """Without what could move the cursor."""
    return "".join(char if char.isprintable() else " " for char in text)


def rows(line: str, columns: int) -> int:
    """How many rows of a terminal a line takes; a wide character is not cut in two."""
    count, place = 1, 0
    for char in line:
        width = 0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if place + width > columns:
            count, place = count + 1, 0
        place += width
    return count
