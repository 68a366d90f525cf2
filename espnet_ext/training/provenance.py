"""Where a result comes from: `run.json` of an experiment, and the files that decoding depends on."""

import hashlib
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import write_json
from espnet_ext.training.errors import TrainError

PACKAGES = ("torch", "espnet", "numpy", "sentencepiece")
WEIGHTS = (".pth", ".safetensors")
ENDS = 1 << 20  # bytes of either end of a file that tell its content
# What recipes write themselves: a table of before is no change of the code.
RESULTS = tuple(f":(top,exclude)egs/*.{kind}" for kind in ("md", "json", "png")) + (":(top,exclude)docs/claims.md",)
STATE = {
    "": ["rev-parse", "HEAD"],
    "+changes": ["status", "--porcelain", "--untracked-files=no", "--", ":(top)", *RESULTS],
    "+untracked": ["ls-files", "--others", "--exclude-standard", "--", ":(top)*.py", ":(top)*.sh"],
}


def commit(here: Path = Path(__file__).parent) -> str:
    """The commit of this code, with `+changes` if files but results differ from it, and `+untracked` if there is code
    beside it; `unknown` outside a repository."""
    try:
        found = {
            mark: subprocess.run(
                ["git", "-C", str(here), *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for mark, command in STATE.items()
        }
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.pop("") + "".join(mark for mark, files in found.items() if files)


def weights(exp: Path) -> dict[str, str]:
    """The files of weights that decoding reads, named from the experiment's folder, and a mark of what each holds."""
    files = [path for path in made_from(exp, exp) if path.suffix in WEIGHTS]
    return {os.path.relpath(path, exp): mark(path) for path in files}


def mark(path: Path) -> str:
    """Size and hash of both ends: a .pth file ends with the checksums of all that it holds."""
    with open(path, "rb") as stream:
        begin = stream.read(ENDS)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - ENDS))
        return f"{size}-{hashlib.sha256(begin + stream.read()).hexdigest()[:16]}"


def changed_weights(exp: Path, before: dict[str, str]) -> list[Path]:
    """The files that are not as they were; what is gone says nothing."""
    return [exp / name for name, was in before.items() if (exp / name).exists() and mark(exp / name) != was]


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}


def read_run(folder: Path) -> dict[str, Any]:
    path = folder / "run.json"
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainError(f"{path}: damaged ({error}); put it back, or move the folder away to train again") from error


def update_run(folder: Path, **values: Any) -> None:
    """Set values in run.json."""
    write_json(folder / "run.json", {**read_run(folder), **values})


def made_from(exp: Path, dump: Path) -> list[Path]:
    """The files that a result depends on: configuration, weights (also of a pipeline's parts) and the set's index."""
    import yaml

    if not (exp / "config.yaml").exists():
        raise FileNotFoundError(f"{exp}: no config.yaml; train this system first")
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    own = [path for name in ("model.pth", "model.safetensors") if (path := exp / name).exists()]
    files = [exp / "config.yaml", *(own[:1] or sorted(exp.glob("*.pth")))]
    for part in ("asr", "mt"):
        if isinstance(config.get(part), str):
            files += made_from(exp / config[part], dump)
    inputs = [dump / "feats.index.npy", dump / "wav.scp", dump / "segments", *sorted(dump.glob("text.*/meta.json"))]
    return list(dict.fromkeys([*files, *(path for path in inputs if path.exists())]))
