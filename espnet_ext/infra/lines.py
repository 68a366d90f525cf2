"""Lines of text that nobody has checked: only a newline ends one, and none is read whole before its length is known."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LONGEST = 1 << 20  # bytes of a line; what is longer is no text


def raw_lines(stream: BinaryIO, longest: int = LONGEST) -> Iterator[bytes]:
    """Each line with its newline; of one that is too long `longest` + 1 bytes, and the rest of it is passed over."""
    while line := stream.readline(longest + 1):
        yield line
        while len(line) > longest and not line.endswith(b"\n") and (line := stream.readline(longest + 1)):
            pass


def read_lines(path: str | Path, remedy: str, longest: int = LONGEST) -> Iterator[str]:
    """The lines of a UTF-8 file, plain or .gz, without a byte order mark and the carriage returns of other systems.

    Sentences hold other characters at which Python splits lines: U+2028, NEL, form feed.
    """
    with _open(path) as stream:
        for number, raw in enumerate(_unpacked(stream, longest, f"{path}: {{}}; {remedy}"), 1):
            if len(raw) > longest:
                raise ValueError(f"{path}:{number}: the line has more than {longest} bytes; {remedy}")
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                found = f"byte {error.start + 1} of the line is not UTF-8"
                raise ValueError(f"{path}:{number}: {found}; {remedy}") from error
            text = text.removesuffix("\n").removesuffix("\r")
            yield text.removeprefix("\ufeff") if number == 1 else text


def _open(path: str | Path) -> BinaryIO:
    return gzip.open(path) if str(path).endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def _unpacked(stream: BinaryIO, longest: int, message: str) -> Iterator[bytes]:
    """raw_lines, where a packed file that is cut or damaged is an error of the corpus."""
    try:
        yield from raw_lines(stream, longest)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(message.format(f"not a whole .gz file ({error})")) from error


def visible(text: str) -> str:
    """The text on one line: what would break it, or move a terminal's cursor, as an escape."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
