"""Tasks: what a configuration may say, its mistakes, and a training of a system that learns three."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from espnet_ext import train
from espnet_ext.data.task_sets import check_sets
from espnet_ext.data.tasks import TaskError, read_tasks, streams_of
from espnet_ext.data.vocabulary import vocabulary_of
from espnet_ext.infra.streams import STREAMS
from espnet_ext.search.inputs import chosen_tasks
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config
from espnet_ext.training.errors import TrainError
from tests.support.tiny_train import arguments
from tests.support.toy_tasks import NAME, TASKS, know_toy_tasks, make_task_dumps

JOINT = {"subwords": "joint"}


def test_tasks_are_read_in_their_order() -> None:
    more = {"weight": 2, "valid": "dev_mt", "tests": ["test", "tst"]}
    tasks = read_tasks({**JOINT, "tasks": {**TASKS, "mt": {**TASKS["mt"], **more}}})
    assert list(tasks) == ["asr", "st", "mt"] == [task.kind for task in tasks.values()]
    assert tasks["mt"].sets == ("train", "more") and tasks["asr"].sets == ("train",)
    assert (tasks["mt"].weight, tasks["mt"].valid, tasks["mt"].tests) == (2, ("dev_mt",), ("test", "tst"))
    assert (tasks["asr"].weight, tasks["asr"].valid, tasks["asr"].tests) == (None, (), None)
    assert tasks["mt"].names == ("src_text", "text") and tasks["st"].names == ("speech", "text")
    assert streams_of({**JOINT, "tasks": TASKS})["asr"].language("fr", "de") == "en"
    assert read_tasks({}) == {} and streams_of({}) is STREAMS


ST = TASKS["st"]
MISTAKES: list[tuple[Any, str]] = [
    ([ST], r"tasks: \[.*expected a section of `name: "),
    ({"st 1": ST}, "tasks.st 1: a task's name has letters, digits, - and _"),
    ({"st": "train"}, "tasks.st: 'train'; expected {set: ..., reads: ..., src: ..., tgt: ...}"),
    ({"st": {**ST, "sett": "x"}}, "tasks.st.sett: unknown key; did you mean set?"),
    ({"st": {**ST, "beam": 3}}, "tasks.st.beam: unknown key; choose from set, reads, src"),
    ({"st": {"set": "train", "reads": "speech"}}, "tasks.st: src and tgt missing; The language that is read."),
    ({"st": {**ST, "reads": "audio"}}, "tasks.st.reads: 'audio'; expected speech or text"),
    ({"st": {**ST, "tgt": False}}, "tasks.st.tgt: False is not a language code; put it in quotes"),
    ({"st": {**ST, "weight": -1}}, "tasks.st.weight: -1; expected a number, 0 for a task that is only decoded"),
    ({"st": {**ST, "weight": 0}}, "tasks: all have weight 0, so nothing is trained"),
    ({"st": {**ST, "set": ["a", "a"]}}, "tasks.st.set: a is given twice"),
    ({"st": {**ST, "tests": []}}, "tasks.st.tests: an empty list; leave it out"),
    ({"st": {**ST, "set": "dump/train"}}, "tasks.st.set: 'dump/train' is not the name of a set"),
]


@pytest.mark.parametrize(("tasks", "message"), MISTAKES, ids=[message for _, message in MISTAKES])
def test_a_mistake_is_named_with_its_remedy(tasks: Any, message: str) -> None:
    with pytest.raises(TaskError, match=message if message.startswith("tasks: ") else message.replace(".", r"\.")):
        read_tasks({**JOINT, "tasks": tasks})


CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"tasks": {"st": {**ST, "sett": "x"}}}, "toy_tasks.yaml: tasks.st.sett: unknown key; did you mean set?"),
    ({"subwords": "separate"}, "toy_tasks.yaml: subwords: tasks share one vocabulary; set subwords: joint"),
    ({"model": "e2e"}, r"tasks: model e2e takes no tasks; take them out, or choose from .*toy_tasks"),
    ({"tasks": {}}, "model toy_tasks learns tasks; name them in a section tasks:"),
    ({"mixture": {"heat": 2}}, "mixture: unknown option 'heat'; choose from batches, temperature"),
    ({"mixture": {"temperature": 0}}, "mixture.temperature: 0; expected more than 0"),
    ({"mixture": {"batches": 2}}, "mixture.batches: 2, and 3 tasks are learned; expected a batch for each"),
    ({"num_iters_per_epoch": 1}, "num_iters_per_epoch: 1, and 3 tasks are learned; expected a batch for each"),
    ({"vocabulary": {"langs": ["de"]}}, "vocabulary.langs: lacks en, which tasks read or write; add it"),
    ({"best_model_criterion": [["valid", "acc_xx", "max"]]}, "valid acc_xx: no such value; choose from .*acc_mt"),
]


@pytest.mark.parametrize(("changes", "message"), CONFIGS, ids=[message for _, message in CONFIGS])
def test_a_configuration_is_checked(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path)
    path = tmp_path / "conf" / f"{NAME}.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))
    with pytest.raises(TrainError, match=message):
        check_config(read_config(path))


def test_a_task_without_a_model_that_knows_it(tmp_path: Path) -> None:
    path = tmp_path / "mt.yaml"
    path.write_text(yaml.safe_dump({"model": "mt", "mixture": {"batches": 5}}))
    with pytest.raises(TrainError, match="mixture: there are no tasks; leave this section out"):
        check_config(read_config(path))


SETS: list[tuple[dict[str, Any], str]] = [
    ({"set": "trian"}, "tasks.st.set: there is no .*dump/trian; choose from dev, more, train, or make it"),
    ({"valid": "test"}, "tasks.st.valid: there is no .*dump/test"),
    ({"tgt": "fr"}, "tasks.st.set: .*dump/train has no text in fr; it has de, en: name another set or language"),
]


@pytest.mark.parametrize(("changes", "message"), SETS, ids=[message for _, message in SETS])
def test_a_set_that_lacks_something(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    dump = make_task_dumps(tmp_path)
    tasks = read_tasks({**JOINT, "tasks": {"st": {**ST, **changes}}})
    with pytest.raises(TaskError, match=message):
        check_sets(tasks, dump, "dev")


def test_a_vocabulary_is_of_all_languages_and_sets() -> None:
    config: dict[str, Any] = {**JOINT, "tasks": {**TASKS, "fr": {**TASKS["mt"], "tgt": "fr", "set": "fr_train"}}}
    found = vocabulary_of(config)
    assert found is not None
    assert found.langs == ("de", "en", "fr") and found.sets == ("fr_train", "more", "train")
    assert found.name.startswith("de-en-fr_")
    less = {**JOINT, "tasks": {"st": ST}}
    said = {"langs": ["de", "en", "fr"], "sets": ["train", "more", "fr_train"]}
    assert vocabulary_of({**less, "vocabulary": said}) == found, "so that one starts from parts of the other"
    assert vocabulary_of(less) != found
    assert vocabulary_of({"subwords": "joint"}) is None


def test_three_tasks_are_learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path, max_epoch=5, greedy_every=5, optim_conf={"lr": 0.02})
    train.main(arguments(tmp_path, NAME))
    exp = tmp_path / "exp" / NAME
    history = [json.loads(line) for line in (exp / "history.jsonl").read_text().splitlines()]
    for task in TASKS:
        losses = [entry[phase][f"loss_{task}"] for entry in history for phase in ("train", "valid")]
        assert losses[-1] < 0.8 * losses[0], (task, losses)
        assert 0 <= history[-1]["valid"][f"acc_{task}"] <= 1
    assert {"wer_asr", "bleu_st", "bleu_mt"} <= history[-1]["valid"].keys()
    assert (exp / "curves.png").exists()
    config = yaml.safe_load((exp / "config.yaml").read_text())
    assert list(read_tasks(config)) == list(TASKS)
    assert config["token_list"] == config["src_token_list"]


def test_a_set_that_is_not_there_ends_training_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know_toy_tasks(monkeypatch)
    make_task_dumps(tmp_path)
    path = tmp_path / "conf" / f"{NAME}.yaml"
    values = yaml.safe_load(path.read_text())
    values["tasks"]["st"]["set"] = "trian"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(SystemExit, match=r"^train toy_tasks: tasks.st.set: there is no .*trian"):
        train.main(arguments(tmp_path, NAME))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["st", "fr"], "--tasks fr: exp/joint has no such task; choose from st, asr, mt"),
        (["st", "mt"], r"--tasks st mt: these read different things \(st speech in en, mt text in en\); give those of"),
    ],
)
def test_tasks_that_cannot_be_decoded_together(names: list[str], message: str) -> None:
    rows = {"st": ("speech", "de"), "asr": ("speech", "en"), "mt": ("text", "de")}
    section = {name: {**ST, "reads": reads, "tgt": tgt} for name, (reads, tgt) in rows.items()}
    model = SimpleNamespace(tasks=read_tasks({**JOINT, "tasks": section}))
    experiment = SimpleNamespace(model=model, folder=Path("exp/joint"))
    assert chosen_tasks(["st", "asr"], experiment) == ("st", "asr")
    with pytest.raises(ValueError, match=message):
        chosen_tasks(names, experiment)
    with pytest.raises(ValueError, match="--tasks st: exp/e2e has no such task; it has none, so leave this option out"):
        chosen_tasks(["st"], SimpleNamespace(model=SimpleNamespace(tasks={}), folder=Path("exp/e2e")))
