"""The decode command: result files, shards, resuming, number formats, errors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from espnet2.bin.st_inference import Speech2Text as StInference

from espnet_ext import decode
from espnet_ext.data.ark import FeatureReader
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.infra.files import read_table, write_table
from espnet_ext.machine.precision import prepare
from espnet_ext.models._base import BaseModel
from espnet_ext.training.provenance import changed_weights
from tests.support.espnet_exp import CASES, save_as_espnet
from tests.support.tiny_exp import LENGTHS, make_dump, make_system

RESULTS = {"asr": ["asr"], "e2e": ["st"], "mt": ["mt"], "pipeline": ["asr", "st"]}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dump/test and four untrained systems."""
    root = tmp_path_factory.mktemp("recipe")
    make_dump(root)
    for name in ("asr", "e2e", "mt"):
        make_system(root, name)
    make_system(root, "pipeline", asr="../asr", mt="../mt", model_conf={"asr_nbest": 2})
    return root


def run(recipe: Path, system: str, out: Path, *options: str) -> dict[str, bytes]:
    """The bytes of each result file; those that hold times excepted."""
    decode.main([str(recipe / "exp" / system), str(recipe / "dump/test"), "--out", str(out), *options])
    return {p.name: p.read_bytes() for p in sorted(out.iterdir()) if p.name.startswith(("hyp.", "nbest."))}


def run_on(exp: Path, dump: Path, *options: str) -> None:
    decode.main([str(exp), str(dump), *options])


@pytest.mark.parametrize("system", RESULTS)
def test_result_files(recipe: Path, tmp_path: Path, system: str) -> None:
    run(recipe, system, tmp_path / "test", "--nbest", "3", "--batch_size", "4")
    summary = json.loads((tmp_path / "test/decode.json").read_text())
    assert changed_weights(recipe / "exp" / system, summary["weights"]) == [] and summary["weights"]
    empty = 0
    for stream in RESULTS[system]:
        hypotheses = list(read_table(tmp_path / f"test/hyp.{stream}"))
        assert [key for key, _ in hypotheses] == [f"utt{i}" for i in range(len(LENGTHS))]
        lines = [json.loads(line) for line in (tmp_path / f"test/nbest.{stream}.jsonl").read_text().splitlines()]
        assert [(line["id"], line["nbest"][0]["text"]) for line in lines] == hypotheses
        assert max(len(line["nbest"]) for line in lines) == 3
        for line in lines:
            scores = [hypothesis["score"] for hypothesis in line["nbest"]]
            assert scores == [None] or scores == sorted(scores, reverse=True)
        if system != "mt":
            assert [line["nbest"][0]["score"] is None for line in lines] == [frames < 10 for frames in LENGTHS]
        empty += sum(not text for _, text in hypotheses)
    assert summary["utterances"] == len(LENGTHS) and summary["empty"] == empty and summary["seed"] == 1
    assert summary["audio_seconds"] == (None if system == "mt" else pytest.approx(sum(LENGTHS) / 100))
    assert summary["options"][RESULTS[system][-1]]["nbest"] == 3 and summary["options"]["dtype"] == "fp32"
    model = load_experiment(recipe / "exp" / system).model
    assert summary["parameters"] == sum(p.numel() for p in model.parameters())
    assert sorted(p.name for p in (tmp_path / "test").iterdir())[0] == ".decode.json.made_from"  # no shards are left


@pytest.mark.parametrize("system", ["e2e", "mt"])
def test_batches_and_shards_change_nothing(recipe: Path, tmp_path: Path, system: str) -> None:
    wanted = run(recipe, system, tmp_path / "whole")
    for options in (["--batch_size", "1"], ["--batch_size", "3", "--nj", "2"], ["--batch_bins", "100"]):
        found = run(recipe, system, tmp_path / "-".join(options), *options)
        assert found[f"hyp.{RESULTS[system][0]}"] == wanted[f"hyp.{RESULTS[system][0]}"]


