"""python -m espnet_ext.train: configuration, what it writes, skipping, refusing, starting from other systems."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
import torch
import typeguard
import yaml

from espnet_ext import train
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config
from espnet_ext.training.errors import TrainError
from espnet_ext.training.history import read_history
from espnet_ext.training.step import Stepper
from tests.support.tiny_train import arguments, make_dumps, write_config


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Dumps, and a trained asr."""
    root = tmp_path_factory.mktemp("recipe")
    make_dumps(root)
    write_config(root / "conf" / "asr.yaml", model_conf={"asr_ctc_weight": 0.3}, amp="bf16", max_epoch=4)
    train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=1e-2"))
    return root


def test_the_experiment_says_what_the_result_depends_on(root):
    exp = root / "exp" / "asr"
    run = json.loads((exp / "run.json").read_text())
    assert run["seed"] == 3 and run["settings"]["config"]["optim_conf"]["lr"] == 0.01
    assert {"python", "torch", "espnet", "numpy", "sentencepiece"} == run["versions"].keys()
    assert run["command"].startswith("python -m espnet_ext.train ") and len(run["commit"]) >= 7
    assert run["training_seconds"] > 0 and len(run["settings"]["files"]) == 10
    config = yaml.safe_load((exp / "config.yaml").read_text())
    assert config["src_token_list"][0] == "<blank>" and config["src_token_list"][-1] == "<sos/eos>"
    assert {path.name for path in (exp / "subwords").iterdir()} >= {"en", "de"}
    model = load_experiment(exp).model
    assert sum(p.numel() for p in model.parameters()) == run["parameters"]


def test_it_learns_and_reports_greedy_errors(root):
    history = read_history(root / "exp" / "asr" / "history.jsonl")
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    assert history[-1]["valid"]["loss"] < 0.9 * history[0]["valid"]["loss"]
    assert all(0 <= entry["valid"]["wer_asr"] < 1000 for entry in history)
    assert (root / "exp" / "asr" / "curves.png").exists()


def test_a_finished_experiment_is_skipped(root, capfd):
    before = (root / "exp" / "asr" / "model.pth").stat().st_mtime_ns
    train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=1e-2"))
    assert capfd.readouterr().err == f"{root}/exp/asr: inputs have not changed, skipped\n"
    assert (root / "exp" / "asr" / "model.pth").stat().st_mtime_ns == before


def test_it_does_not_matter_which_file_said_what(root, capfd):
    """An experiment made from one whole file is the same as one from base.yaml and what differs."""
    path = root / "conf" / "asr.yaml"
    content = path.read_text()
    shared = {name: value for name, value in yaml.safe_load(content).items() if name != "model"}
    (root / "conf" / "base.yaml").write_text(yaml.safe_dump({**shared, "max_epoch": 9, "patience": 3}))
    path.write_text("from: base\nmodel: asr\nmax_epoch: 4\npatience: null\n")
    train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=1e-2"))
    path.write_text(content)
    assert capfd.readouterr().err == f"{root}/exp/asr: inputs have not changed, skipped\n"


def test_other_settings_are_refused(root):
    with pytest.raises(
        SystemExit, match=r"trained with other data or settings: optim_conf.lr: 0.01 before, 0.02 now\. To train"
    ):
        train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=0.02"))


def test_fewer_epochs_than_are_trained_are_refused(root):
    """Or the configuration would say less than what the model has seen."""
    with pytest.raises(SystemExit, match=r"exp/asr has 4 trained epochs, and max_epoch is now 3\..* set max_epoch: 4"):
        train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=1e-2", "max_epoch=3"))


def test_a_damaged_history_is_named(root):
    path = root / "exp" / "asr" / "history.jsonl"
    content = path.read_text()
    path.write_text(content + "{broken\n")
    try:
        with pytest.raises(SystemExit, match=r"exp/asr/history.jsonl:5: not JSON .*; train again or remove the line"):
            train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=1e-2", "max_epoch=5"))
    finally:
        path.write_text(content)


