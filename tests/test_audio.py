"""Audio of every format, rate and channel count is read right, whole and by segments."""

import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from espnet_ext.data import audio

RATE = 16000
FORMATS = {  # name: (how soundfile writes it, largest difference allowed)
    "x.wav": ({}, 1e-4),
    "x24.wav": ({"subtype": "PCM_24"}, 1e-6),
    "float.wav": ({"subtype": "FLOAT"}, 1e-7),
    "x.flac": ({}, 1e-4),
    "x.ogg": ({"format": "OGG", "subtype": "VORBIS"}, 0.1),
    "x.opus": ({"format": "OGG", "subtype": "OPUS"}, 0.1),
    "x.mp3": ({}, 0.1),
    "x.sph": ({"format": "NIST"}, 1e-4),
}


def tone(seconds: float = 2.0, rate: int = RATE, hertz: float = 300.0) -> np.ndarray:
    """A tone whose pitch and loudness change, so that each moment is unlike the others."""
    t = np.arange(int(seconds * rate)) / rate
    return (0.1 + 0.1 * t) * np.sin(2 * np.pi * (hertz + 50 * t) * t)


def write_sphere(
    path: Path, samples: np.ndarray, order: str = "01", claimed: int | None = None, coding: str = ""
) -> Path:
    """A SPHERE file by hand, as the corpora have them: 1024 bytes of text, then 16-bit samples."""
    lines = [
        "NIST_1A",
        "   1024",
        f"sample_count -i {len(samples) if claimed is None else claimed}",
        "sample_n_bytes -i 2",
        "channel_count -i 1",
        f"sample_byte_format -s2 {order}",
        f"sample_rate -i {RATE}",
        *([f"sample_coding -s{len(coding)} {coding}"] if coding else []),
        "end_head",
        "",
    ]
    kind = "<i2" if order == "01" else ">i2"
    path.write_bytes("\n".join(lines).encode().ljust(1024) + (samples * 32767).astype(kind).tobytes())
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str, tmp_path: Path) -> None:
    (how, tolerance), path, samples = FORMATS[name], tmp_path / name, tone()
    soundfile.write(path, samples, RATE, **how)
    for look in (audio.info, audio.examine):
        assert look(path) == audio.AudioInfo(RATE, 1, len(samples), len(samples))
    found = audio.read(path)
    assert found.dtype == np.float32 and found.shape == samples.shape
    assert np.abs(found - samples)[500:-500].max() < tolerance  # Opus fades in and out


@pytest.mark.parametrize("name", FORMATS)
def test_a_segment_equals_the_slice(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(8.0) / 5, RATE, **FORMATS[name][0])
    whole = audio.read(path)
    with audio.AudioReader(RATE) as reader:  # out of order and overlapping
        for start, end in ((7.5, 7.75), (0.0, 0.1), (0.33333, 1.6), (5.9, 6.0), (3.1, 3.2), (3.2, 3.3), (0.7, 7.9)):
            segment = reader.read(path, start, end)
            np.testing.assert_allclose(segment, whole[round(start * RATE) : round(end * RATE)], atol=1e-6)
    np.testing.assert_allclose(audio.read(path, start=1.5), whole[24000:], atol=1e-6)
    np.testing.assert_allclose(audio.read(path, end=0.5), whole[:8000], atol=1e-6)


def test_a_segment_is_read_without_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(), RATE)
    asked: list[int] = []
    whole = soundfile.SoundFile.read

    def counted(self: soundfile.SoundFile, frames: int, **how: Any) -> np.ndarray:
        asked.append(frames)
        return whole(self, frames, **how)

    monkeypatch.setattr(soundfile.SoundFile, "read", counted)
    audio.read(path, 1.0, 1.25)
    assert asked == [4000]


@pytest.mark.parametrize("order", ["01", "10"])
def test_sphere_in_both_byte_orders(order: str, tmp_path: Path) -> None:
    path = write_sphere(tmp_path / "x.sph", tone(), order, coding="pcm")
    assert np.abs(audio.read(path) - tone()).max() < 1e-4


