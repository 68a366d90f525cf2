"""Derived sets: which are made, in which order, by which command, and what is wrong with others."""

from pathlib import Path
from typing import Any

import pytest

from espnet_ext.data.derive import read_derived, words_of
from espnet_ext.data.tasks import TaskError
from espnet_ext.sets import named
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config
from espnet_ext.training.errors import TrainError
from tests.support.toy_tasks import NAME, TASKS, know_toy_tasks, make_task_dumps

FAST = {"how": "augment", "from": "train", "with": ["speed:0.9,1.1", "echo"]}
LABELS = {"how": "pseudo_label", "from": "fast", "exp": ["mt", "mt_big"], "nbest": 2, "keep": True, "not": False}


def config_of(task_set: str, **derived: Any) -> dict[str, Any]:
    return {"subwords": "joint", "tasks": {"st": {**TASKS["st"], "set": task_set}}, "derived": derived}


def test_only_what_tasks_ask_for_is_made_sources_first() -> None:
    derived = {"labels": LABELS, "fast": FAST, "other": FAST}
    assert list(read_derived(config_of("labels", **derived))) == ["fast", "labels"]
    assert list(read_derived(config_of("fast", **derived))) == ["fast"]
    assert read_derived(config_of("train", **derived)) == read_derived({}) == {}


def test_options_are_words_of_the_command() -> None:
    assert words_of(FAST, Path("exp")) == ["--with", "speed:0.9,1.1", "echo"]
    assert words_of(LABELS, Path("exp")) == ["--exp", "exp/mt", "exp/mt_big", "--nbest", "2", "--keep"]


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        ({"fast": "augment"}, r"derived\.fast: 'augment'; expected {how: ..., from: SET, ...}"),
        ({"fast": {"how": "augment"}}, r"derived\.fast: .*expected {how: ..., from: SET, ...}"),
        ({"fast": {**FAST, "how": "magic"}}, r"derived\.fast\.how: 'magic'; choose from augment, pseudo_label"),
        (
            {"fast": {**FAST, "from": "slow"}, "slow": {**FAST, "from": "fast"}},
            "made from itself: fast from slow from fast",
        ),
    ],
)
def test_a_mistake_is_named(derived: dict[str, Any], message: str) -> None:
    with pytest.raises(TaskError, match=message):
        read_derived(config_of("fast", **derived))


def test_a_configuration_is_checked_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path, derived={"more": {**FAST, "how": "magic"}})
    with pytest.raises(TrainError, match=rf"{NAME}\.yaml: derived\.more\.how: 'magic'; choose from"):
        check_config(read_config(tmp_path / "conf" / f"{NAME}.yaml"))


def test_the_recipe_prepares_their_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_task_dumps(tmp_path, derived={"more": {**FAST, "from": "clean"}})
    monkeypatch.chdir(tmp_path)
    training, every, vocabularies = named([NAME], [])
    assert training == ["train", "clean"] == every
    assert vocabularies == ["de,en:train"], "what is derived is no text to learn sub-words from"


def test_a_change_is_for_the_systems_that_derive_the_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path)
    monkeypatch.chdir(tmp_path)
    own = Path("conf") / f"{NAME}.yaml"
    (tmp_path / "conf/other.yaml").write_text(f"from: {NAME}\nderived: {{fast: {{how: augment, from: clean}}}}\n")
    changes = ["derived.fast.with=echo"]
    assert named([NAME, "other"], changes)[0] == ["train", "more", "clean"]
    assert read_derived(read_config(own, changes).values) == {}
    check_config(read_config(own, changes))
    asked = [*changes, "tasks.st.set=fast"]
    assert read_derived(read_config(Path("conf/other.yaml"), asked).values)["fast"]["with"] == "echo"
    with pytest.raises(TaskError, match=r"derived\.fast: .*expected {how: ..., from: SET, ...}"):
        read_derived(read_config(own, asked).values)