def test_other_data_are_refused(root):
    path = root / "dump" / "dev" / "stats.npz"
    content = path.read_bytes()
    path.write_bytes(content + b" ")
    try:
        with pytest.raises(SystemExit, match=r"dev/stats.npz has changed"):
            train.main(arguments(root, "asr", "--set", "seed=3", "optim_conf.lr=1e-2"))
    finally:
        path.write_bytes(content)


def test_e2e_starts_from_asr_and_goes_on_with_more_epochs(root, capfd):
    write_config(root / "conf" / "e2e.yaml", init={"encoder": "asr"}, max_epoch=1, optim_conf={"lr": 0.0})
    train.main(arguments(root, "e2e"))
    said = capfd.readouterr().err
    assert "init: encoder from" in said and "not there" not in said
    asr, e2e = (torch.load(root / "exp" / name / "model.pth", weights_only=True) for name in ("asr", "e2e"))
    name = "encoder.encoders.0.self_attn.linear_q.weight"
    torch.testing.assert_close(asr[name], e2e[name])
    train.main(arguments(root, "e2e", "--set", "max_epoch=2"))
    assert "resumed at epoch 2, batch 0" in capfd.readouterr().err
    (last,) = read_history(root / "exp" / "e2e" / "history.jsonl")[1:]
    assert {"loss", "acc", "bleu_st"} <= last["valid"].keys()


def test_a_schedule_that_starts_again_is_told(root, capfd):
    write_config(root / "conf" / "again.yaml", model="e2e", max_epoch=1, greedy_every=0)
    train.main(arguments(root, "again", "--set", "scheduler_conf.warmup_steps=2"))
    assert "WARNING" not in capfd.readouterr().err
    train.main(arguments(root, "again", "--set", "scheduler_conf.warmup_steps=2", "max_epoch=4"))
    assert "WARNING: with more epochs the learning rate goes up again" in capfd.readouterr().err


def test_init_from_a_system_that_is_not_there(root):
    write_config(root / "conf" / "lost.yaml", model="e2e", init={"encoder": "nobody"})
    with pytest.raises(SystemExit, match=r'train lost: .*there is no model in .*nobody; .* --systems "nobody lost"'):
        train.main(arguments(root, "lost"))
    assert not (root / "exp" / "lost" / "run.json").exists()


def test_text_systems_train_on_the_text_set_and_pipelines_are_written(root, capfd):
    encoder = {"output_size": 32, "input_layer": "embed", "attention_heads": 2, "linear_units": 32, "num_blocks": 1}
    write_config(root / "conf" / "mt.yaml", encoder_conf=encoder, normalize=None, batch_bins=200, max_epoch=1)
    (root / "dump" / "text").mkdir()
    for lang in ("en", "de"):
        os.symlink(root / "dump" / "train" / f"text.{lang}", root / "dump" / "text" / f"text.{lang}")
    text = ["--text_train", f"{root}/dump/text"]
    train.main(arguments(root, "mt", *text))
    assert yaml.safe_load((root / "exp" / "mt" / "config.yaml").read_text())["train_dump"] == f"{root}/dump/text"
    assert "bleu_mt" in read_history(root / "exp" / "mt" / "history.jsonl")[0]["valid"]

    path = root / "conf" / "pipeline.yaml"
    path.write_text("model: pipeline\nasr: ../asr\nmt: ../mt\n")
    train.main(arguments(root, "pipeline", *text))
    assert load_experiment(root / "exp" / "pipeline").model.streams == ("asr", "st")
    assert str(root / "dump" / "subwords") not in (root / "exp" / "pipeline" / "config.yaml").read_text()
    capfd.readouterr()
    train.main(arguments(root, "pipeline", *text))
    assert "skipped" in capfd.readouterr().err


def test_lean_imports_leave_nothing_behind():
    synthesiser = sys.modules.get("espnet2.gan_tts.jets.alignments")
    assert synthesiser is None or hasattr(synthesiser, "viterbi_decode")
    assert sys.modules.get("transformers", "not imported") is not None
    assert typeguard.typechecked.__module__.startswith("typeguard")