def test_sphere_that_is_cut_off_or_shortened(tmp_path: Path) -> None:
    cut = write_sphere(tmp_path / "cut.sph", tone(), claimed=50000)
    assert audio.info(cut).claimed == 50000 and audio.info(cut).frames == 32000
    with pytest.raises(audio.TruncatedAudio, match="claims 50000 samples but there are 32000"):
        audio.read(cut)
    shorten = write_sphere(tmp_path / "s.sph", tone(), coding="pcm,embedded-shorten-v2.00")
    with pytest.raises(audio.AudioError, match=r"s\.sph: cannot be read as audio .*; fetch the file again, convert it"):
        audio.read(shorten)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_rate_and_channel_count(rate: int, channels: int, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sides = [tone(rate=rate) * (1 + side / 2) for side in range(channels)]
    soundfile.write(path, np.stack(sides, axis=1), rate, subtype="FLOAT")
    assert audio.info(path) == audio.AudioInfo(rate, channels, 2 * rate, 2 * rate)
    wanted, found = tone() * np.mean([1 + side / 2 for side in range(channels)]), audio.read(path)
    assert len(found) == 2 * RATE and np.abs(found - wanted)[200:-200].max() < 2e-3
    segment = audio.read(path, 0.4, 1.4)
    assert len(segment) == RATE and np.abs(segment - wanted[6400:22400])[200:-200].max() < 2e-3
    np.testing.assert_allclose(audio.read(path, rate=None), np.mean(sides, axis=0), atol=1e-6)


@pytest.mark.parametrize("claim", [64000, 0xFFFFFFFF])  # cut off, and written to a pipe
def test_wav_header_that_claims_too_much(claim: int, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(1.0), RATE)
    data = bytearray(path.read_bytes())
    assert data[36:40] == b"data"
    data[40:44] = claim.to_bytes(4, "little")
    path.write_bytes(data)
    assert audio.info(path) == audio.AudioInfo(RATE, 1, 16000, claim // 2)
    with pytest.raises(
        audio.TruncatedAudio, match=f"x.wav: the header claims {claim // 2} samples but there are 16000"
    ):
        audio.read(path)
    assert np.abs(audio.read(path, clip=True) - tone(1.0)).max() < 1e-4
    assert len(audio.read(path, 0.5, 1.0)) == 8000  # a segment asks for nothing that is not there


def test_wav_with_chunks_before_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(1.0), RATE)
    data = path.read_bytes()
    path.write_bytes(data[:36] + b"LIST" + (5).to_bytes(4, "little") + b"12345\0" + data[36:])
    assert audio.info(path).claimed == 16000 and len(audio.read(path)) == 16000


@pytest.mark.parametrize(("start", "end"), [(0.5, 1.1), (1.5, 2.0), (-0.5, 0.5), (0.8, 0.2)])
def test_a_segment_outside_its_recording(start: float, end: float, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(1.0), RATE)
    with pytest.raises(audio.AudioError, match=r"x\.wav: segment .* s is not within its 1 s; clip the segment"):
        audio.read(path, start, end)
    there = max(0, min(RATE, round(end * RATE)) - max(0, round(start * RATE)))
    assert len(audio.read(path, start, end, clip=True)) == there


@pytest.mark.parametrize("name", ["x.flac", "x.mp3"])
def test_damaged_files_are_found_by_decoding(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(5.0), RATE)
    data = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(data) // 4)
    path.write_bytes(data[: len(data) // 2] + noise + data[len(data) // 2 + len(noise) :])
    with pytest.raises(audio.AudioError) as error:
        audio.examine(path)
    assert error.value.kind == "unreadable audio" and str(path) in str(error.value)


def test_errors_come_back_from_a_worker() -> None:
    error = audio.TruncatedAudio("kind", "path", "found", "remedy")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is audio.TruncatedAudio and str(back) == "path: found; remedy" and back.kind == "kind"


def test_what_needs_ffmpeg_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.m4a"
    with pytest.raises(audio.AudioError, match="there is no such file"):
        audio.info(path)
    path.write_bytes(b"something")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SystemExit, match=r"reading .*x\.m4a needs the program ffprobe; install it with: apt-get install"
    ):
        audio.info(path)


def test_m4a_through_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for ffprobe and ffmpeg give 2 s of samples, and a third of a second of padding as AAC has."""
    samples = np.append(tone(), np.zeros(5000)).astype(np.float32)
    samples.tofile(tmp_path / "samples")
    streams = '{"streams": [{"sample_rate": "16000", "channels": 1, "duration": "2.000000"}]}'
    for name, does in {"ffprobe": f"echo '{streams}'", "ffmpeg": f"cat {tmp_path}/samples"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = tmp_path / "x.m4a"
    path.write_bytes(b"something")
    assert shutil.which("ffmpeg") == str(tmp_path / "ffmpeg")
    for look in (audio.info, audio.examine):
        assert look(path) == audio.AudioInfo(RATE, 1, 32000, 32000)
    np.testing.assert_array_equal(audio.read(path), samples[:32000])
    np.testing.assert_array_equal(audio.read(path, 0.5, 1.0), samples[8000:16000])
