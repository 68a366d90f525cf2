"""The share of outputs in a wrong language."""

from pathlib import Path

import numpy as np
import yaml

from espnet_ext.infra.files import write_table
from espnet_ext.scoring.confusion import WrongLanguage, languages_of

TEXTS = {
    "en": ["the old dog sleeps under the table", "we saw two children with a red ball", "she reads a book"],
    "de": ["der alte Hund schläft unter dem Tisch", "wir sahen zwei Kinder mit einem Ball", "sie liest ein Buch"],
}
TASK = {"set": "train", "reads": "speech", "src": "en", "tgt": "en"}


def make(root: Path, tasks: dict) -> Path:
    for name in ("train", "dev"):
        for lang, texts in TEXTS.items():
            (root / "data" / name).mkdir(parents=True, exist_ok=True)
            write_table(root / "data" / name / f"text.{lang}", [(f"u{i}", text) for i, text in enumerate(texts)])
    (root / "exp").mkdir()
    config = {"subwords": "joint", "tasks": tasks, "valid_dump": "dump/dev"}
    (root / "exp" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return root / "exp"


def test_outputs_are_counted_that_are_in_another_language(tmp_path: Path) -> None:
    exp = make(tmp_path, {"asr": TASK, "st": {**TASK, "tgt": "de"}})
    languages = languages_of(tmp_path / "data", [exp])
    assert languages is not None
    assert languages.accuracy == {"de": 100, "en": 100}
    metric = WrongLanguage(languages, "de")
    counts = metric.statistics(["der Hund", "the dog", "", "das Buch"])
    assert counts.tolist() == [[0, 1], [1, 1], [0, 1], [0, 1]]
    assert metric.score(counts.sum(0)) == 25
    assert np.array_equal(metric.scores(np.stack([counts.sum(0)])), [25])
    assert metric.details(counts.sum(0)) == {"in_another_language": 1}
    assert metric.signature(bs=10) == "bs:10|ngrams:1-4|right_on_validation:de 100.0,en 100.0"


def test_of_one_language_nothing_can_be_confused(tmp_path: Path) -> None:
    assert languages_of(tmp_path / "data", [make(tmp_path, {"asr": TASK})]) is None
