"""Derived sets: which are made, in which order, by which command, and what is wrong with others."""

from pathlib import Path
from typing import Any

import pytest

from espnet_ext.data import derive
from espnet_ext.data.derive import read_derived, sources, words_of
from espnet_ext.data.tasks import TaskError
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.data.write_datadir import Utterance, update_data_dir
from espnet_ext.sets import named
from espnet_ext.stages import recipe_of, recipe_parser
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import meant_for, read_config
from espnet_ext.training.errors import TrainError
from tests.support.toy_tasks import NAME, TASKS, know_toy_tasks, make_task_dumps

PLACES = ["--exp=exp", "--dump=dump", "--tables=RESULTS.md", "--page=report.html"]
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
    assert words_of(FAST, Path("data"), Path("exp")) == ["--with", "speed:0.9,1.1", "echo"]
    assert words_of(LABELS, Path("data"), Path("exp")) == ["--exp", "exp/mt", "exp/mt_big", "--nbest", "2", "--keep"]
    other = {"how": "subset", "from": "train", "without": ["dev", "other/test"]}
    assert words_of(other, Path("data/x"), Path("exp")) == ["--without", "data/x/dev", "other/test"]
    assert sources(other) == ["train", "dev"]


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


def test_a_set_of_the_recipe_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path, derived={"more": {"how": "subset", "from": "clean", "share": 0.5}})
    monkeypatch.chdir(tmp_path)
    for name in ("clean", "more"):
        update_data_dir(Path("data") / name, [Utterance(f"{name}{i}", "a", {"en": f"line {i}"}) for i in range(4)])
    before = Path("data/more/text.en").read_bytes()
    with pytest.raises(
        SystemExit, match=r"derive: derived\.more: the recipe has prepared data/more; give the derived set"
    ):
        derive.main([f"conf/{NAME}.yaml"])
    assert Path("data/more/text.en").read_bytes() == before


def test_a_set_that_is_no_longer_derived_is_text_for_sub_words() -> None:
    assert vocabulary_of(config_of("fast", fast=None)).sets == ("fast",)
    with pytest.raises(TaskError, match=r"vocabulary\.sets: all tasks learn from derived sets; name other sets"):
        vocabulary_of(config_of("fast", fast=FAST))


def test_a_set_that_an_option_names_is_made_before() -> None:
    derived = {
        "half": {"how": "subset", "from": "train"},
        "rest": {"how": "subset", "from": "train", "without": "half"},
    }
    assert list(read_derived(config_of("rest", **derived))) == ["half", "rest"]


def test_a_change_is_for_the_systems_that_have_what_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path)
    monkeypatch.chdir(tmp_path)
    own, other = Path("conf") / f"{NAME}.yaml", Path("conf/other.yaml")
    task = "{set: fast, reads: speech, src: de, tgt: de}"
    other.write_text(f"from: {NAME}\nderived: {{fast: {{how: augment, from: clean}}}}\ntasks: {{de: {task}}}\n")
    changes = ["derived.fast.with=echo", "tasks.de.weight=2", "max_epoch=3", "tasks.mt=null"]
    assert meant_for(own, changes) == changes[2:] and meant_for(other, changes) == changes
    assert named([NAME, "other"], changes)[0] == ["train", "clean"]
    recipe = recipe_of(recipe_parser("stages", None).parse_args([*PLACES, "--systems", "other", "--set", changes[0]]))
    assert recipe.changes(NAME, 2) == ["seed=2"] and recipe.changes("other", 2) == [changes[0], "seed=2"]
    assert recipe.config("other")["derived"]["fast"]["with"] == "echo"
    with pytest.raises(
        TaskError, match=r"tasks\.dee: none of .*, other has it, so --set tasks\.dee\.weight=2 changes n"
    ):
        named([NAME, "other"], [*changes, "tasks.dee.weight=2"])
    with pytest.raises(TaskError, match=r"derived\.fast: none of toy_tasks has it"):
        named([NAME], changes[:1])
    assert meant_for(own, ["tasks.de={set: train}", "tasks.de.weight=2"]), "a task that is given whole may be changed"
