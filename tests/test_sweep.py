"""Sweeps: each value is trained, decoded and scored once, and the table says what came of it."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import yaml

from espnet_ext import decode, score, sweep, train
from espnet_ext.scoring.sweeps import positions
from espnet_ext.stages import JOINED, Command, Recipe, recipe_of
from espnet_ext.sweep import SweepError
from tests.support.tiny_train import make_dumps, write_config
from tests.test_runner import ROOT, children_asleep
from tests.test_runner import Recipe as ToyRecipe

RUN = """#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")"
exec ../../utils/st.sh --systems "asr e2e" --train_set train --valid_set dev --test_sets test -- "$@"
"""
CTC = "asr-asr_ctc_weight"
LANGS = ["--src_lang", "en", "--tgt_lang", "de"]
FOLDERS = ["--train", "dump/train", "--valid", "dump/dev", "--subwords", "dump/subwords"]


def given(system: str, vary: str, *more: str) -> list[str]:
    """What st.sh hands over for a recipe on tiny data."""
    lists = {
        "training": [*FOLDERS, *LANGS],
        "decoding": ["--nj", "1"],
        "results": LANGS,
        "scoring": ["--samples", "50"],
    }
    places = ["--exp=exp", "--dump=dump", "--test_sets=test", "--tables=RESULTS.md", "--page=report.html"]
    words = [f"--{name}={JOINED.join(words)}" for name, words in {"launch": ["python3"], **lists}.items()]
    command = f"./run.sh --systems {system} --vary {vary}"
    return [f"--systems={system}", f"--vary={vary}", f"--command={command}", *places, *words, *more]


def recipe_for(system: str) -> Recipe:
    return recipe_of(sweep.parse(given(system, "a=1")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A recipe on tiny data, after two sweeps of its recogniser; and how often each command ran in each sweep."""
    root = tmp_path_factory.mktemp("sweep")
    shutil.copytree(ROOT / "utils", root / "utils")
    recipe = root / "egs" / "toy"
    make_dumps(recipe, utterances=16, sets=("train", "dev", "test"))
    write_config(recipe / "conf/asr.yaml", max_epoch=1, model_conf={"asr_ctc_weight": 0.3}, decode={"max_length": 8})
    write_config(recipe / "conf/e2e.yaml", max_epoch=1, init={"encoder": "asr"})
    (recipe / "run.sh").write_text(RUN)
    (recipe / "run.sh").chmod(0o755)
    ran: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(recipe)
        patch.setattr(sweep, "run", lambda command: run_here(command, ran[-1]))
        for vary in ("model_conf.asr_ctc_weight=0,0.3", "decode.beam=1,2", "model_conf.asr_ctc_weight=0,0.3"):
            ran.append([])
            sweep.main(given("asr", vary))
    return recipe, ran


def run_here(command: Command, ran: list[str]) -> None:
    ran.append(shlex.join(command.words))
    {"train": train.main, "decode": decode.main, "score": score.main}[command.module](list(command.arguments))


@pytest.fixture()
def recipe(finished, monkeypatch):
    monkeypatch.chdir(finished[0])
    return finished[0]


def result(recipe, path: str, name: str) -> dict:
    return json.loads((recipe / "exp" / path / name).read_text())


def test_each_value_is_an_experiment_and_the_base_is_one_of_them(recipe):
    folder = recipe / "exp/sweep" / CTC
    configs = {
        name: yaml.safe_load((folder / name / "config.yaml").read_text())["model_conf"]["asr_ctc_weight"]
        for name in ("asr_ctc_weight=0", "asr_ctc_weight=0.3")
    }
    assert configs == {"asr_ctc_weight=0": 0, "asr_ctc_weight=0.3": 0.3}
    assert os.readlink(folder / "asr_ctc_weight=0.3") == "../../asr"
    assert (folder / "asr_ctc_weight=0/model.pth").read_bytes() != (recipe / "exp/asr/model.pth").read_bytes()
    assert not (recipe / "RESULTS.md").exists() and not list((recipe / "exp").glob("significance.*"))


def test_table_has_a_row_for_each_value(recipe):
    text = (recipe / f"SWEEP-{CTC}.md").read_text()
    assert text.startswith("# asr: model_conf.asr_ctc_weight\n")
    assert "| asr_ctc_weight | ASR WER | ASR CER | Parameters | Training | Utterances/s | Decoding (s) |" in text
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| <sup>")]
    for row, name in zip(rows, ("asr_ctc_weight=0", "asr_ctc_weight=0.3"), strict=True):
        scores = result(recipe, f"sweep/{CTC}/{name}/test", "scores.json")
        wer = scores["scores"]["asr"]["wer"]
        assert row[0].strip().endswith(f"</sup> {name.partition('=')[2]}")
        assert f"{wer['score']:.1f}" in row[1] and f"± {wer['ci']:.1f}" in row[1]
        assert row[-1].strip() == f"{scores['decode_seconds']:.1f}"
    assert "Made by `./run.sh --systems asr --vary model_conf.asr_ctc_weight=0,0.3`" in text
    assert f"![model_conf.asr_ctc_weight](SWEEP-{CTC}.png)" in text and "0.3 is the value that `exp/asr` has" in text
    assert (recipe / f"SWEEP-{CTC}.png").read_bytes().startswith(b"\x89PNG")
    scored = json.loads((recipe / f"SWEEP-{CTC}.json").read_text())["sets"]["test"]["asr"]["wer"]["systems"]
    assert list(scored) == ["asr_ctc_weight=0", "asr_ctc_weight=0.3"]


