"""What is shown of systems with tasks beside their scores: forgetting, languages of outputs, embeddings."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from espnet_ext import score
from espnet_ext.infra.files import write_json, write_table
from espnet_ext.reporting.embeddings import pictures, sets_of
from espnet_ext.reporting.forgetting import forgetting_tables
from espnet_ext.scoring.results import Experiments, read_json
from espnet_ext.scoring.task_results import with_tasks

TEXTS = {
    "en": ["the old dog sleeps under the table", "we saw two children with a red ball", "she reads a book"],
    "de": ["der alte Hund schläft unter dem Tisch", "wir sahen zwei Kinder mit einem Ball", "sie liest ein Buch"],
}
TASKS: dict[str, dict[str, Any]] = {
    "asr": {"set": "train", "reads": "speech", "src": "en", "tgt": "en", "weight": 1},
    "st": {"set": ["train", "more"], "reads": "speech", "src": "en", "tgt": "de", "weight": 1},
}
KINDS = {name: {"kind": name, "src": task["src"], "tgt": task["tgt"]} for name, task in TASKS.items()}


def make_data(root: Path) -> None:
    for name in ("train", "more", "dev", "test"):
        (root / "data" / name).mkdir(parents=True)
        for lang, texts in TEXTS.items():
            write_table(root / "data" / name / f"text.{lang}", [(f"{name}{i}", text) for i, text in enumerate(texts)])


def make_system(root: Path, system: str, outputs: dict[str, list[str]], learned: str = "", start: str = "") -> None:
    tasks = {name: {**task, "weight": int(learned in ("", name))} for name, task in TASKS.items()}
    result = root / "exp" / system / "test"
    result.mkdir(parents=True)
    config = {"subwords": "joint", "tasks": tasks, "valid_dump": "dump/dev", "seed": 1}
    config |= {"init": {"encoder": start, "decoder": start}} if start else {}
    (result.parent / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for task, texts in outputs.items():
        write_table(result / f"hyp.{task}", [(f"test{i}", text) for i, text in enumerate(texts)])
    decode = {"utterances": 3, "decode_seconds": 1.0, "seed": 1, "tasks": KINDS}
    write_json(result / "decode.json", decode)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_data(tmp_path)
    both = {"asr": TEXTS["en"], "st": TEXTS["de"]}
    make_system(tmp_path, "joint", both)
    make_system(tmp_path, "joint_st", {"asr": TEXTS["de"], "st": TEXTS["de"]}, "st", "joint")
    return tmp_path


def run_score(root: Path) -> str:
    results = root / "RESULTS.md"
    langs = ["--src_lang", "en", "--tgt_lang", "de", "--samples", "20"]
    places = ["--test_sets", "test", "--data", str(root / "data"), "--results", str(results)]
    score.main([str(root / "exp"), "--systems", "joint joint_st", *places, *langs])
    return results.read_text(encoding="utf-8")


def test_the_share_of_outputs_in_a_wrong_language_stands_beside_the_scores(root: Path) -> None:
    page = run_score(root)
    assert "wrong language % en" in page and "right_on_validation:de 100.0,en 100.0" in page
    scores = read_json(root / "exp" / "joint_st" / "test" / "scores.json")["scores"]
    assert scores["asr"]["wrong_language"]["score"] == 100
    assert scores["asr"]["wrong_language"]["in_another_language"] == 3
    assert scores["st"]["wrong_language"]["score"] == 0


def test_what_finetuning_forgets_is_a_matrix(root: Path) -> None:
    page = run_score(root)
    assert "test: joint, before and after finetuning on one task" in page
    where = with_tasks(Experiments(root / "exp", root / "data", "en", "de"), ["joint", "joint_st"], ["test"])
    (table,) = forgetting_tables(where, {"test": ["joint", "joint_st"]})
    assert table.header == ["Finetuned on", "WER en", "BLEU de"]
    assert [row.system for row in table.rows] == ["nothing", "st"]
    assert [cell.text for cell in table.rows[0].cells] == ["0.0", "100.0"]
    after = table.rows[1].cells
    assert after[0].text.startswith("1") and "(+1" in after[0].text
    assert (after[1].text, after[1].best) == ("100.0 (+0.0)", True)


def test_embeddings_are_drawn_by_task_and_by_data_set(root: Path) -> None:
    draw = random.Random(1)
    rows = {task: [[place + draw.random() for _ in range(6)] for _ in range(6)] for place, task in enumerate(TASKS)}
    ids = {"asr": [f"train{i}" for i in range(3)] * 2, "st": ["train0", "more0", "more1", "train1", "more2", "train2"]}
    found = {task: (ids[task], rows[task]) for task in TASKS}
    (root / "exp" / "joint" / "task_embeddings.json").write_text(json.dumps(found))
    (picture,) = pictures(root / "exp", root / "data", ["joint", "joint_st"])
    assert picture.address.startswith("data:image/png;base64,")
    assert picture.caption.startswith("joint: t-SNE of the task embeddings of training examples (6 of asr, 6 of st); ")
    means = [np.mean(rows[task], axis=0) for task in TASKS]
    assert (
        f"distances of their means: asr to st {np.linalg.norm(means[0] - means[1]):.2g}; an example" in picture.caption
    )
    sets = sets_of(ids, root / "exp" / "joint" / "config.yaml", root / "data")
    assert sets == ["asr train"] * 6 + [f"st {name}" for name in ("train", "more", "more", "train", "more", "train")]
