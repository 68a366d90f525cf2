"""What lies between a voice and a microphone: pitch, a simple room, noise at a stated level."""

import random

import numpy as np
import soxr

RATE = 16000
PAD_SECONDS = (0.08, 0.25)  # silence before and after the speech
LEVEL = 0.08  # root mean square of the speech, of full scale
DIRECT = 0.0025  # seconds of a room's response that count as the direct sound


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


def raise_pitch(speech: np.ndarray, factor: float) -> np.ndarray:
    """Played faster by `factor`: the pitch is higher and the speech shorter by as much."""
    return speech if factor == 1 else soxr.resample(speech, factor, 1.0)


def in_room(speech: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Speech in a room whose echo falls by 60 dB in `seconds`: noise that dies away, after the direct sound."""
    if not seconds:
        return speech
    count = int(seconds * RATE)
    response = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    response[: int(DIRECT * RATE)] = 0
    response *= 0.5 / np.sqrt(np.sum(response**2))  # the echo has a quarter of the direct sound's power
    response[0] = 1.0
    size = 1 << (len(speech) + count - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(speech, size) * np.fft.rfft(response, size), size)
    return wet[: len(speech) + count // 2]


def recorded(
    speech: np.ndarray, rate: int, seed: str, snr_db: float, noise: str, room: float = 0.0, pitch: float = 1.0
) -> np.ndarray:
    """Samples (int16, at RATE) of a voice as a microphone hears it; `seed` decides on noise and pauses."""
    speech = soxr.resample(raise_pitch(speech, pitch), rate, RATE)
    heard = np.flatnonzero(np.abs(speech) > 1e-3)
    if not len(heard):
        raise ValueError("the voice gave no sound; change the text, or leave it out")
    speech = speech[: heard[-1] + 1]  # engines end with silence of their own
    draw = random.Random(seed)
    before, after = (int(RATE * draw.uniform(*PAD_SECONDS)) for _ in range(2))
    rng = np.random.default_rng(draw.getrandbits(63))
    padded = np.pad(in_room(speech.astype(np.float64), room, rng), (before, after))
    mixed = with_noise(padded, snr_db, noise, rng)
    return np.clip(np.round(mixed * 32767), -32768, 32767).astype("<i2")
