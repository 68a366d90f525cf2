"""Where the voices' files lie, and what to do if they do not."""

import importlib.util
import os
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "tools" / "voices"
REMEDY = "`make voices` brings it; or name a folder that has it by the variable VOICES"


def voices_folder() -> Path:
    """The folder that `make voices` fills, or another that the user has."""
    return Path(os.environ.get("VOICES", FOLDER))


def lacking(files: tuple[str, ...], package: str) -> str | None:
    """What of an engine is not here, in a line with its remedy."""
    paths = [path for name in files if not (path := voices_folder() / name).exists()]
    if paths:
        return f"{paths[0]} is not there: {REMEDY}"
    return None if importlib.util.find_spec(package) else f"Python package {package} is not there: {REMEDY}"