def test_options_of_search_train_nothing(recipe):
    folder = recipe / "exp/sweep/asr-decode.beam"
    for beam in (1, 2):
        own = folder / f"decode.beam={beam}"
        assert (own / "model.pth").resolve() == (recipe / "exp/asr/model.pth").resolve()
        options = result(recipe, f"sweep/asr-decode.beam/decode.beam={beam}/test", "decode.json")["options"]["asr"]
        assert (options["beam"], options["max_length"]) == (beam, 8)
    assert (recipe / "SWEEP-asr-decode.beam.md").exists()
    assert yaml.safe_load((recipe / "exp/asr/config.yaml").read_text())["decode"] == {"max_length": 8}


def test_what_is_done_is_not_done_again(finished, capsys):
    recipe, ran = finished
    trained = [
        [Path(words.split("--train")[0].split()[-1]).name for words in each if ".train" in words] for each in ran
    ]
    assert trained == [["asr", "asr_ctc_weight=0"], ["asr"], ["asr", "asr_ctc_weight=0"]]
    runs = [path for path in (recipe / "exp").rglob("history.jsonl") if not path.parent.is_symlink()]
    assert len({path.resolve() for path in runs}) == 2  # two trainings for three sweeps
    assert all(len(path.read_text().splitlines()) == 1 for path in runs)


def test_dry_run_prints_the_commands_and_touches_nothing(recipe, capsys):
    before = sorted(recipe.rglob("*"))
    sweep.main(given("asr", "optim_conf.lr=1e-2,1e-3", "--dry_run", "--seeds=3 4"))
    lines = capsys.readouterr().out.splitlines()
    assert sorted(recipe.rglob("*")) == before
    assert len(lines) == 4 + 4 + 1
    own = "exp/sweep/asr-optim_conf.lr"
    assert f"espnet_ext.train conf/asr.yaml {own}/optim_conf.lr=1e-2 --train" in lines[0]
    assert lines[0].endswith("--set seed=3 --set optim_conf.lr=1e-2")
    assert f"{own}/seed4/optim_conf.lr=1e-3 --train" in lines[3] and "--set seed=4 --set optim_conf.lr=1e-3" in lines[3]
    assert f"espnet_ext.decode {own}/seed4/optim_conf.lr=1e-2 dump/test" in lines[6]
    scoring = score.parse(shlex.split(lines[-1])[3:])
    assert (str(scoring.exp), scoring.seeds) == (own, [3, 4])
    assert scoring.systems == ["optim_conf.lr=1e-2", "optim_conf.lr=1e-3"]
    assert str(scoring.results) == f"{own}/RESULTS.md"


def test_a_variant_finds_the_systems_that_it_is_made_from(recipe, tmp_path):
    e2e = recipe_for("e2e")
    (variant,) = sweep.make_variants(e2e, "model_conf.lsm_weight", ["0.2"])
    sweep.prepare(recipe / "exp/sweep/x", variant, e2e, None)
    assert (recipe / "exp/sweep/x/asr/model.pth").exists()
    shutil.rmtree(recipe / "exp/sweep/x")
    with pytest.raises(SweepError, match="none/asr does not exist, and e2e is made from it: train it first"):
        sweep.prepare(tmp_path / "x", variant, replace(e2e, exp=tmp_path / "none"), None)


def test_parts_are_the_systems_beside():
    config = {"init": {"encoder": "asr", "st": "e2e:encoder", "x": "exp/other"}, "asr": "../asr", "mt": "../../old/mt"}
    assert sweep.parts_of(config) == {"asr", "e2e"}


@pytest.mark.parametrize(
    "system, vary, message",
    [
        ("asr", "model_conf.ctc_weight=0,1", "unknown option 'ctc_weight' of model asr; did you mean asr_ctc"),
        ("asr", "max_epochs=2,3", "unknown option 'max_epochs'; did you mean max_epoch"),
        ("asr", "decode.beams=2", "unknown option 'beams'; did you mean beam"),
        ("asr", "decode.beam=0", "decode option beam: 0; must be at least 1"),
        ("asr e2e", "a=1", "one system can be varied, not 'asr e2e'; name it with --systems, or before the option: "),
        ("asr e2e", "mt:a=1 asr:seed=1", "unknown system 'mt'; choose from asr, e2e"),
        ("asr e2e", "asr:seed=1 e2e:decode.beams=2", "unknown option 'beams'; did you mean beam"),
        ("asr", "decode.beam", "expected key=value,value with different values"),
        ("asr", "init.encoder=a/b,a_b", "two values would share a folder"),
    ],
)
def test_faults_are_told_before_anything_runs(recipe, system, vary, message):
    with pytest.raises(SystemExit) as raised:
        sweep.main(given(system, vary))
    assert str(raised.value).startswith("sweep: ") and message in str(raised.value)