@pytest.mark.parametrize("system", ["e2e", "mt"])
def test_a_set_without_text(recipe: Path, tmp_path: Path, system: str, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = run(recipe, system, tmp_path / "whole")
    blind = tmp_path / "blind"
    shutil.copytree(recipe / "dump/test", blind, ignore=shutil.ignore_patterns("text.*", "tokens.*"))
    decode.main([str(recipe / "exp" / system), str(blind), "--out", str(tmp_path / "out")])
    if system == "mt":
        assert "not decoded: it has no text, and mt reads only text" in capsys.readouterr().err
        assert not (tmp_path / "out/decode.json").exists()
    else:
        assert (tmp_path / "out/hyp.st").read_bytes() == wanted["hyp.st"]


def test_a_killed_decoding_goes_on_with_what_is_missing(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "SHARD", 3)
    options = ["--batch_size", "2", "--nbest", "2"]
    wanted = run(recipe, "e2e", tmp_path / "whole", *options)
    done, decode_shard, stop_at = [], decode.decode_shard, 2

    def counted(settings: decode.Settings, path: Path, batches: list[list[int]]) -> None:
        if len(done) == stop_at:
            raise KeyboardInterrupt
        decode_shard(settings, path, batches)
        done.append(path.name)

    monkeypatch.setattr(decode, "decode_shard", counted)
    with pytest.raises(KeyboardInterrupt):
        run(recipe, "e2e", tmp_path / "killed", *options)
    assert not (tmp_path / "killed/hyp.st").exists()
    assert len(list((tmp_path / "killed/.shards").iterdir())) == 2
    times = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "killed/.shards").iterdir()}
    stop_at = -1
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    assert run(recipe, "e2e", tmp_path / "killed", *options) == wanted
    assert all((tmp_path / "killed/.shards" / name).stat().st_mtime_ns == time for name, time in times.items())


