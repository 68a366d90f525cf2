"""Features agree with Kaldi's."""

import numpy as np
import pytest
import torch
import torchaudio.compliance.kaldi

from espnet_ext.data.features import compute

RATE = 16000


def signal_of(name: str, seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).standard_normal(len(t))
    signals = {
        "noise": 0.1 * noise,
        "whisper": 1e-4 * noise,
        "syllables": (0.2 + 0.2 * np.sin(8 * t)) * np.sin(900 * t) + 0.01 * noise,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * t),
        "chirp": 0.3 * np.sin(2 * np.pi * (100 * t + 600 * t * t)),
        "silence": np.zeros(len(t)),
        "offset": np.full(len(t), 0.25),
    }
    return signals[name].astype(np.float32)


def reference(samples: np.ndarray, rate: int, num_mel: int, kind: torch.dtype) -> np.ndarray:
    wave = torch.from_numpy(samples)[None].to(kind) * 32768
    settings = {
        "num_mel_bins": num_mel,
        "sample_frequency": float(rate),
        "low_freq": 20.0,
        "high_freq": 0.0,
        "dither": 0.0,
    }
    return torchaudio.compliance.kaldi.fbank(wave, **settings).numpy()


@pytest.mark.parametrize("rate", [RATE, 8000])
@pytest.mark.parametrize("num_mel", [80, 40])
@pytest.mark.parametrize("name", ["noise", "whisper", "syllables", "silence", "offset"])
def test_agrees_with_torchaudio(name: str, num_mel: int, rate: int) -> None:
    samples = signal_of(name, rate=rate)
    found, wanted = compute(samples, rate, num_mel), reference(samples, rate, num_mel, torch.float32)
    assert found.shape == wanted.shape == (298, num_mel) and found.dtype == np.float32
    assert np.abs(found - wanted).max() < 1e-3


@pytest.mark.parametrize("name", ["tone", "chirp"])
def test_agrees_where_single_precision_does_not(name: str) -> None:
    """Where most bins are empty, torchaudio in float32 is up to 1.2 away from itself in float64."""
    samples = signal_of(name)
    assert np.abs(compute(samples) - reference(samples, RATE, 80, torch.float64)).max() < 1e-3


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 0), (399, 0), (400, 1), (559, 1), (560, 2), (256 * 160 + 400, 257)]
)
def test_number_of_frames(samples: int, frames: int) -> None:
    noise = signal_of("noise")[:samples] if samples < 48000 else signal_of("noise", 10)[:samples]
    found = compute(noise)
    assert found.shape == (frames, 80)
    if frames:
        np.testing.assert_allclose(found, reference(noise, RATE, 80, torch.float32), atol=1e-3)
