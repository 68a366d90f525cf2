"""Features are the same bytes whatever the number of jobs and of kills."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet_ext.data import fbank, read_datadir
from espnet_ext.data.ark import INDEX, FeatureReader
from espnet_ext.data.features import compute, main, make_features
from espnet_ext.data.write_datadir import Utterance, write_data_dir
from espnet_ext.infra import jobs
from espnet_ext.infra.files import HOST, read_table
from tests.test_fbank import RATE, signal_of


def make_data(folder: Path, talks: int = 4, each: int = 250) -> Path:
    """Talks of noise, each cut into segments of 0.3 to 0.9 s; one shard for each talk."""
    random, utterances = np.random.default_rng(0), []
    (folder / "audio").mkdir(parents=True)
    for talk in range(talks):
        lengths = random.integers(3, 10, each) / 10
        path = folder / "audio" / f"talk{talk}.wav"
        soundfile.write(path, 0.1 * random.standard_normal(round(lengths.sum() * RATE) + 1), RATE)
        ends = np.cumsum(lengths)
        for number, (length, end) in enumerate(zip(lengths, ends, strict=True)):
            name = f"talk{talk}-{number:03d}"
            utterances.append(Utterance(name, f"talk{talk}", {"en": "a tree"}, path, max(0.0, end - length), end))
    write_data_dir(folder / "train", utterances)
    return folder / "train"


def contents(dump: Path) -> dict[str, bytes]:
    """What is in a dump directory, but for the logs."""
    return {
        str(path.relative_to(dump)): path.read_bytes()
        for path in sorted(dump.rglob("*"))
        if path.is_file() and "log" not in path.relative_to(dump).parts
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def undisturbed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dump directory of one run with one job; its path in feats.scp is relative, as in a recipe."""
    here, folder = Path.cwd(), tmp_path_factory.mktemp("undisturbed")
    os.chdir(folder)
    make_features(data, "dump")
    os.chdir(here)
    return folder / "dump"


