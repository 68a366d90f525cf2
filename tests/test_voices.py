"""Reading captions aloud: rooms, pitch, who says what; the same sound after a kill and by any number of processes."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from espnet_ext import voices
from espnet_ext.voices import sound
from espnet_ext.voices.speak import Line, speak, speak_chunk

LOCAL = Path(__file__).parents[1] / "egs" / "multi30k" / "local"
sys.path.insert(0, str(LOCAL))
import spoken  # noqa: E402


def test_a_room_adds_an_echo_that_dies_away_and_leaves_the_direct_sound():
    click = np.zeros(8000)
    click[100] = 1.0
    heard = sound.in_room(click, 0.2, np.random.default_rng(0))
    assert heard[100] == pytest.approx(1.0, abs=1e-6) and np.abs(heard[:100]).max() < 1e-9
    early, late = (heard[100 + a : 100 + b] for a, b in ((41, 1000), (2200, 3159)))
    assert np.sum(heard[101:] ** 2) == pytest.approx(0.25, rel=0.01)
    assert 10 * np.log10(np.sum(early**2) / np.sum(late**2)) == pytest.approx(40, abs=3)  # 60 dB in 0.2 s
    assert sound.in_room(click, 0.0, np.random.default_rng(0)) is click


def test_pitch_rises_by_its_factor():
    rate, tone = 22050, np.sin(2 * np.pi * 200 * np.arange(22050) / 22050)
    raised = sound.raise_pitch(tone, 1.25)
    peak = np.argmax(np.abs(np.fft.rfft(raised))) * rate / len(raised)
    assert len(raised) == pytest.approx(rate / 1.25, abs=2) and peak == pytest.approx(250, abs=2)


def heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **said: float) -> np.ndarray:
    """What is written of a voice that hums 200 Hz for a second, faster if it is asked to be."""
    tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    engine = SimpleNamespace(say=lambda text, voice, speed: tone[: round(16000 / speed)])
    monkeypatch.setattr(voices, "find", lambda name: SimpleNamespace(RATE=16000, Engine=lambda: engine))
    line = Line(str(tmp_path / f"{said}.flac"), "Hm.", "espeak", "hum", 1.25, 1.0, 0.0, 40.0, "white", "1")
    speak_chunk([replace(line, **said)])
    return soundfile.read(tmp_path / f"{said}.flac")[0]


def test_pitch_changes_no_length_and_a_room_goes_on_after_the_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = heard_of(tmp_path, monkeypatch)
    for said, more, pitch in (({}, 0, 200), ({"pitch": 1.1}, 0, 220), ({"room": 0.2}, 1600, 200)):
        heard = heard_of(tmp_path, monkeypatch, **said)
        assert len(heard) == pytest.approx(len(plain) + more, abs=20)
        assert np.argmax(np.abs(np.fft.rfft(heard))) * 16000 / len(heard) == pytest.approx(pitch, abs=2)


def said(folder: Path, count: int) -> list[Line]:
    texts = ["A cat sat.", "Two dogs run in the snow.", "The girl sings."]
    return [spoken.line("train", i, texts[i % 3], "espeak", folder, 1) for i in range(count)]


def test_a_file_depends_on_its_line_alone(tmp_path: Path):
    first, second = said(tmp_path / "a", 23), said(tmp_path / "b", 23)
    assert speak(first, nj=1, log_dir=tmp_path) == 23 and speak(second, nj=2, log_dir=tmp_path) == 23
    sounds = [Path(line.path).read_bytes() for line in first]
    assert [Path(line.path).read_bytes() for line in second] == sounds and len(set(sounds)) == 23
    Path(first[3].path).unlink()
    assert speak(first, nj=1, log_dir=tmp_path) == 1 and Path(first[3].path).read_bytes() == sounds[3]


def test_a_line_without_a_word_is_left_out(tmp_path: Path):
    lines = [replace(line, text=text) for line, text in zip(said(tmp_path, 3), ("A cat.", "", "..."), strict=True)]
    for made in (1, 0):  # and is not tried again
        assert speak(lines, nj=1, log_dir=tmp_path) == made
        assert [Path(line.path).exists() for line in lines] == [True, False, False]
    with pytest.raises(ValueError, match="the voice gave no sound"):
        sound.recorded(np.zeros(16000, np.float32), 16000, "1", 20.0, "pink")


def test_voices_of_validation_and_test_are_not_heard_in_training():
    assert not set(spoken.HELD_OUT) & set(spoken.KOKORO.split()) and len(spoken.KOKORO.split()) == 22
    for engine in ("kokoro", "espeak"):
        heard = {
            name: {spoken.speaker(spoken.line(name, i, "A cat.", engine, Path("x"), 1)) for i in range(300)}
            for name in ("train", "val")
        }
        assert len(heard["train"]) > 5 and len(heard["val"]) > 1 and not heard["train"] & heard["val"]


def test_a_caption_has_the_sound_and_the_translation_of_its_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(spoken, "SIZES", {"small": 5})
    texts = {lang: [f"{lang} {number}" for number in range(12)] for lang in ("en", "de")}
    for name, numbers in (("train", spoken.chosen(12, "small", 1)), ("test_2016_flickr", list(range(12)))):
        lines = spoken.lines_of(name, texts["en"], numbers, 0.0, Path("x"), 1)
        found = spoken.utterances(lines, numbers, texts)
        text_of = {line.path: line.text for line in lines}
        assert len(text_of) == len(numbers) == len({one.id for one in found})
        for one, number in zip(found, numbers, strict=True):
            assert one.id == f"{one.speaker}-{name}-{number + 1:05d}"
            assert (
                one.texts == {"en": text_of[str(one.audio)], "de": f"de {number}"} and one.texts["en"] == f"en {number}"
            )


def test_hours_of_natural_speech_are_about_what_was_asked():
    names = spoken.engines(10_000, 2.0, 1)
    assert names.count("kokoro") == round(2 * 3600 / spoken.SECONDS)
    assert abs(names.count("piper") - names.count("espeak")) <= 1 and len(names) == 10_000
    assert spoken.engines(10, 100.0, 1) == ["kokoro"] * 10
    numbers = spoken.chosen(29_000, "small", 1)
    assert len(set(numbers)) == 10_000 and numbers == sorted(numbers) and max(numbers) < 29_000


def test_an_engine_that_is_not_there_is_replaced_with_one_line(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.setenv("VOICES", str(tmp_path))
    told: set[str] = set()
    assert [spoken.available("kokoro", told) for _ in range(3)] == ["espeak"] * 3
    printed = capsys.readouterr().out
    assert (
        printed.count("\n") == 1 and f"{tmp_path}/kokoro/kokoro.onnx is not there: `make voices` brings it" in printed
    )
    with pytest.raises(ValueError, match="unknown engine 'flite'; choose from kokoro, piper, espeak"):
        voices.find("flite")


SAMPLES = {"espeak": "gmw/en-US", "kokoro": "af_heart", "piper": "joe"}


@pytest.mark.parametrize("engine", [name for name in SAMPLES if voices.find(name).missing() is None])
def test_every_engine_that_is_here_speaks_alike_twice(tmp_path: Path, engine: str):
    lines = [
        Line(str(tmp_path / f"{i}.flac"), "A cat sat.", engine, SAMPLES[engine], 1.0, 1.0, 0.0, 20.0, "pink", str(i))
        for i in range(2)
    ]
    again = [replace(line, path=f"{line.path}.again") for line in lines]
    speak(lines, nj=1, log_dir=tmp_path)
    speak(again, nj=1, log_dir=tmp_path)
    for one, other in zip(lines, again, strict=True):
        assert Path(one.path).read_bytes() == Path(other.path).read_bytes()


@pytest.mark.parametrize("engine", [name for name in SAMPLES if voices.find(name).missing() is None])
def test_an_unknown_voice_is_named(engine: str):
    with pytest.raises((ValueError, RuntimeError), match=r"voice '?zz"):
        voices.find(engine).Engine().say("hello", "zz", 1.0)
