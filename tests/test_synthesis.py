"""Synthesis: noise at its level, voices by name, audio that a kill does not spoil."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from espnet_ext.data import synthesis
from espnet_ext.data.check import check
from espnet_ext.infra.files import read_table
from espnet_ext.voices import sound

LOCAL = Path(__file__).parents[1] / "egs" / "mini" / "local"


@pytest.mark.parametrize("noise", sorted(sound.NOISES))
def test_noise_has_the_stated_level(noise):
    speech = np.sin(np.arange(16000) / 7.0)
    mixed = sound.with_noise(speech, 15.0, noise, np.random.default_rng(0))
    scaled = speech * sound.LEVEL / np.sqrt(np.mean(speech**2))
    assert 10 * np.log10(np.mean(scaled**2) / np.mean((mixed - scaled) ** 2)) == pytest.approx(15.0, abs=1e-6)


def test_an_unknown_voice_is_named(tmp_path):
    utterance = synthesis.Utterance(str(tmp_path / "a.wav"), "hello", "gmw/xx", 170, 50, 15.0, "white", "1")
    with pytest.raises(ValueError, match="no voice 'gmw/xx'"):
        synthesis.synthesise_one(utterance)


def _finished(audio):
    return {path: path.stat().st_mtime_ns for path in audio.rglob("*.wav") if not path.name.startswith(".")}


def test_killed_and_resumed_corpus_is_whole(tmp_path):
    data, audio = tmp_path / "data", tmp_path / "downloads"
    command = [sys.executable, str(LOCAL / "data.py"), str(data), "--size", "tiny", "--nj", "2"]
    first = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while len(_finished(audio)) < 20 and first.poll() is None:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    before = _finished(audio)
    assert 20 <= len(before) < 160 and not data.exists()
    again = sorted(before)[:3]
    bytes_before = [path.read_bytes() for path in again]
    for path in again:
        path.unlink()

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{160 - len(before) + 3} of 160 utterances synthesised" in done.stdout
    after = _finished(audio)
    assert len(after) == 160
    assert all(after[path] == mtime for path, mtime in before.items() if path not in again)
    assert [path.read_bytes() for path in again] == bytes_before  # the same sound, whenever it is made
    for name, count in (("train", 80), ("dev", 20), ("test", 20), ("train_de", 20), ("mt_train", 500)):
        languages = ["de"] if name == "train_de" else ["en", "de", "fr", "zh", "ja"]
        assert check(data / name, langs=languages) == []
        assert len(list(read_table(data / name / "text.de"))) == count
    durations = [float(value) for _, value in read_table(data / "train" / "utt2dur")]
    assert min(durations) > 0.7 and max(durations) < 6.5
