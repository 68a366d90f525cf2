"""Log-mel filter banks as Kaldi computes them, in numpy: a worker starts without importing torch."""

from functools import lru_cache

import numpy as np

LOW_HZ = 20.0
PREEMPHASIS = 0.97
SCALE = 32768.0  # Kaldi reads 16-bit integers
FLOOR = float(np.finfo(np.float32).eps)
BLOCK = 256  # frames at a time: stays in the cache, and an hour of speech needs no gigabytes


def window_samples(rate: int) -> int:
    """Samples of a 25 ms window: shorter audio has no frame."""
    return rate * 25 // 1000


def compute(samples: np.ndarray, rate: int = 16000, num_mel: int = 80) -> np.ndarray:
    """Log-mel features (frames, num_mel) of mono samples in [-1, 1]: 25 ms povey windows every 10 ms, no dither.

    Frames lie within the signal (Kaldi's snip_edges). In float64, since the bins of a clean tone that
    hold no energy would otherwise be the rounding noise of the Fourier transform.
    """
    width, shift = window_samples(rate), rate // 100
    frames = 1 + (len(samples) - width) // shift if len(samples) >= width else 0
    feats_TF = np.empty((frames, num_mel), np.float32)
    if not frames:
        return feats_TF
    window_W, banks_KF = _window(width), _mel_banks(rate, num_mel)
    fft_size = 2 * len(banks_KF)
    windows_TW = np.lib.stride_tricks.sliding_window_view(samples, width)[::shift]
    for first in range(0, frames, BLOCK):
        x_TW = np.multiply(windows_TW[first : first + BLOCK], SCALE, dtype=np.float64)
        x_TW -= x_TW.mean(axis=1, keepdims=True)
        x_TW[:, 1:] -= PREEMPHASIS * x_TW[:, :-1]
        x_TW[:, 0] *= 1 - PREEMPHASIS
        x_TW *= window_W
        spectrum_TK = np.fft.rfft(x_TW, fft_size, axis=1)[:, :-1]
        power_TK = spectrum_TK.real**2 + spectrum_TK.imag**2
        feats_TF[first : first + BLOCK] = np.log(np.maximum(power_TK @ banks_KF, FLOOR))
    return feats_TF


@lru_cache
def _window(width: int) -> np.ndarray:
    """Kaldi's povey window."""
    return np.hanning(width) ** 0.85


@lru_cache
def _mel_banks(rate: int, num_mel: int) -> np.ndarray:
    """Triangles that are even on the mel scale between LOW_HZ and half the rate (frequencies, num_mel)."""
    fft_size = 1 << (window_samples(rate) - 1).bit_length()
    edges = np.linspace(_mel(LOW_HZ), _mel(rate / 2), num_mel + 2)
    mel_K1 = _mel(np.arange(fft_size // 2) * rate / fft_size)[:, None]
    width = edges[1] - edges[0]
    return np.maximum(0.0, np.minimum((mel_K1 - edges[:-2]) / width, (edges[2:] - mel_K1) / width))


def _mel(hertz: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)
