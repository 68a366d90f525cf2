"""Configurations: a system's file over base.yaml, changes on the command line, and where a value came from."""

from pathlib import Path
from typing import Any

import pytest

from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config
from espnet_ext.training.errors import TrainError

BASE = """\
encoder: transformer
encoder_conf: {output_size: 32, dropout_rate: 0.1}
optim: adamw
optim_conf: {lr: 2e-3, betas: [0.9, 0.98]}
normalize: global_mvn
specaug: specaug
specaug_conf: {num_time_mask: 2}
max_epoch: 9
decode: {beam: 5, asr: {ctc_weight: 0.3}}
"""


def write(folder: Path, own: str, base: str | None = BASE) -> Path:
    if base is not None:
        (folder / "base.yaml").write_text(base)
    (folder / "e2e.yaml").write_text(own)
    return folder / "e2e.yaml"


@pytest.mark.parametrize(
    ("own", "option", "value"),
    [
        ("max_epoch: 3", "max_epoch", 3),  # replaced
        ("model: e2e", "max_epoch", 9),  # taken
        ("init: {encoder: asr}", "init", {"encoder": "asr"}),  # added
        ("normalize: null", "normalize", "not there"),  # removed
        ("patience: null", "patience", None),  # a value, since there is nothing to remove
        ("optim_conf: {lr: 1e-3}", "optim_conf", {"lr": 0.001, "betas": [0.9, 0.98]}),  # key by key
        ("optim_conf: {betas: null}", "optim_conf", {"lr": 0.002}),
        ("optim_conf: {betas: [0.9]}", "optim_conf", {"lr": 0.002, "betas": [0.9]}),  # a list is a value
        ("decode: {asr: {beam: 2}}", "decode", {"beam": 5, "asr": {"ctc_weight": 0.3, "beam": 2}}),
        ("decode: null", "decode", "not there"),
        ("optim: sgd", "optim_conf", "not there"),  # another class has options of its own
        ("optim: sgd, optim_conf: {lr: 1.0}", "optim_conf", {"lr": 1.0}),
        ("optim: adamw, optim_conf: {lr: 1.0}", "optim_conf", {"lr": 1.0, "betas": [0.9, 0.98]}),
        ("specaug: null", "specaug_conf", "not there"),
    ],
)
def test_a_system_is_what_differs_from_its_base(tmp_path: Path, own: str, option: str, value: Any) -> None:
    path = write(tmp_path, f"{{from: base, {own}}}")
    values = read_config(path).values
    assert values.get(option, "not there") == value
    assert "from" not in values


def test_a_file_without_from_stands_for_itself(tmp_path: Path) -> None:
    assert read_config(write(tmp_path, "model: mt")).values == {"model": "mt"}


@pytest.mark.parametrize(
    ("own", "base", "message"),
    [
        ("from: asr", BASE, "asr.yaml: no such file"),
        ("from: e2e", BASE, "e2e.yaml: from: e2e: that file is made from this one; choose another, such as base"),
        ("from: base", None, "base.yaml: no such file"),
        ("from: base", "from: base", "base.yaml: `from:` is only for systems"),
        ("from: base", "max_epoch", "base.yaml: expected `option: value` lines, found str"),
    ],
)
def test_mistakes_in_from_are_named(tmp_path: Path, own: str, base: str | None, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        read_config(write(tmp_path, own, base))


def test_a_system_is_what_differs_from_another(tmp_path: Path) -> None:
    """As a row of a table differs from the row above it."""
    path = write(tmp_path, "{from: joint, optim_conf: {lr: 1e-3}, max_epoch: null}")
    (tmp_path / "joint.yaml").write_text("{from: base, optim_conf: {betas: [0.9]}, max_epoch: 3}", encoding="utf-8")
    config = read_config(path)
    assert config.values["optim_conf"] == {"lr": 0.001, "betas": [0.9]}
    assert "max_epoch" not in config.values
    assert config.source("optim_conf", "betas") == str(tmp_path / "joint.yaml")
    (tmp_path / "joint.yaml").write_text("from: e2e", encoding="utf-8")
    with pytest.raises(TrainError, match=r"joint.yaml: from: e2e: that file is made from this one"):
        read_config(path)


def test_the_base_is_no_system(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"base\.yaml holds what the systems beside it share and is not a system"):
        read_config(write(tmp_path, "from: base").with_name("base.yaml"))


def test_every_value_knows_where_it_came_from(tmp_path: Path) -> None:
    path = write(tmp_path, "{from: base, max_epoch: 3, optim_conf: {lr: 1e-3}, init: {st.encoder: asr}}")
    config = read_config(path, ["optim_conf.betas=[0.9]"], ["decode.beam=1"])
    for names, source in [
        (("encoder",), str(tmp_path / "base.yaml")),
        (("max_epoch",), str(path)),
        (("optim_conf", "lr"), str(path)),
        (("optim_conf", "betas"), "--set optim_conf.betas=[0.9]"),
        (("init", "st.encoder"), str(path)),
        (("decode", "beam"), "--vary decode.beam=1"),
        (("decode", "asr", "ctc_weight"), str(tmp_path / "base.yaml")),
        (("patience",), "default"),
    ]:
        assert config.source(*names) == source


@pytest.mark.parametrize(
    ("own", "base", "message"),
    [
        ("from: base", "max_epochs: 3", r"base.yaml: unknown option 'max_epochs'; did you mean max_epoch"),
        ("{from: base, max_epochs: 3}", BASE, r"e2e.yaml: unknown option 'max_epochs'; did you mean max_epoch"),
        ("from: base", "optim_conf: {rate: 3}", r"base.yaml: optim_conf: unknown option 'rate'"),
        ("{from: base, optim_conf: {lr: 1.0}}", "optim_conf: {rate: 3}", r"base.yaml: optim_conf: unknown option"),
        ("{from: base, optim_conf: {rate: 3}}", BASE, r"e2e.yaml: optim_conf: unknown option 'rate'"),
    ],
)
def test_an_error_names_the_file_a_value_came_from(tmp_path: Path, own: str, base: str, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        check_config(read_config(write(tmp_path, own, base)))
