"""Audio whose header, name or end is not to be trusted: one line for each fault, and nothing reserved for a claim."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.data import audio
from espnet_ext.data.audio_error import AudioError, TruncatedAudio
from espnet_ext.data.audio_sound import Sound
from tests.test_audio import FORMATS, RATE, tone, write_sphere

READERS: dict[str, Callable[[Path], object]] = {
    "examine": audio.examine,
    "read": audio.read,
    "blocks": lambda path: list(audio.blocks(path)),
}


def wav(path: Path, seconds: float = 1.0) -> Path:
    soundfile.write(path, tone(seconds), RATE)
    return path


def with_ffmpeg(path: Path, *options: str) -> Path:
    """Two seconds, coded by ffmpeg."""
    source = wav(path.with_name("source.wav"), 2.0)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, *options, path], check=True)
    return path


def changed(path: Path, place: int, data: bytes) -> Path:
    old = path.read_bytes()
    path.write_bytes(old[:place] + data + old[place + len(data) :])
    return path


def halved(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flac_that_lies(folder: Path) -> Path:
    """It claims 2**36 - 1 samples: the last 36 bits of bytes 18 to 26."""
    path = folder / "x.flac"
    soundfile.write(path, tone(), RATE)
    eight = int.from_bytes(path.read_bytes()[18:26], "big") | (1 << 36) - 1
    return changed(path, 18, eight.to_bytes(8, "big"))


def raw(folder: Path) -> Path:
    path = folder / "x.raw"
    path.write_bytes(bytes(1000))
    return path


def folder_in_the_way(folder: Path) -> Path:
    (folder / "x.wav").mkdir()
    return folder / "x.wav"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a FLAC that claims 2^36 - 1 samples": (flac_that_lies, r"\b32000 of 68719476735|number 32000 of 68719476735"),
    "1 Hz": (lambda d: changed(wav(d / "x.wav"), 24, (1).to_bytes(4, "little")), "says 1 samples a second"),
    "4 GHz": (lambda d: changed(wav(d / "x.wav"), 24, b"\xff\xff\xff\x7f"), "samples a second, not 1000 to 768000"),
    "raw": (raw, r"x\.raw: cannot be read as audio"),
    "a name over 255 characters": (lambda d: d / ("x" * 300 + ".wav"), "cannot be looked at .File name too long"),
    "NUL in the name": (lambda d: d / "x\0.wav", "cannot be looked at .embedded null byte"),
    "below a file": (lambda d: wav(d / "x.wav") / "y.wav", "there is no such file"),
    "a folder": (folder_in_the_way, "is not a file"),
    "a device": (lambda d: Path("/dev/zero"), "is not a file"),
    "an empty file": (lambda d: (d / "x.mp4").touch() or d / "x.mp4", "the file is empty"),
    "text that is called mp4": (lambda d: (d / "x.mp4").write_text("no audio") and d / "x.mp4", "cannot be read as"),
    "half an Ogg": (lambda d: halved(coded(d / "x.ogg", "VORBIS")), "file ends after .* samples, before its last page"),
    "half an Opus": (lambda d: halved(coded(d / "x.opus", "OPUS")), "file ends after .* samples, before its last page"),
}


def coded(path: Path, subtype: str) -> Path:
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * RATE)
    soundfile.write(path, noise, RATE, format="OGG", subtype=subtype)
    return path


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_one_line(name: str, reader: str, tmp_path: Path) -> None:
    make, message = BAD[name]
    path = make(tmp_path)
    if reader == "examine" and name.startswith("half"):  # which the check refuses unless segments are used
        assert audio.examine(path).is_cut
        return
    with pytest.raises(AudioError, match=message) as error:
        READERS[reader](path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_folder_that_cannot_be_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("espnet_ext.data.audio_error.os.stat", refuse)
    for name in ("x.wav", "x.mp4"):
        with pytest.raises(AudioError, match=r"cannot be looked at \(Permission denied\)"):
            audio.info(tmp_path / name)


@pytest.mark.parametrize("reader", READERS)
def test_names_need_not_be_utf8(reader: str, tmp_path: Path) -> None:
    path = tmp_path / "caf\udce9.wav"
    wav(tmp_path / "x.wav").rename(path)
    READERS[reader](path)
    assert len(audio.read(path)) == RATE


@pytest.mark.parametrize("name", ["x.webm", "x.mkv", "x.m4a", "x.aac", "x.mp4"])
def test_what_ffmpeg_decodes_is_read_whole(name: str, tmp_path: Path) -> None:
    """Matroska says how long the file is, not the stream; ffprobe only guesses the length of bare AAC."""
    path = with_ffmpeg(tmp_path / name)
    info = audio.examine(path)
    assert 1.95 < info.seconds < 2.15 and not info.is_cut
    assert audio.info(path).seconds == pytest.approx(info.seconds, abs=0.1)
    samples = audio.read(path)
    assert len(samples) == pytest.approx(info.seconds * RATE, abs=2)
    wanted = tone(2.0)[8000:24000]
    shifts = [np.corrcoef(samples[8000 + s : 24000 + s], wanted)[0, 1] for s in range(-200, 2300)]
    assert max(shifts) > 0.95


@pytest.mark.parametrize("name", ["x.webm", "x.m4a"])
def test_half_a_file_of_ffmpeg_is_cut_off(name: str, tmp_path: Path) -> None:
    path = halved(
        with_ffmpeg(tmp_path / name, "-movflags", "faststart") if name == "x.m4a" else with_ffmpeg(tmp_path / name)
    )
    assert audio.examine(path).is_cut
    for reader in ("read", "blocks"):
        with pytest.raises(TruncatedAudio, match="header claims"):
            READERS[reader](path)


def test_a_play_list_in_the_place_of_audio_leads_nowhere(tmp_path: Path) -> None:
    with_ffmpeg(tmp_path / "secret.aac")
    path = tmp_path / "x.mp4"
    path.write_text(f"#EXTM3U\n#EXTINF:2,\nhttp://localhost:1/{tmp_path}/secret.aac\n#EXT-X-ENDLIST\n")
    with pytest.raises(AudioError, match=r"x\.mp4: cannot be read as audio"):
        audio.read(path)


def test_a_flac_without_a_length(tmp_path: Path) -> None:
    """As ffmpeg writes it to a pipe."""
    path = tmp_path / "x.flac"
    source = wav(tmp_path / "source.wav", 2.0)
    path.write_bytes(
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-f", "flac", "-"], capture_output=True).stdout
    )
    for look in (audio.info, audio.examine):
        assert look(path) == audio.AudioInfo(RATE, 1, 32000, 32000)
    assert np.abs(audio.read(path) - tone()).max() < 1e-4
    assert len(audio.read(path, 0.5, 1.0)) == 8000


def test_a_sphere_header_with_a_number_that_is_none(tmp_path: Path) -> None:
    path = write_sphere(tmp_path / "x.sph", tone())
    path.write_bytes(path.read_bytes().replace(b"sample_count -i 32000\n", b"sample_count -i 12x  \n"))
    for reader in READERS.values():
        with pytest.raises(AudioError, match=r"x\.sph: .*sample_count -i 12x|x\.sph: cannot be read as audio"):
            reader(path)


@pytest.mark.parametrize("rate", [RATE, 44100])
@pytest.mark.parametrize("name", FORMATS)
def test_blocks_are_what_is_read_at_once(name: str, rate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a decoder remembers what came before, and a resampler what comes next."""
    path = tmp_path / name
    soundfile.write(
        path, np.stack([tone(3.0, rate) / 2] * 2, 1), 48000 if name == "x.opus" else rate, **FORMATS[name][0]
    )
    whole = audio.read(path)
    monkeypatch.setattr("espnet_ext.data.audio_sound.BLOCK", 10_000)
    parts = list(audio.blocks(path))
    assert len(parts) > 5 and max(map(len, parts)) < 16_000
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_a_file_that_would_not_fit_in_memory_is_refused_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wav(tmp_path / "x.wav", 3.0)
    monkeypatch.setattr("espnet_ext.data.audio_sound.BLOCK", 1000)
    monkeypatch.setattr(audio, "MOST_SAMPLES", 40_000)
    with pytest.raises(AudioError, match="more than 40000 samples would be read at once; cut the file into parts"):
        audio.read(path)
    assert len(audio.read(path, 1.0, 3.0)) == 32_000


def test_nan_is_found_while_reading_on(tmp_path: Path) -> None:
    samples = tone()
    samples[20_000] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="sample 20000 is NaN"):
        list(audio.blocks(tmp_path / "x.wav"))


def test_many_channels_are_decoded_in_small_blocks(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros((1000, 100)), RATE)
    with pytest.raises(AudioError, match="says 100 channels, not 1 to 64"):
        audio.read(tmp_path / "x.wav")
    soundfile.write(tmp_path / "y.wav", np.zeros((40_000, 60)), RATE)
    with Sound(tmp_path / "y.wav") as sound:
        assert all(block.size <= 1 << 20 for block in sound.blocks_from(0))
