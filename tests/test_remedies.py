"""What is deleted, cut or damaged is noticed, and the stage that made it makes it again."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext import decode, train
from espnet_ext.data import features
from espnet_ext.data.ark import FeatureReader
from espnet_ext.infra.weights import DamagedError, load_tensors
from tests.support.tiny_train import arguments, make_dumps, write_config


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained and decoded recogniser."""
    root = tmp_path_factory.mktemp("recipe")
    make_dumps(root, utterances=16)
    write_config(root / "conf" / "asr.yaml", max_epoch=1, decode={"max_length": 8, "beam": 1})
    train.main(arguments(root, "asr"))
    decode.main([f"{root}/exp/asr", f"{root}/dump/dev"])
    return root


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize("damage", [os.unlink, cut, flip])
def test_model_file(root: Path, damage, capfd: pytest.CaptureFixture[str]) -> None:
    model = root / "exp/asr/model.pth"
    whole = load_tensors(model)
    damage(model)
    train.main(arguments(root, "asr"))
    errors = capfd.readouterr().err
    assert f"{model}: changed since it was made, so it is made again" in errors and "resumed at epoch 2" in errors
    again = load_tensors(model)
    assert all(again[name].equal(value) for name, value in whole.items())


@pytest.mark.parametrize("damage", [cut, flip])
def test_decoding_with_a_damaged_model_says_what_helps(root: Path, tmp_path: Path, damage) -> None:
    model = root / "exp/asr/model.pth"
    content = model.read_bytes()
    damage(model)
    with pytest.raises(SystemExit, match=r"^decode: .*model\.pth: damaged.*; delete it and train again \(stage 7\)"):
        decode.main([f"{root}/exp/asr", f"{root}/dump/dev", "--out", str(tmp_path)])
    model.write_bytes(content)


def test_a_flipped_bit_in_tensors_is_noticed(root: Path) -> None:
    path = root / "exp/asr/checkpoint.pth"
    content = path.read_bytes()
    flip(path)
    with pytest.raises(DamagedError, match=r"checkpoint\.pth: damaged: the checksum of .* differs"):
        load_tensors(path)
    with pytest.raises(SystemExit, match=r"^train asr: .*checkpoint\.pth: damaged.* Move it away"):
        train.main(arguments(root, "asr", "--set", "max_epoch=2"))
    path.write_bytes(content)


def test_a_checkpoint_that_nothing_tells_the_settings_of(root: Path) -> None:
    """Without run.json another learning rate went on from there."""
    path = root / "exp/asr/run.json"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(
        SystemExit, match=r"run\.json does not say what checkpoint\.pth was trained from: put that file"
    ):
        train.main(arguments(root, "asr", "--set", "optim_conf.lr=0.1"))
    path.write_text("{")
    with pytest.raises(SystemExit, match=r"run\.json: damaged .*; put it back"):
        train.main(arguments(root, "asr"))
    path.write_bytes(content)


def test_a_line_lost_from_hypotheses(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = root / "exp/asr/dev/hyp.asr"
    decode.main([f"{root}/exp/asr", f"{root}/dump/dev"])  # the configuration has changed since
    content = path.read_text()
    path.write_text("".join(content.splitlines(keepends=True)[1:]))
    decode.main([f"{root}/exp/asr", f"{root}/dump/dev"])
    assert f"{path}: changed since it was made" in capfd.readouterr().err and path.read_text() == content


def make_audio(folder: Path, *samples: np.ndarray) -> Path:
    folder.mkdir()
    rows = [(f"u{number}", folder / f"{number}.wav", sound) for number, sound in enumerate(samples)]
    for _, path, sound in rows:
        soundfile.write(path, sound, 16000, subtype="FLOAT")
    (folder / "wav.scp").write_text("".join(f"{key} {path}\n" for key, path, _ in rows))
    return folder


NOISE = np.random.default_rng(0).normal(size=16000).astype(np.float32) * 0.1


@pytest.mark.parametrize("name", ["feats.0.ark", ".shards/0.npz", "feats.scp"])
@pytest.mark.parametrize("damage", [os.unlink, cut, flip])
def test_features(tmp_path: Path, name: str, damage) -> None:
    data, dump = make_audio(tmp_path / "data", NOISE, NOISE[:9000]), tmp_path / "dump"
    features.make_features(data, dump)
    wanted = {path: path.read_bytes() for path in dump.glob("[fu]*")}
    damage(dump / name)
    if name.startswith(".shards"):
        (dump / "feats.0.ark").unlink()  # alone it is not read
    features.make_features(data, dump)
    assert {path: path.read_bytes() for path in dump.glob("[fu]*")} == wanted


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path: Path) -> None:
    features.make_features(make_audio(tmp_path / "data", NOISE), tmp_path / "dump")
    flip(tmp_path / "dump/feats.0.ark")
    with pytest.raises(OSError, match=r"feats\.0\.ark: is damaged at u0; delete this file and make the features again"):
        FeatureReader(tmp_path / "dump").read(0)


def test_an_index_without_checksums_is_read(tmp_path: Path) -> None:
    features.make_features(make_audio(tmp_path / "data", NOISE), tmp_path / "dump")
    index = np.load(tmp_path / "dump/feats.index.npy")
    np.save(tmp_path / "dump/feats.index.npy", index[[name for name in index.dtype.names if name != "crc32"]])
    assert FeatureReader(tmp_path / "dump").read(0).shape == (98, 80)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_audio_that_is_not_numbers_is_refused(tmp_path: Path, value: float) -> None:
    bad = NOISE.copy()
    bad[5000] = value
    data = make_audio(tmp_path / "data", NOISE, bad)
    with pytest.raises(SystemExit, match=r"utterance u1: .*1\.wav.*(NaN|infinite).*; "):
        features.main([str(data), str(tmp_path / "dump")])
    assert not (tmp_path / "dump" / features.INDEX).exists()


def test_what_was_interrupted_between_output_and_stamp_is_made_again(root: Path, monkeypatch) -> None:
    """Beam 1, then beam 2 killed before its last line, then beam 1: beam 2's output does not pass for it."""
    folder, out = [f"{root}/exp/asr", f"{root}/dump/dev"], root / "exp/asr/dev/decode.json"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        written = decode.write_results
        patch.setattr(decode, "write_results", lambda *given: (written(*given), killed()))
        with pytest.raises(KeyboardInterrupt):
            decode.main([*folder, "--beam", "2"])
    assert json.loads(out.read_text())["options"]["asr"]["beam"] == 2
    decode.main(folder)
    assert json.loads(out.read_text())["options"]["asr"]["beam"] == 1