def test_skips_what_is_done_and_redoes_what_changed(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(recipe, "asr", tmp_path)
    before = (tmp_path / "decode.json").stat().st_mtime_ns
    run(recipe, "asr", tmp_path)
    assert "inputs have not changed, skipped" in capsys.readouterr().err
    assert (tmp_path / "decode.json").stat().st_mtime_ns == before
    run(recipe, "asr", tmp_path, "--beam", "2")
    assert json.loads((tmp_path / "decode.json").read_text())["options"]["asr"]["beam"] == 2


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("system", ["e2e", "pipeline"])
def test_number_formats_stay_close(recipe: Path, tmp_path: Path, system: str, dtype: str) -> None:
    """Encoder states of fp32 hardly change, of the others a little; the command takes each."""
    exact = load_experiment(recipe / "exp" / system).model
    coarse = prepare(load_experiment(recipe / "exp" / system).model, dtype)
    exact, coarse = (getattr(model, "asr", model) for model in (exact, coarse))
    batch = {"speech": torch.randn(2, 60, 80), "speech_lengths": torch.tensor([60, 44])}
    with torch.inference_mode():
        (wanted, _), (found, _) = exact.encode(**batch), coarse.encode(**batch)
    error = (found.float() - wanted).abs().max()
    assert error < 1e-4 if dtype == "fp32" else 1e-4 < error < 0.3
    run(recipe, system, tmp_path, "--dtype", dtype)
    assert len(list(read_table(tmp_path / "hyp.st"))) == len(LENGTHS)


def test_speech_is_encoded_in_slices_with_the_same_result(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_experiment(recipe / "exp/e2e").model
    batch = {"speech": torch.randn(5, 60, 80), "speech_lengths": torch.tensor([60, 52, 31, 30, 12])}
    with torch.inference_mode():
        whole, lengths = model.encode(**batch)
        monkeypatch.setattr("espnet_ext.models._base.SLICE", 100)
        sliced, sliced_lengths = model.encode_slices(**batch)
    assert sliced_lengths.tolist() == lengths.tolist()
    for row, length in enumerate(lengths):
        assert (sliced[row, :length] - whole[row, :length]).abs().max() < 1e-5


@pytest.mark.parametrize(
    "exp, dump, options, message",
    [
        ("exp/none", "dump/test", [], "exp/none: no config.yaml; train this system first"),
        ("exp/asr", "dump/none", [], "dump/none: no such dump directory"),
        ("exp/asr", "dump/test", ["--beam", "0"], "decode option beam: 0; must be at least 1"),
        ("exp/asr", "dump/test", ["--device", "cuda"], "there is no GPU here; choose cpu"),
        ("exp/e2e", "dump/test", ["--ctc_weight", "0.3"], "this stream has no CTC; set 0"),
    ],
)
def test_errors_say_what_to_do(
    recipe: Path, tmp_path: Path, exp: str, dump: str, options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as error:
        decode.main([str(recipe / exp), str(recipe / dump), "--out", str(tmp_path), *options])
    assert message in str(error.value)


def test_espnet_experiment_gives_what_st_inference_gives(recipe: Path, tmp_path: Path) -> None:
    """The 1-best text of every utterance; ESPnet searches one at a time."""
    task, config = CASES["st"]
    exp = tmp_path / "exp/st"
    model = save_as_espnet(exp, task, **config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(2.0)
    torch.save(model.state_dict(), exp / "valid.acc.ave.pth")
    run_on(exp, recipe / "dump/test", "--penalty", "0.5", "--max_ratio", "0.9")
    found = dict(read_table(exp / "test/hyp.st"))
    theirs = StInference(exp / "config.yaml", exp / "valid.acc.ave.pth", beam_size=5, penalty=0.5, maxlenratio=0.9)
    reader = FeatureReader(recipe / "dump/test")
    for i, frames in enumerate(LENGTHS):
        wanted = " ".join(theirs(reader.read(i))[0][0].split()) if frames >= 10 else ""
        assert found[f"utt{i}"] == wanted, i
    assert len(set(found.values())) > 4


def test_espnet_experiment_that_reads_waveforms(tmp_path: Path) -> None:
    task, config = CASES["asr-waveform"]
    save_as_espnet(tmp_path / "exp/asr", task, **config)
    data, random = tmp_path / "data/test", np.random.default_rng(0)
    data.mkdir(parents=True)
    for key, seconds in (("a", 0.05), ("b", 1.0), ("c", 0.7)):
        soundfile.write(data / f"{key}.wav", 0.1 * random.normal(size=int(16000 * seconds)), 16000)
    write_table(data / "wav.scp", [(key, str(data / f"{key}.wav")) for key in "abc"])
    run_on(tmp_path / "exp/asr", data, "--max_ratio", "0.3", "--min_ratio", "0.2")
    hypotheses = dict(read_table(tmp_path / "exp/asr/test/hyp.asr"))
    assert hypotheses["a"] == "" and all(hypotheses[key] for key in "bc")
    summary = json.loads((tmp_path / "exp/asr/test/decode.json").read_text())
    assert summary["audio_seconds"] == pytest.approx(1.75)
    (data / "wav.scp").unlink()
    with pytest.raises(SystemExit, match=r"no wav\.scp; this system reads waveforms, so give it a data directory"):
        run_on(tmp_path / "exp/asr", data)


def test_espnet_experiment_that_reads_text(recipe: Path, tmp_path: Path) -> None:
    task, config = CASES["mt"]
    save_as_espnet(tmp_path / "exp/mt", task, **config)
    with pytest.raises(SystemExit, match="give --src_lang"):
        run_on(tmp_path / "exp/mt", recipe / "dump/test")
    run_on(tmp_path / "exp/mt", recipe / "dump/test", "--src_lang", "de", "--min_ratio", "0.5")
    german = (tmp_path / "exp/mt/test/hyp.mt").read_text()
    run_on(tmp_path / "exp/mt", recipe / "dump/test", "--src_lang", "en", "--min_ratio", "0.5")  # not skipped
    assert (tmp_path / "exp/mt/test/hyp.mt").read_text() != german
    texts = [text for _, text in read_table(recipe / "data/test/text.en")]
    assert [bool(text) for _, text in read_table(tmp_path / "exp/mt/test/hyp.mt")] == [bool(text) for text in texts]


def test_every_single_system_says_how_it_searches(recipe: Path) -> None:
    for system, streams in RESULTS.items():
        model = load_experiment(recipe / "exp" / system).model
        assert type(model).decode is not BaseModel.decode
        assert list(model.search_options({})) == streams
