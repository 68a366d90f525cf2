"""How a command ends when something is wrong that its user can put right."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_line_errors(command: str, *kinds: type[Exception]) -> Iterator[None]:
    """End with one line, which names the command, instead of a traceback; files and disks are always such errors."""
    try:
        yield
    except OSError as error:
        sys.exit(f"{command}: {error if error.filename is None else f'{error.filename}: {error.strerror}'}")
    except kinds as error:
        sys.exit(f"{command}: {error}")
