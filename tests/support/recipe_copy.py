"""A copy of a recipe to run all of its stages in, so that the tree stays as it is; and audio to run it on."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from tests.support.warm_python import warm_python

ROOT = Path(__file__).parents[2]
MADE = ("data", "dump", "exp*", "downloads", "__pycache__", "RESULTS*.md", "report*.html", ".*.made_from")
# every system at a size that trains within a second or two
TINY = (
    "max_epoch=1 batch_bins=1500 accum_grad=1 amp=none keep_nbest_models=1 greedy_every=0 "
    "scheduler_conf.warmup_steps=2 use_tensorboard=false decode.beam=1 decode.max_length=8 "
    "encoder_conf.output_size=8 encoder_conf.attention_heads=2 encoder_conf.linear_units=8 encoder_conf.num_blocks=1 "
    "decoder_conf.attention_heads=2 decoder_conf.linear_units=8 decoder_conf.num_blocks=1"
)


class RecipeCopy:
    """egs/<name> below another root, with the real runner and the real package."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / "egs" / name
        shutil.copytree(ROOT / "egs" / name, self.folder, ignore=shutil.ignore_patterns(*MADE))
        shutil.copytree(ROOT / "utils", root / "utils")
        (root / "espnet_ext").symlink_to(ROOT / "espnet_ext")

    def run(self, *options: str, script: str = "run.sh") -> subprocess.CompletedProcess[str]:
        """run.sh (or another script), with a python3 that starts at once."""
        command = [str(self.folder / script), *options]
        if "--dry_run" in options:
            return self._call(command)
        with warm_python(self.folder.parents[1] / ".venv" / "bin"):
            return self._call(command)

    def prepare(self, *options: str, script: str = "data.py") -> subprocess.CompletedProcess[str]:
        """local/data.py (or another script) by itself."""
        return self._call([sys.executable, f"local/{script}", *options])

    def _call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=300)


def write_wav(path: Path, seconds: float, rate: int = 16000) -> None:
    """Noise that swells and falls, so that features are not constant."""
    random = np.random.default_rng(len(str(path.name)))
    samples = random.normal(size=round(seconds * rate)) * (1.2 + np.sin(np.arange(round(seconds * rate)) / 2000)) * 0.05
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def table(path: Path) -> dict[str, str]:
    """A Kaldi table as a dictionary."""
    return dict(line.split(" ", 1) for line in path.read_text(encoding="utf-8").split("\n")[:-1])
