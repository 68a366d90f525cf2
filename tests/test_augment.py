"""Augmented copies change the audio as asked, keep the words, and are the same on every run."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.data import effects, read_datadir
from espnet_ext.data.augment import augment, main
from espnet_ext.data.check import check
from espnet_ext.data.effects import Copy, apply, draw, plan
from espnet_ext.data.write_datadir import Utterance, write_data_dir
from espnet_ext.infra.files import read_table

RATE = 16000
SPEEDS = [Copy("sp0.9-", speed=(0.9, 0.9)), Copy("sp1.1-", speed=(1.1, 1.1))]
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)


def peak(samples: np.ndarray) -> float:
    """The strongest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


@pytest.fixture
def stand_in_for_sox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that notes how it was called and gives back what it is given, for machines without sox too."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sox").write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\ncat\n')
    (folder / "sox").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder / "calls"


def make_data(folder: Path, number: int = 3, in_segments: bool = False) -> Path:
    utterances = []
    folder.mkdir(parents=True)
    soundfile.write(folder / "talk.wav", np.tile(TONE, 3), RATE)
    for i in range(number):
        path = folder / "talk.wav" if in_segments else folder / f"{i}.wav"
        if not in_segments:
            soundfile.write(path, TONE, RATE)
        start, end = (i, i + 1) if in_segments else (None, None)
        texts = {"en": f"tree {i}", "de": f"Baum {i}"}
        utterances.append(Utterance(f"s-u{i:03d}", "s", texts, path, start, end, "st"))
    write_data_dir(folder / "train", utterances)
    return folder / "train"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "log"
    }


@pytest.mark.parametrize("factor", [0.9, 0.95, 1.0, 1.05, 1.1])
def test_speed_changes_length_and_pitch(factor: float) -> None:
    found = apply(TONE, RATE, {"speed": factor})
    assert len(found) == pytest.approx(len(TONE) / factor, abs=1)
    assert peak(found) == pytest.approx(440 * factor, abs=0.6)
    assert np.abs(found[500:-500]).max() == pytest.approx(0.3, abs=0.001)


def test_full_scale_is_clipped_not_wrapped() -> None:
    loud = np.sign(TONE)
    found = apply(loud, RATE, {"speed": 1.1})
    assert found.max() == 1 - 2.0**-15 and found.min() == -1


