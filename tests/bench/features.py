"""How many times faster than real time features are made on one core, reading and writing included."""

import contextlib
import os
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import soundfile

from espnet_ext.data.ark import FeatureReader
from espnet_ext.data.features import make_features

UTTERANCES, SECONDS, RATE = 500, 7.2, 16000  # one hour
COMMAND = "python -m tests.bench.features"


def make_corpus(folder: Path) -> None:
    """An hour of noise with a slow rhythm, which costs what speech costs."""
    random = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    rhythm = 0.1 + 0.1 * np.sin(2 * np.pi * 3 * np.arange(int(SECONDS * RATE)) / RATE)
    with open(folder / "wav.scp", "w", encoding="utf-8") as table:
        for number in range(UTTERANCES):
            path = folder / "audio" / f"{number:04d}.wav"
            soundfile.write(path, rhythm * random.standard_normal(len(rhythm)), RATE)
            table.write(f"{number:04d} {path}\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        data, dump = Path(temporary) / "data", Path(temporary) / "dump"
        make_corpus(data)
        audio = UTTERANCES * SECONDS
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
            start, cpu = time.perf_counter(), time.process_time()
            make_features(data, dump)
            wall, cpu = time.perf_counter() - start, time.process_time() - cpu
        reader = FeatureReader(dump)
        order = np.random.default_rng(0).permutation(len(reader))
        start = time.perf_counter()
        for i in order:
            reader.read(int(i))
        reads = len(order) / (time.perf_counter() - start)
    print(f"| features, one core (`{COMMAND}`) | |\n|---|---|")
    print(f"| audio | {audio:.0f} s of 16 kHz WAV, {UTTERANCES} utterances |")
    print(f"| x real time by the clock | {audio / wall:.0f} |")
    print(f"| x real time of processor time | {audio / cpu:.0f} |")
    print(f"| random reads of {SECONDS} s | {reads:.0f} per second |")


if __name__ == "__main__":
    main()