@pytest.mark.parametrize("vary", ["seed=1", "asr:seed=1"])
def test_a_system_of_once_is_not_swept_with_other_seeds(vary):
    once = ["--once=asr e2e", "--seeds"]
    several, one = (recipe_of(sweep.parse(given("asr", vary, *once, seeds))) for seeds in ("4 5", "4"))
    assert [key for _, key, _ in sweep.asked_for(one, vary)] == ["seed"]
    with pytest.raises(SweepError, match=r"--once asr: a sweep trains asr with each seed; leave it out .* 4$"):
        list(sweep.asked_for(several, vary))


@pytest.mark.parametrize(
    "options, message",
    [
        (["--systems", "base", "--vary", "a=1"], "unknown system 'base'"),
        (["--systems", "asr", "--vary", "a=1", "--njobs", "3"], "unknown option '--njobs'"),
    ],
)
def test_run_sh_looks_at_its_options_before(recipe, options, message):
    found = subprocess.run(["./run.sh", *options], capture_output=True, text=True)
    assert found.returncode == 2 and message in found.stderr


@pytest.mark.parametrize(
    "values, places",
    [
        (["0", "0.1", "1e1"], [0.0, 0.1, 10.0]),
        (["rank", "sum"], [0.0, 1.0]),
        (["5", "3", "inf"], [0.0, 1.0, 2.0]),
        (["1", "[2]"], [0.0, 1.0]),
    ],
)
def test_numbers_stand_at_their_place_in_the_plot(values, places):
    assert positions(values) == places


def test_links_are_renewed_and_experiments_never_removed(tmp_path):
    (tmp_path / "exp/a").mkdir(parents=True)
    for _ in range(2):
        sweep.link(tmp_path / "exp/sweep/x/a", tmp_path / "exp/a")
    assert os.readlink(tmp_path / "exp/sweep/x/a") == "../../a"
    (tmp_path / "exp/sweep/x/b").mkdir()
    with pytest.raises(SweepError, match=r"b has its own files, from when it differed from .*a; move or delete it"):
        sweep.link(tmp_path / "exp/sweep/x/b", tmp_path / "exp/a")


def test_a_failing_command_ends_the_sweep():
    with pytest.raises(SystemExit, match=r"sweep: train failed; fix the cause, then repeat the command"):
        sweep.run(Command(7, "", ("false",), "train"))


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_ending_a_sweep_ends_its_command(ending):
    program = "from espnet_ext.sweep import *; run(Command(7, '', ('bash', '-c', 'exec sleep 600')))"
    runner = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    children = children_asleep(runner, 1)
    if ending == signal.SIGTERM:
        runner.send_signal(ending)  # as a scheduler does
    else:
        os.killpg(runner.pid, ending)  # as a terminal does
    assert runner.wait(timeout=60) != 0
    assert not psutil.wait_procs(children, timeout=20)[1]


def test_run_sh_hands_over(tmp_path):
    recipe = ToyRecipe(tmp_path)
    words = ["--systems", "one", "--vary", "model_conf.k=0,1", "--set", "seed=2 a=b", "--score_args", "--samples 50"]
    assert recipe.run(*words).returncode == 0
    (call,) = recipe.calls()
    options = sweep.parse(call[2:])
    assert call[:2] == ["-m", "espnet_ext.sweep"] and shlex.split(options.command) == ["./run.sh", *words]
    found = recipe_of(options)
    assert (found.systems, found.set, found.scoring) == (["one"], "seed=2 a=b", ("--samples", "50"))
    assert (options.vary, options.dry_run) == ("model_conf.k=0,1", False)
    recipe.run(*words, "--dry_run")
    assert sweep.parse(recipe.calls()[1][2:]).dry_run


def test_seeds_train_and_decode_in_folders_of_their_own(tmp_path):
    recipe = ToyRecipe(tmp_path)
    assert recipe.run("--stage", "7", "--seeds", "3 1 2", "--set", "seed=9 max_epoch=2").returncode == 0
    calls = recipe.calls()
    places = ["exp", "exp/seed1", "exp/seed2"]
    assert [call[3] for call in calls[:6]] == [f"{place}/{name}" for place in places for name in ("one", "two")]
    assert [call[-4:] for call in calls[:6:2]] == [
        ["--set", "seed=9 max_epoch=2", "--set", f"seed={seed}"] for seed in (3, 1, 2)
    ]
    assert [call[2] for call in calls[6:18:4]] == [f"{place}/one" for place in places]
    for call in calls[18:]:
        assert call[call.index("--seeds") + 1] == "3 1 2"
    for wrong in ("1 two", "-1", "1,2"):
        result = recipe.run("--seeds", wrong)
        assert result.returncode == 2 and "option '--seeds' takes whole numbers" in result.stderr