def test_what_is_written(data: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(undisturbed.parent)
    reader, spans = FeatureReader("dump"), read_datadir.spans(data)
    assert reader.keys == [span.utterance for span in spans] and len(reader) == 1000
    assert dict(read_table("dump/utt2num_frames")) == dict(zip(reader.keys, map(str, reader.lengths), strict=True))
    archives = kaldiio.load_scp("dump/feats.scp")
    for i in (0, 7, 249, 250, 999):
        exact = compute(soundfile.read(spans[i].path, dtype="float32")[0][slice(*frames_of(spans[i]))])
        assert reader.read(i).shape == exact.shape == (reader.lengths[i], 80)
        assert np.abs(reader.read(i) - exact).max() < 0.06  # what a byte for each value can hold
        np.testing.assert_array_equal(archives[reader.keys[i]], reader[i])
        assert reader.position(reader.key(i)) == i


def frames_of(span: read_datadir.Span) -> tuple[int, int]:
    assert span.start is not None and span.end is not None
    return round(span.start * RATE), round(span.end * RATE)


def test_statistics_equal_a_float64_reference(data: Path, undisturbed: Path) -> None:
    everything = []
    for span in read_datadir.spans(data):
        first, last = frames_of(span)
        everything.append(compute(soundfile.read(span.path, start=first, stop=last, dtype="float32")[0]))
    feats_TF = np.concatenate(everything).astype(np.float64)
    with np.load(undisturbed / "stats.npz") as stats:
        assert stats["count"] == len(feats_TF)
        np.testing.assert_allclose(stats["sum"], feats_TF.sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(stats["sum_square"], (feats_TF**2).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("executor", ["local", "slurm"])
def test_jobs_do_not_change_a_byte(
    executor: str, data: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SLURM_CLUSTER", "local")  # submitit without Slurm
    monkeypatch.setattr(jobs, "SLURM_POLL_SECONDS", 0.05)
    monkeypatch.chdir(tmp_path)
    make_features(data, "dump", nj=2, executor=executor)
    assert contents(tmp_path / "dump") == contents(undisturbed)


@pytest.mark.parametrize("nj", [1, 2])
def test_kill_and_run_again(nj: int, data: Path, undisturbed: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "espnet_ext.data.features", str(data), "dump", "--nj", str(nj)]
    path = os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    dump = tmp_path / "dump"
    with open(tmp_path / "log", "wb") as log:
        run = subprocess.Popen(command, cwd=tmp_path, stderr=log, env=environment, start_new_session=True)
        while run.poll() is None and not list(dump.glob(".shards/*.npz")):
            time.sleep(0.001)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    finished = {path: path.stat().st_mtime_ns for path in dump.glob("feats.*.ark") if is_recorded(path)}
    assert 1 <= len(finished) < 4 and not (dump / INDEX).exists()
    (dump / f".feats.3.ark.{run.pid}@{HOST}.tmp").write_bytes(b"half")  # as a kill within a shard leaves it
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert f"{len(finished)} of 4 shards are already there" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert contents(dump) == contents(undisturbed)


def is_recorded(archive: Path) -> bool:
    return (archive.parent / ".shards" / f"{archive.name.split('.')[1]}.npz").exists()


def test_an_archive_without_its_record_is_made_again(
    data: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill came between the two: the archive is whole, but nothing says so."""
    monkeypatch.chdir(tmp_path)
    make_features(data, "dump")
    (tmp_path / "dump" / ".shards" / "2.npz").unlink()
    (tmp_path / "dump" / "feats.2.ark").write_bytes(b"half")
    (tmp_path / "dump" / f".{INDEX}.made_from").unlink()
    make_features(data, "dump")
    assert contents(tmp_path / "dump") == contents(undisturbed)


def test_unchanged_is_skipped_and_one_changed_talk_is_redone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, dump = make_data(tmp_path / "corpus", talks=2), tmp_path / "dump"
    main([str(data), str(dump)])
    before = {path: path.stat().st_mtime_ns for path in dump.iterdir()}
    capsys.readouterr()
    main([str(data), str(dump)])
    assert capsys.readouterr().err == f"{dump / INDEX}: inputs have not changed, skipped\n"
    assert {path: path.stat().st_mtime_ns for path in dump.iterdir()} == before
    (data / "text.en").write_text("talk0-000 other\n")  # no feature depends on it
    make_features(data, dump)
    assert "skipped" in capsys.readouterr().err
    talk, first = tmp_path / "corpus" / "audio" / "talk1.wav", FeatureReader(dump).read(400)
    soundfile.write(talk, soundfile.read(talk)[0] / 2, RATE)
    make_features(data, dump)
    assert "1 of 2 shards are already there" in capsys.readouterr().err
    assert (dump / "feats.0.ark").stat().st_mtime_ns == before[dump / "feats.0.ark"]
    assert np.abs(FeatureReader(dump).read(400) - first + 2 * np.log(2)).max() < 0.12  # both are rounded
    make_features(data, dump, num_mel=40)
    assert FeatureReader(dump).read(0).shape[1] == 40


def test_a_smaller_set_leaves_no_archive_of_before(tmp_path: Path) -> None:
    data, dump = make_data(tmp_path / "corpus", talks=2), tmp_path / "dump"
    make_features(data, dump)
    lines = (data / "segments").read_text().splitlines()[:100]
    (data / "segments").write_text("".join(f"{line}\n" for line in lines))
    make_features(data, dump)
    assert sorted(path.name for path in dump.glob("feats.*")) == ["feats.0.ark", "feats.index.npy", "feats.scp"]
    assert len(FeatureReader(dump)) == 100


def write_simple(folder: Path, *lengths: int) -> Path:
    folder.mkdir()
    lines = []
    for number, length in enumerate(lengths):
        soundfile.write(folder / f"{number}.wav", signal_of("noise")[:length], RATE)
        lines.append(f"u{number} {folder}/{number}.wav\n")
    (folder / "wav.scp").write_text("".join(lines))
    return folder


def test_too_short_is_dropped_with_a_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, dump = write_simple(tmp_path / "data", 16000, 399, 400, 100), tmp_path / "dump"
    make_features(data, dump)
    assert "2 utterances are shorter than one window (25 ms) and dropped: u1 u3" in capsys.readouterr().err
    reader = FeatureReader(dump)
    assert reader.keys == ["u0", "u2"] and reader.lengths.tolist() == [98, 1]
    assert np.abs(reader.read(1) - compute(signal_of("noise")[:400])).max() < 1e-3  # two bytes for each value
    with pytest.raises(SystemExit, match="no utterance is as long as one window of 400 samples"):
        make_features(write_simple(tmp_path / "none", 399), tmp_path / "nothing")


def test_other_rates_are_resampled(tmp_path: Path) -> None:
    data = write_simple(tmp_path / "data", 16000)
    soundfile.write(data / "0.wav", np.repeat(signal_of("tone", 2.0, 44100)[:, None], 2, axis=1), 44100)
    make_features(data, tmp_path / "dump")
    found = FeatureReader(tmp_path / "dump").read(0)
    loud = compute(signal_of("tone", 2.0)).mean(axis=0) > 8  # the bins that hold the tone
    assert found.shape == (198, 80) and np.abs(found - compute(signal_of("tone", 2.0)))[5:-5, loud].max() < 0.1


def test_text_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.en").write_text("u a tree\n")
    make_features(tmp_path, tmp_path / "dump")
    assert capsys.readouterr().err == f"{tmp_path}: text only, no features\n" and not (tmp_path / "dump").exists()


def test_unreadable_audio_names_the_utterance(tmp_path: Path) -> None:
    data = write_simple(tmp_path / "data", 16000, 16000)
    (data / "utt2dur").write_text("u0 1.0\nu1 1.0\n")
    (data / "1.wav").write_bytes((data / "1.wav").read_bytes()[:5000])
    with pytest.raises(
        SystemExit, match=r"utterance u1: .*/1\.wav: the header claims 16000 samples but there are 2478"
    ):
        main([str(data), str(tmp_path / "dump")])
    assert not (tmp_path / "dump" / INDEX).exists()


def test_reader(undisturbed: Path, tmp_path: Path) -> None:
    reader = FeatureReader(undisturbed)
    reader.read(3)
    assert len(pickle.dumps(reader)) < 500
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader)).read(3), reader.read(3))
    child = os.fork()
    if not child:  # shares the descriptors that are open
        os._exit(0 if all(len(reader.read(i)) == reader.lengths[i] for i in range(500)) else 1)
    assert all(len(reader.read(i)) == reader.lengths[i] for i in range(500))
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(KeyError, match="no features for utterance talk0-0001"):
        reader.position("talk0-0001")
    with pytest.raises(FileNotFoundError, match=r"not there; make it with python -m espnet_ext\.data\.features"):
        FeatureReader(tmp_path)


def test_reader_refuses_half_an_archive(tmp_path: Path) -> None:
    make_features(write_simple(tmp_path / "data", 16000, 16000), tmp_path / "dump")
    archive = tmp_path / "dump" / "feats.0.ark"
    archive.write_bytes(archive.read_bytes()[:-1])
    reader = FeatureReader(tmp_path / "dump")
    reader.read(0)
    with pytest.raises(OSError, match=r"feats\.0\.ark: ends inside u1; delete this file and make the features again"):
        reader.read(1)


def test_shards_follow_from_the_data_alone() -> None:
    assert [len(read_datadir.split(n)) for n in (1, 250, 251, 3000, 64000, 1000000)] == [1, 1, 2, 12, 256, 256]
    assert [i for part in read_datadir.split(1003) for i in part] == list(range(1003))
    assert fbank.window_samples(16000) == 400


def test_omniio_stands_in_for_kaldiio() -> None:
    program = (
        "import sys, types, kaldiio, kaldiio.matio\n"
        "stand_in = types.ModuleType('omniio.kaldi')\n"
        "stand_in.save_ark, stand_in.read_object = kaldiio.save_ark, kaldiio.matio.read_kaldi\n"
        "sys.modules |= {'kaldiio': None, 'kaldiio.matio': None}\n"
        "sys.modules |= {'omniio': types.ModuleType('omniio'), 'omniio.kaldi': stand_in}\n"
        "from espnet_ext.data import ark\n"
        "assert ark.save_ark is stand_in.save_ark and ark.read_object is stand_in.read_object"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[1]).returncode == 0
