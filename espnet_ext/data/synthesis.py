"""Speech from text with eSpeak NG as 16 kHz WAV files with noise at a stated level: offline, repeatable, resumable."""

import os
import sys
import traceback
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.jobs import run_jobs
from espnet_ext.voices.espeak import ESpeak
from espnet_ext.voices.sound import RATE, recorded

CHUNK = 40  # utterances in one job


@dataclass(frozen=True)
class Utterance:
    """One sentence and how to say it; `seed` decides the noise and the pauses around it."""

    path: str
    text: str
    voice: str  # a voice file and perhaps a variant: gmw/en-US+f2
    words_per_minute: int
    pitch: int  # 0 to 100
    snr_db: float
    noise: str  # one of NOISES
    seed: str


def synthesise_one(utterance: Utterance) -> None:
    """Write one WAV; to be called in a fresh process, since eSpeak carries state from one sentence to the next."""
    espeak = ESpeak()
    speech = espeak.say(utterance.text, utterance.voice, utterance.words_per_minute, utterance.pitch)
    samples = recorded(
        speech.astype(np.float32) / 32768, espeak.rate, utterance.seed, utterance.snr_db, utterance.noise
    )
    with atomic_open(utterance.path, "wb") as stream, wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())


def _in_fork(utterance: Utterance) -> bool:
    """Whether synthesise_one went well in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            synthesise_one(utterance)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def synthesise_chunk(utterances: Sequence[Utterance]) -> None:
    for utterance in utterances:
        if not _in_fork(utterance):
            raise RuntimeError(f"{utterance.path}: synthesis of '{utterance.text}' failed; its error is printed above")


def synthesise(utterances: Sequence[Utterance], *, nj: int, log_dir: str | Path) -> int:
    """Write the WAV of each utterance that has none yet; returns how many were made.

    A file depends on its Utterance alone: not on nj, on the order, or on what was done before an interruption.
    """
    missing = [utterance for utterance in utterances if not os.path.exists(utterance.path)]
    chunks = [(missing[first : first + CHUNK],) for first in range(0, len(missing), CHUNK)]
    run_jobs(synthesise_chunk, chunks, nj=nj, log_dir=log_dir, description="synthesis")
    return len(missing)