@pytest.mark.parametrize(
    "changes, key, value",
    [
        (["max_epoch=7"], "max_epoch", 7),
        (["optim_conf.lr=2e-3"], "optim_conf", {"lr": 0.002}),
        (["encoder_conf.dropout_rate=0.2", "specaug=null"], "specaug", None),
        (["best_model_criterion=[[valid, bleu_st, max]]"], "best_model_criterion", [["valid", "bleu_st", "max"]]),
        (["scheduler_conf.warmup_steps=5"], "scheduler_conf", {"warmup_steps": 5}),
        (["model=e2e=x"], "model", "e2e=x"),
    ],
)
def test_set_changes_a_value(tmp_path, changes, key, value):
    path = write_config(tmp_path / "asr.yaml", scheduler_conf={})
    assert read_config(path, changes).values[key] == value


@pytest.mark.parametrize(
    "changes, message",
    [
        (["max_epoch"], "--set max_epoch: expected key=value"),
        (["max_epoch.x=3"], r"--set max_epoch.x=3: max_epoch is 2, not a section"),
        (["max_epochs=3"], "--set max_epochs=3: unknown option 'max_epochs'; did you mean max_epoch"),
        (
            ["encoder_conf.num_block=3"],
            "num_block=3: encoder_conf: unknown option 'num_block' of encoder transformer; did you mean num_blocks",
        ),
        (["optim_conf.learning_rate=3"], "optim_conf: unknown option 'learning_rate'"),
        (["scheduler_conf.warmup=3"], "did you mean warmup_steps"),
        (["model_conf.ctc_weight=0.3"], "did you mean asr_ctc_weight"),
    ],
)
def test_what_set_cannot_change_is_refused(tmp_path, changes, message):
    path = write_config(tmp_path / "asr.yaml")
    with pytest.raises(TrainError, match=message):
        check_config(read_config(path, changes))


@pytest.mark.parametrize(
    "change", ["model=e3e", "init=asr", "subwords=foo", "best_model_criterion=[[valid, ppl, min]]"]
)
def test_a_wrong_value_ends_before_anything_is_written(root, change):
    write_config(root / "conf" / "wrong.yaml", model="e2e")
    with pytest.raises(SystemExit, match=rf"train wrong: --set {re.escape(change)}: "):
        train.main(arguments(root, "wrong", "--text_train", f"{root}/dump/text", "--set", change))
    assert not (root / "exp" / "wrong" / "config.yaml").exists()


def test_names_that_are_known_pass(tmp_path):
    changes = ["model_conf.lsm_weight=0.1", "optim_conf.betas=[0.9, 0.98]", "decode.beam=3", "specaug=specaug"]
    changes.append("specaug_conf.time_mask_width_range=[0, 9]")
    check_config(read_config(write_config(tmp_path / "e2e.yaml"), changes))


class Crash(Exception):
    """What a kill is to the files: nothing more is written."""


@pytest.mark.parametrize("steps", [1, 5, 9])
def test_a_crash_changes_no_bit_of_a_whole_system(root, monkeypatch, steps):
    """With SpecAugment's time warp, dropout, sampled sub-words and bf16: all of ESPnet's and our randomness."""
    changed = {"specaug": "specaug", "amp": "bf16", "subword_sampling": {"alpha": 0.2}, "checkpoint_minutes": 0.0}
    warp = {"apply_time_warp": True, "freq_mask_width_range": [0, 20], "time_mask_width_range": [0, 9]}
    undisturbed, crashed = f"whole{steps}", f"crashed{steps}"
    for name in (undisturbed, crashed):
        write_config(root / "conf" / f"{name}.yaml", model="e2e", specaug_conf=warp, greedy_every=0, **changed)
    train.main(arguments(root, undisturbed))
    step = Stepper.step
    taken = []

    def crash(self, *given):
        taken.append(given)
        if len(taken) > steps:
            raise Crash
        return step(self, *given)

    monkeypatch.setattr(Stepper, "step", crash)
    with pytest.raises(Crash):
        train.main(arguments(root, crashed))
    monkeypatch.undo()
    torch.manual_seed(steps)
    train.main(arguments(root, crashed))
    states = [torch.load(root / "exp" / name / "model.pth", weights_only=True) for name in (undisturbed, crashed)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
