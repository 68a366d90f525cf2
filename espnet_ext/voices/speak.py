"""Read lines aloud into FLAC files at 16 kHz: resumable, and the same whatever the number of processes."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from espnet_ext import voices
from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.jobs import run_jobs
from espnet_ext.voices.sound import RATE, recorded

CHUNK = 20  # lines in one job
SECONDS = {"kokoro": 1.2, "piper": 0.4, "espeak": 0.05}  # of one core for a line, about: for the time left


@dataclass(frozen=True)
class Line:
    """One sentence and how it is said and heard."""

    path: str
    text: str
    engine: str  # one of voices.ENGINES
    voice: str
    speed: float
    pitch: float  # 1: the voice's own; the speech is shortened by as much
    room: float  # seconds in which its echo dies away; 0: none
    snr_db: float
    noise: str  # one of sound.NOISES
    seed: str


def speak_chunk(lines: Sequence[Line]) -> None:
    """Say all of a chunk that is not whole: an engine's random numbers go on from line to line, so none is left out."""
    engine = voices.find(lines[0].engine).Engine()
    if lines[0].engine != "espeak":
        import onnxruntime

        onnxruntime.set_seed(zlib.crc32("".join(line.seed for line in lines).encode()))
    for line in lines:
        speech = engine.say(line.text, line.voice, line.speed / line.pitch)
        if os.path.exists(line.path):
            continue
        rate = voices.find(line.engine).RATE
        samples = recorded(speech, rate, line.seed, line.snr_db, line.noise, line.room, line.pitch)
        with atomic_open(line.path, "wb") as stream:
            soundfile.write(stream, samples, RATE, format="FLAC")


def speak(lines: Sequence[Line], *, nj: int, log_dir: str | Path) -> int:
    """Write the file of each line that has none yet; returns how many were made. Of no word there is no file."""
    jobs: list[Sequence[Line]] = []
    for engine in voices.ENGINES:
        mine = [line for line in lines if line.engine == engine and any(map(str.isalnum, line.text))]
        jobs += [mine[first : first + CHUNK] for first in range(0, len(mine), CHUNK)]
    missing = [[line for line in chunk if not os.path.exists(line.path)] for chunk in jobs]
    todo = [(chunk,) for chunk, gone in zip(jobs, missing, strict=True) if gone]
    sizes = [SECONDS[chunk[0].engine] * len(chunk) for (chunk,) in todo]
    run_jobs(speak_chunk, todo, nj=nj, log_dir=log_dir, description="speaking", sizes=sizes, unit=" s of one core")
    return sum(map(len, missing))
