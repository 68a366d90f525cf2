"""What --vary says: values, several systems, and which options need no training."""

import pytest

from espnet_ext import sweep
from espnet_ext.reporting.sweep_tables import SECONDS, sweep_plot
from espnet_ext.reporting.tables import NOTHING, Cell, Row, Table
from espnet_ext.sweep import SweepError
from tests.support.tiny_train import write_config
from tests.test_sweep import given


@pytest.mark.parametrize(
    "vary, values",
    [
        ("a.b=0,0.3,1", ["0", "0.3", "1"]),
        ("a=linear, tanh", ["linear", "tanh"]),
        ("a=[1,2],[3,4]", ["[1,2]", "[3,4]"]),
        ("a={b: 1, c: 2},{}", ["{b: 1, c: 2}", "{}"]),
        ("a=1", ["1"]),
    ],
)
def test_values_are_split_at_commas_outside_of_brackets(vary, values):
    assert sweep.split_values(vary) == (vary.partition("=")[0], values)


@pytest.mark.parametrize("vary", ["a", "a=", "=1", "a=1,,2", "a=1,1", ""])
def test_no_values_are_refused(vary):
    with pytest.raises(SweepError, match="expected key=value,value"):
        sweep.split_values(vary)


def test_several_systems_are_varied_in_one_recipe(tmp_path, monkeypatch, capsys):
    """What the recipe does first and last, and a sweep of each system between."""
    monkeypatch.chdir(tmp_path)
    for system in ("asr", "e2e"):
        write_config(tmp_path / f"conf/{system}.yaml", max_epoch=1)
    sweep.main(given("asr e2e", "asr:decode.beam=1,2 e2e:model_conf.lsm_weight=0,0.2", "--dry_run"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    told = [f"{words[2].rpartition('.')[2]} {words[3] if 'conf/' not in words[3] else words[4]}" for words in lines]
    beam, smoothing = "exp/sweep/asr-decode.beam", "exp/sweep/e2e-lsm_weight"
    assert told == [
        *("train exp/asr", "train exp/e2e", "decode exp/asr", "decode exp/e2e"),
        *("train exp/asr", f"decode {beam}/decode.beam=1", f"decode {beam}/decode.beam=2", f"score {beam}"),
        *(f"{verb} {smoothing}/lsm_weight={value}" for verb in ("train", "decode") for value in ("0", "0.2")),
        *(f"score {smoothing}", "score exp", "report exp"),
    ]


def test_options_that_training_does_not_read_train_nothing():
    conf = {"rule": "tn", "d": 5}
    assert sweep.is_searched("model_conf.step", {"model": "simultaneous", "model_conf": conf})
    assert not sweep.is_searched("model_conf.d", {"model": "simultaneous", "model_conf": conf})
    assert sweep.is_searched("model_conf.rho", {"model": "simultaneous", "model_conf": {"rule": "sl"}})
    assert not sweep.is_searched("model_conf.asr_ctc_weight", {"model": "asr", "model_conf": {}})


def test_derived_sets_of_each_value_are_made_before_its_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    part = {"how": "subset", "from": "train"}
    task = {"set": "train", "reads": "speech", "src": "de", "tgt": "de"}
    derived = {"train_10": part | {"share": 0.1}, "train_30": part | {"share": 0.3}}
    tasks = {"tasks": {"de": task}, "derived": derived, "vocabulary": {"sets": ["train"]}}
    write_config(tmp_path / "conf/low.yaml", model="speech_tasks", subwords="joint", **tasks)
    sweep.main(given("low", "tasks.de.set=train_10,train", "--dry_run", "--set=seed=2"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if "decode" not in line]
    told = [(words[2].rpartition(".")[2], words[-1]) for words in lines[:4]]
    changed = "tasks.de.set=train_10"
    assert told == [("derive", "seed=2"), ("train", "seed=2"), ("derive", changed), ("train", changed)]
    assert lines[2][3:] == [
        *("conf/low.yaml", "--data", "data", "--dump", "dump", "--exp", "exp"),
        *("--set", "seed=2", "--set", changed),
    ]


def test_a_value_that_writes_no_such_thing_is_a_gap(tmp_path):
    """As where a task is taken out: its column has no score there."""
    table = Table("test", ["tasks.fr", "BLEU fr", SECONDS], [], shows_interval=True)
    for value, cell in (("null", Cell(NOTHING)), ("all", Cell("20.0", interval="1.0")), ("half", Cell(NOTHING))):
        table.rows.append(Row(value, "", [cell, Cell("3.0")]))
    table.rows[0], table.rows[1] = table.rows[1], table.rows[0]  # which columns are drawn the first row says
    sweep_plot(tmp_path / "plot.png", [table], "tasks.fr")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