def test_tempo_and_echo_by_sox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real program where there is one; without it the command that installs it is named."""
    if shutil.which("sox"):
        slower = apply(TONE, RATE, {"tempo": 0.8})
        assert len(slower) == pytest.approx(len(TONE) / 0.8, rel=0.01) and peak(slower) == pytest.approx(440, abs=1)
        click = np.zeros(RATE, np.float32)
        click[1000] = 0.5
        found = apply(click, RATE, {"echo_delay": 100.0, "echo_decay": 0.2})
        assert np.flatnonzero(np.abs(found) > 0.01).tolist() == [1000, 2600]
        assert found[2600] / found[1000] == pytest.approx(0.2 / 0.8, abs=0.01)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match=r"tempo or echo needs the program sox; install it with: apt-get install sox"):
        augment(make_data(tmp_path / "corpus"), tmp_path / "out", plan(["echo"]))
    assert not (tmp_path / "out").exists()
    augment(tmp_path / "corpus" / "train", tmp_path / "out", SPEEDS)  # speed needs no sox


def test_how_sox_is_called(stand_in_for_sox: Path) -> None:
    found = apply(TONE, RATE, {"speed": 1.1, "tempo": 1.25, "echo_delay": 33.3333, "echo_decay": 0.1})
    np.testing.assert_array_equal(found, apply(TONE, RATE, {"speed": 1.1}))
    raw = "-t f32 -r 16000 -c 1 -"
    effects = "tempo -s 1.250000 echo 0.8 0.9 33.333 0.1000"
    assert stand_in_for_sox.read_text() == f"-V1 -D {raw} {raw} {effects}\n"


def test_draws_depend_on_id_copy_and_seed_alone() -> None:
    (copy,) = plan(["tempo:0.85,1.3", "speed_range:0.95,1.05", "echo"])
    many = [draw(copy, f"u{i}", 1) for i in range(500)]
    assert many[7] == draw(copy, "u7", 1) != draw(copy, "u7", 2)
    for name, low, high in (
        ("speed", 0.95, 1.05),
        ("tempo", 0.85, 1.3),
        ("echo_delay", 20, 200),
        ("echo_decay", 0.05, 0.2),
    ):
        values = np.array([strengths[name] for strengths in many])
        assert low <= values.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.1 * (high - low))
    (without,) = plan(["tempo:0.85,1.3"])
    assert draw(without, "u7", 1) == {"tempo": many[7]["tempo"]}


def test_plan() -> None:
    assert plan(["speed:0.9,1.1"]) == SPEEDS
    assert plan(["speed:0.9", "tempo:1,1.2"]) == [SPEEDS[0], Copy("aug-", tempo=(1.0, 1.2))]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("pitch:0.9", "unknown augmentation 'pitch:0.9'; choose from speed:FACTOR"),
        ("speed", "unknown augmentation 'speed'; choose"),
        ("tempo:1.3,0.85", "unknown augmentation 'tempo:1.3,0.85'; choose"),
        ("speed:fast", "augmentation 'speed:fast': fast is not a list of numbers"),
        ("speed:0", "augmentation 'speed:0': factors must lie between 0.1 and 10"),
        ("speed:0.9,0.9", "asks for the same copy twice"),
    ],
)
def test_bad_plans_are_refused(word: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=message):
        main([str(tmp_path), str(tmp_path / "out"), "--with", word])


@pytest.mark.parametrize("in_segments", [False, True])
def test_ids_texts_and_speakers_follow(in_segments: bool, tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "corpus", in_segments=in_segments), tmp_path / "out"
    main([str(data), str(out), "--with", "speed:0.9,1.1"])
    assert check(out, langs=["en", "de"]) == []
    ids = [f"s-u{i:03d}" for i in range(3)]
    assert list(dict(read_table(out / "text.de"))) == [*ids, *(f"sp{f}-{i}" for f in (0.9, 1.1) for i in ids)]
    assert dict(read_table(out / "text.de"))["sp1.1-s-u002"] == "Baum 2"
    assert dict(read_table(out / "utt2spk"))["sp1.1-s-u002"] == "sp1.1-s"
    assert dict(read_table(out / "utt2task"))["sp1.1-s-u002"] == "st"
    spans = {span.utterance: span for span in read_datadir.spans(out)}
    original = read_datadir.spans(data)[2]
    assert spans["s-u002"] == original
    seconds = 1.0 if in_segments else 2.0
    assert float(dict(read_table(out / "utt2dur"))["sp0.9-s-u002"]) == pytest.approx(seconds / 0.9, abs=1e-3)
    samples, rate = soundfile.read(spans["sp0.9-s-u002"].path)
    assert rate == RATE and len(samples) == pytest.approx(seconds / 0.9 * RATE, abs=1)
    assert peak(samples) == pytest.approx(440 * 0.9, abs=1)


def test_nj_and_order_do_not_change_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in_for_sox: Path
) -> None:
    data, copies = make_data(tmp_path / "corpus", number=3), plan(["speed:0.9,1.1", "speed_range:0.95,1.05", "echo"])
    monkeypatch.setattr(read_datadir, "split", lambda items: [range(i, i + 1) for i in range(items)])
    made = []
    for name, nj, some in (("alone", 1, copies), ("both", 2, copies), ("reversed", 1, copies[::-1])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        augment(data, "out", some, seed=3, nj=nj)
        made.append(contents(tmp_path / name / "out"))
        made[-1].pop(".wav.scp.made_from")
    assert made[0] == made[1] == made[2]
    monkeypatch.chdir(tmp_path / "alone")
    augment(data, "out", copies, seed=4)
    other = contents(tmp_path / "alone" / "out")
    assert other["audio/aug-0/s-u000.flac"] != made[0]["audio/aug-0/s-u000.flac"]
    assert other["audio/sp0.9-0/s-u000.flac"] == made[0]["audio/sp0.9-0/s-u000.flac"]


def test_kill_and_run_again(tmp_path: Path) -> None:
    data = make_data(tmp_path / "corpus", number=260)
    command = [sys.executable, "-m", "espnet_ext.data.augment", str(data), "out", "--with", "speed:0.9,1.1"]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    shards = ["sp0.9-0", "sp0.9-1", "sp1.1-0", "sp1.1-1"]
    folders = [tmp_path / "killed", tmp_path / "undisturbed"]
    for folder in folders:
        folder.mkdir()
    killed = folders[0] / "out" / "audio"
    run = subprocess.Popen(command, cwd=folders[0], stderr=subprocess.DEVNULL, env=environment)
    while run.poll() is None and not (killed / shards[0]).exists():
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    run.wait()
    finished = {name: (killed / name).stat().st_mtime_ns for name in shards if (killed / name).exists()}
    assert 1 <= len(finished) < 4 and not (folders[0] / "out" / "wav.scp").exists()
    for folder in folders:
        subprocess.run(command, cwd=folder, stderr=subprocess.DEVNULL, env=environment, check=True)
    assert {name: (killed / name).stat().st_mtime_ns for name in finished} == finished
    assert contents(folders[0] / "out") == contents(folders[1] / "out")


def test_unchanged_is_skipped_and_other_settings_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = make_data(tmp_path / "corpus"), tmp_path / "out"
    augment(data, out, SPEEDS)
    before = (out / "audio" / "sp0.9-0" / "shard.json").stat().st_mtime_ns
    capsys.readouterr()
    augment(data, out, SPEEDS)
    assert capsys.readouterr().err == f"{out}/wav.scp: inputs have not changed, skipped\n"
    augment(data, out, SPEEDS[:1])
    assert sorted(path.name for path in (out / "audio").iterdir()) == ["sp0.9-0"]
    assert (out / "audio" / "sp0.9-0" / "shard.json").stat().st_mtime_ns == before
    assert check(out) == [] and len(dict(read_table(out / "text.en"))) == 6


def test_refusals(tmp_path: Path) -> None:
    data, out = make_data(tmp_path / "corpus"), tmp_path / "out"
    augment(data, out, SPEEDS[:1])
    with pytest.raises(SystemExit, match=r"it already has an utterance sp0\.9-s-u000; augment the set without copies"):
        augment(out, tmp_path / "again", SPEEDS[:1])
    (data / "wav.scp").unlink()
    with pytest.raises(SystemExit, match="text only, there is no audio to augment"):
        augment(data, tmp_path / "more", SPEEDS)


def test_slashes_in_ids_stay_out_of_paths(tmp_path: Path) -> None:
    data = make_data(tmp_path / "corpus", number=1)
    for path in read_datadir.tables(data):
        path.write_text(path.read_text().replace("s-u000 ", "../a/b "))
    augment(data, tmp_path / "out", SPEEDS[:1])
    assert [path.name for path in (tmp_path / "out" / "audio" / "sp0.9-0").glob("*.flac")] == ["..%2Fa%2Fb.flac"]
    assert check(tmp_path / "out") == [] and effects.draw(SPEEDS[0], "../a/b", 1) == {"speed": 0.9}
