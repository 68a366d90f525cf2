"""Wrong values are refused before the first second of work: one line with the option, its value and what would fit."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espnet_ext import models
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config
from espnet_ext.training.errors import TrainError
from espnet_ext.training.explain import explain
from tests.support.tiny_train import PARTS, write_config

WRONG = [
    ("max_epoch=[", "not YAML: expected the node content"),
    ("max_epoch={a: 1, a: 2}", "not YAML: a is given twice"),
    ("max_epoch=abc", 'max_epoch: "abc"; expected a whole number'),
    ("max_epoch=2.5", "max_epoch: 2.5; expected a whole number"),
    ("max_epoch=true", "max_epoch: true; expected a whole number"),
    ("max_epoch=null", "max_epoch: null; expected a whole number"),
    ("max_epoch=0", "max_epoch: 0; expected at least 1"),
    ("patience=-1", "patience: -1; expected at least 0"),
    ("seed=-1", "seed: -1; expected at least 0"),
    ("seed=4294967296", "expected at most 4294967295"),
    ("batch_bins=0", "batch_bins: 0; expected at least 1"),
    ("max_frames=0", "max_frames: 0; expected at least 1"),
    ("accum_grad=0", "accum_grad: 0; expected at least 1"),
    ("grad_clip=0", "grad_clip: 0; expected more than 0"),
    ("grad_clip=.inf", "grad_clip: Infinity; expected a number"),
    ("num_workers=-1", "num_workers: -1; expected at least 0"),
    ("subwords=foo", 'subwords: "foo"; expected separate or joint'),
    ("subword_sampling=0.2", "subword_sampling: 0.2; expected a section"),
    ("subword_sampling.alpha=2", "subword_sampling.alpha: 2; expected at most 1"),
    ("amp=bf32", 'amp: "bf32"; expected one of auto, none, bf16, fp16'),
    ("log_level=loud", "expected one of ERROR, WARNING"),
    ("batch_type=numel", "batch_type: an option of ESPnet that this training loop does not read; take it out"),
    ("use_amp=true", "does not read; set amp: auto"),
    ("dry_run=true", "dry_run: an option of ESPnet that this training loop does not read"),
    ("output_dir=x", "output_dir: the command line sets this by exp; take it out"),
    ("train_dump=x", "train_dump: the command line sets this by --train or --text_train"),
    ("token_list=[a]", "token_list: the command line sets this by --subwords"),
    ("from=base", "unknown option 'from'"),
    ("=3", "unknown option ''"),
    ("model=e3e", 'model: "e3e"; expected one of asr, '),
    ("model_conf.lsm_weight=1.5", "model_conf.lsm_weight: 1.5; expected at most 1"),
    ("model_conf.lsm_weight=x", 'model_conf.lsm_weight: "x"; expected a number'),
    ("model_conf.share_decoder_input_output_embed=maybe", "expected true or false"),
    ("model_conf.wait_k=3", "model_conf: unknown option 'wait_k' of model e2e; choose from asr_ctc_weight"),
    ("encoder=lstm", 'encoder: "lstm"; expected one of transformer, conformer'),
    ("encoder_conf=3", "encoder_conf: 3; expected a section"),
    ("encoder_conf.attention_heads=5", "5 does not fit the rest: `assert n_feat % n_head == 0` fails; 2 does"),
    ("encoder_conf.attention_heads=0", "encoder_conf.attention_heads: 0; expected at least 1"),
    ("encoder_conf.dropout_rate=1.5", "probability has to be between 0 and 1, but got 1.5; its default does"),
    ("encoder_conf.dropout_rate=high", 'encoder_conf.dropout_rate: "high"; expected a number'),
    ("encoder_conf.input_layer=conv3d", 'unknown input_layer: conv3d; "conv2d" does'),
    ("encoder_conf.input_layer=embed", 'input_layer: "embed" does not fit the rest'),
    ("decoder_conf.attention_heads=5", "width 32 cannot be divided among 5 heads"),
    ("input_size=40", "input_size: 40 does not fit the rest"),
    ("specaug=mask", 'specaug: "mask"; expected specaug or null'),
    ("optim=adamm", 'optim: "adamm"; expected one of adam, adamw'),
    ("optim=lbfgs", 'optim: "lbfgs" does not fit the rest'),
    ("optim_conf.lr=abc", 'optim_conf.lr: "abc"; expected a number'),
    ("optim_conf.lr=-1", "optim_conf.lr: -1; expected at least 0"),
    ("optim_conf.lr=.nan", "optim_conf.lr: NaN; expected a number"),
    ("optim_conf.betas=[0.9]", "optim_conf.betas: [0.9]; expected a list [a number"),
    ("optim_conf.betas=[0.9, 1.5]", "Invalid beta parameter at index 1: 1.5; its default does"),
    ("scheduler_conf.warmup_steps=x", 'scheduler_conf.warmup_steps: "x"; expected a whole number'),
    ("keep_nbest_models=[]", "keep_nbest_models: [] does not fit the rest"),
    ("best_model_criterion=acc", "expected a list, each a list [train or valid, a text, min or max]"),
    ("best_model_criterion=[[test, acc, max]]", "expected a list, each a list [train or valid,"),
    ("best_model_criterion=[[valid, accuracy, max]]", "valid accuracy: no such value; choose from loss, loss_st, acc"),
    ("best_model_criterion=[[valid, wer_asr, min]]", "valid wer_asr: no such value; choose from loss"),
    ("early_stopping_criterion=[valid, ppl, min]", "valid ppl: no such value; choose from loss"),
    ("init=asr", 'init: "asr"; expected a section of `name: value`, each value a text'),
    ("decode=5", "decode: 5; expected a section"),
    ("decode.beam=x", 'decode.beam: "x"; expected a whole number'),
    ("decode.beam=0", "decode option beam: 0; must be at least 1"),
    ("decode.beams=3", "decode: unknown option 'beams'; did you mean beam"),
    ("decode.pairing=pairs", "decode option pairing: 'pairs'; must be rank or sum"),
    ("decode.mt.beam=3", "decode: unknown option 'mt'; did you mean st"),
    ("decode.ctc_weight=0.3", "this stream has no CTC; set 0; its default does"),
    ("mt_peer.optim=sgd", "mt_peer: e2e has no text peer"),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_wrong_value_is_one_line(tmp_path: Path, change: str, message: str) -> None:
    path = write_config(tmp_path / "e2e.yaml")
    with pytest.raises(TrainError) as raised:
        check_config(read_config(path, [change]))
    assert str(raised.value).startswith(f"--set {change}: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_only_some_epochs_report_is_no_criterion(tmp_path: Path) -> None:
    path = write_config(tmp_path / "e2e.yaml", best_model_criterion=[["valid", "bleu_st", "max"]])
    check_config(read_config(path))
    with pytest.raises(TrainError, match="valid bleu_st exists only every 3 epochs; set greedy_every: 1"):
        check_config(read_config(path, ["greedy_every=3"]))
    asr = write_config(tmp_path / "asr.yaml", best_model_criterion=[["valid", "wer_asr", "min"]])
    check_config(read_config(asr), "en")
    with pytest.raises(TrainError, match=r"valid wer_asr: no such value; choose from loss, .*, cer_asr"):
        check_config(read_config(asr), "zh")


def test_the_option_of_another_class_is_named_with_its_class(tmp_path: Path) -> None:
    path = write_config(tmp_path / "e2e.yaml", optim_conf={"betas": [0.9, 0.98]})
    with pytest.raises(TrainError, match=r"e2e.yaml: optim_conf: unknown option 'betas' of optim sgd; choose from"):
        check_config(read_config(path, ["optim=sgd"]))


def test_a_fault_in_a_file_has_its_line(tmp_path: Path) -> None:
    for content, message in [
        ("model: e2e\nmax_epoch: [1\nseed: 2\n", "e2e.yaml, line 3: not YAML: "),
        ("seed: 1\nmodel: e2e\nseed: 2\n", "e2e.yaml, line 3: not YAML: seed is given twice"),
    ]:
        (tmp_path / "e2e.yaml").write_text(content)
        with pytest.raises(TrainError, match=message):
            read_config(tmp_path / "e2e.yaml")
    (tmp_path / "e2e.yaml").write_bytes(b"model: \xff\n")
    with pytest.raises(TrainError, match=r"e2e.yaml: cannot be read as text"):
        read_config(tmp_path / "e2e.yaml")


@pytest.mark.parametrize("name", [name for name in models.NAMES if not models.find(name).composed_of])
def test_the_trial_leaves_random_numbers_alone(name: str, tmp_path: Path) -> None:
    """Every system passes it, too."""
    layer = "embed" if models.find(name).inputs == ("src_text",) else "conv2d"
    st = {"set": "train", "reads": "speech", "src": "en", "tgt": "de"}
    values = {"tasks": {"st": st}} if models.find(name).knows_tasks else {}
    values |= {"subwords": "joint", "encoder_conf": {"input_layer": layer, **PARTS}}
    path = write_config(tmp_path / f"{name}.yaml", **values)
    state = torch.get_rng_state()
    check_config(read_config(path))
    assert torch.equal(torch.get_rng_state(), state)


def test_every_option_is_explained(tmp_path: Path) -> None:
    write_config(tmp_path / "base.yaml", model="e2e", model_conf={"lsm_weight": 0.2})
    (tmp_path / "e2e.yaml").write_text("from: base\nmodel: e2e\nmax_epoch: 3\n")
    lines = explain(read_config(tmp_path / "e2e.yaml", ["decode.beam=7"])).split("\n")
    for line in [
        f"max_epoch: 3    # {tmp_path}/e2e.yaml, default 40",
        f"model_conf.lsm_weight: 0.2    # {tmp_path}/base.yaml, default 0.1",
        "decode.beam: 7    # --set decode.beam=7, default 5",
        "        hypotheses kept per utterance; 1 is greedy search",
        "seed: 0    # default",
        f"encoder_conf.num_blocks: 1    # {tmp_path}/base.yaml, default 6",
        "encoder_conf.dropout_rate: 0.1    # default",
    ]:
        assert line in lines
    assert not any(line.startswith(("batch_type", "output_dir")) for line in lines), "nothing reads these"


def test_explain_needs_no_data(tmp_path: Path) -> None:
    path = write_config(tmp_path / "e2e.yaml")
    command = [sys.executable, "-m", "espnet_ext.train", "--explain", str(path)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert f"batch_bins: 1200    # {path}, default 1000000\n        Frames" in found.stdout
    found = subprocess.run([*command, "--set", "seed=-1"], capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stderr.endswith("train: --set seed=-1: seed: -1; expected at least 0\n")


def test_a_section_within_model_conf_has_the_options_of_its_own_class(tmp_path: Path) -> None:
    tasks = {name: {"set": "train", "reads": "text", "src": "en", "tgt": name} for name in ("de", "fr")}
    conf = {"tcn": "implicit", "tcn_conf": {"width": 8, "attention_heads": 2}}
    encoder = {**PARTS, "output_size": 32, "input_layer": "embed"}
    given = {"tasks": tasks, "subwords": "joint", "model_conf": conf, "encoder_conf": encoder, "normalize": None}
    path = write_config(tmp_path / "both.yaml", model="task_aware", **given)
    check_config(read_config(path))
    with pytest.raises(TrainError, match=r"tcn_conf: unknown option 'widht' of tcn implicit; did you mean width"):
        check_config(read_config(path, ["model_conf.tcn_conf.widht=8"]))
    with pytest.raises(TrainError, match=r'tcn_conf\.width: "wide"; expected a whole number'):
        check_config(read_config(path, ["model_conf.tcn_conf.width=wide"]))
