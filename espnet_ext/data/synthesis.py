"""Speech from text with eSpeak NG as 16 kHz WAV files with noise at a stated level: offline, repeatable, resumable."""

import ctypes
import os
import random
import sys
import traceback
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np
import soxr

from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.jobs import run_jobs

RATE = 16000
CHUNK = 40  # utterances in one job
LEVEL = 0.08  # root mean square of the speech, of full scale
PAD_SECONDS = (0.08, 0.25)  # silence before and after the speech
RETRIEVAL, UTF8, WORDS_PER_MINUTE, PITCH = 1, 1, 1, 3  # constants of espeak's speak_lib.h


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


class ESpeak:
    """The eSpeak NG library, giving samples instead of playing them."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(espeakng_loader.get_data_path()).encode()
        self.rate = self.library.espeak_Initialize(RETRIEVAL, 0, data, 0)
        if self.rate <= 0:
            raise RuntimeError(f"eSpeak NG did not start with the data of {data.decode()}; reinstall espeakng-loader")
        self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # its own seed is the time of day
        self.samples: list[np.ndarray] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)  # kept: the library holds only its address
        self.library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if samples and count > 0:
            self.samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, words_per_minute: int, pitch: int) -> np.ndarray:
        """The samples (int16, at self.rate) of `text`."""
        if self.library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"eSpeak NG has no voice '{voice}'; `espeak-ng --voices` lists them")
        self.library.espeak_SetParameter(WORDS_PER_MINUTE, words_per_minute, 0)
        self.library.espeak_SetParameter(PITCH, pitch, 0)
        self.samples.clear()
        data = text.encode()
        self.library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        if not self.samples:
            raise RuntimeError(f"eSpeak NG said nothing for '{text}' with voice {voice}")
        return np.concatenate(self.samples)


def _coloured(count: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency as 1/f^slope."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.arange(len(spectrum)), 50 * count / RATE)  # flat below 50 Hz
    return np.fft.irfft(spectrum / frequency ** (slope / 2), count)


def _babble(count: int, rng: np.random.Generator) -> np.ndarray:
    """Noise with a falling spectrum that swells and fades a few times a second, as distant voices do."""
    knots = np.arange(0, count + RATE, RATE // 5)
    swell = np.interp(np.arange(count), knots, rng.random(len(knots)))
    return _coloured(count, 1.5, rng) * (0.2 + swell)


NOISES = {
    "white": lambda count, rng: rng.standard_normal(count),
    "pink": lambda count, rng: _coloured(count, 1.0, rng),
    "babble": _babble,
}


def with_noise(speech: np.ndarray, snr_db: float, noise: str, rng: np.random.Generator) -> np.ndarray:
    """Speech at LEVEL plus noise so that their powers over the whole of `speech` differ by snr_db."""
    speech = speech * (LEVEL / max(np.sqrt(np.mean(speech**2)), 1e-9))
    added = NOISES[noise](len(speech), rng)
    added *= LEVEL * 10 ** (-snr_db / 20) / np.sqrt(np.mean(added**2))
    return speech + added


def synthesise_one(utterance: Utterance) -> None:
    """Write one WAV; to be called in a fresh process, since eSpeak carries state from one sentence to the next."""
    espeak = ESpeak()
    speech = espeak.say(utterance.text, utterance.voice, utterance.words_per_minute, utterance.pitch)
    speech = soxr.resample(speech.astype(np.float32) / 32768, espeak.rate, RATE)
    speech = speech[: np.flatnonzero(np.abs(speech) > 1e-3)[-1] + 1]  # espeak ends with silence of its own
    draw = random.Random(utterance.seed)
    before, after = (int(RATE * draw.uniform(*PAD_SECONDS)) for _ in range(2))
    padded = np.pad(speech.astype(np.float64), (before, after))
    rng = np.random.default_rng(draw.getrandbits(63))
    mixed = with_noise(padded, utterance.snr_db, utterance.noise, rng)
    samples = np.clip(np.round(mixed * 32767), -32768, 32767).astype("<i2")
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
