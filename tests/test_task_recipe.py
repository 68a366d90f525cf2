"""A recipe whose systems have tasks, through all stages: speech and text tasks, three text targets, a derived set."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from espnet_ext import pack, translate
from espnet_ext.data.about import read_about
from espnet_ext.data.write_datadir import Utterance, write_data_dir
from tests.support.recipe_copy import TINY, RecipeCopy, write_wav

WORDS = {
    "en": ["a", "cat", "sat", "on", "the", "mat", "and", "saw", "bats"],
    "de": ["eine", "katze", "lag", "auf", "der", "matte", "und", "sah", "tiere"],
    "fr": ["un", "chat", "assis", "sur", "le", "tapis", "et", "voyait", "animaux"],
    "zh": ["一", "猫", "坐", "在", "垫", "子", "上", "看", "鸟"],
}
ALL = """from: base
model: task_aware
model_conf: {asr_ctc_weight: null, tcn: explicit}
tasks:
  st:  {set: train, reads: speech, src: en, tgt: de, tests: [test]}
  asr: {set: [train, train_fast], reads: speech, src: en, tgt: en, tests: [test]}
  mt:  {set: mt_train, reads: text, src: en, tgt: de, weight: 2, tests: [test]}
derived:
  train_fast: {how: augment, from: train, with: "speed:1.1"}
"""
TEXTS = """from: base
model: task_aware
model_conf: {asr_ctc_weight: null}
tasks:
  de: {set: mt_train, reads: text, src: en, tgt: de}
  fr: {set: mt_train, reads: text, src: en, tgt: fr, tests: [test, tst_fr]}
  zh: {set: mt_train, reads: text, src: en, tgt: zh}
mixture: {temperature: 5, batches: 6}
"""


def sentences(name: str, count: int) -> Iterator[dict[str, str]]:
    draw = random.Random(name)
    for _ in range(count):
        chosen = [draw.randrange(9) for _ in range(draw.randint(2, 6))]
        yield {lang: ("" if lang == "zh" else " ").join(words[i] for i in chosen) for lang, words in WORDS.items()}


def make_data(data: Path, audio: Path) -> None:
    for name, count in (("train", 24), ("dev", 8), ("test", 6)):
        rows = []
        for i, texts in enumerate(sentences(name, count)):
            path = audio / f"{name}{i:02d}.wav"
            write_wav(path, 0.3 + 0.12 * len(texts["en"].split()))
            rows.append(Utterance(f"{name}{i:02d}", "s", texts, path))
        write_data_dir(data / name, rows, speech="en")
    for name, count, langs in (("mt_train", 40, tuple(WORDS)), ("tst_fr", 5, ("en", "fr"))):
        texts = [{lang: text[lang] for lang in langs} for text in sentences(name, count)]
        write_data_dir(data / name, [Utterance(f"{name}{i:02d}", "s", text) for i, text in enumerate(texts)])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> RecipeCopy:
    found = RecipeCopy(tmp_path_factory.mktemp("recipe"), "mini")
    make_data(found.folder / "data", found.folder / "downloads")
    for name, text in (("all", ALL), ("texts", TEXTS)):
        (found.folder / "conf" / f"{name}.yaml").write_text(text, encoding="utf-8")
    command = ["--stage", "2", "--systems", "e2e all texts", "--set", f"{TINY} init={{}}"]
    sizes = ["--subword_type", "char", "--test_sets", "test"]
    result = found.run(*command, *sizes)
    assert result.returncode == 0, result.stderr[-3000:]
    (found.folder / "log").write_text(result.stderr)
    return found


def test_every_set_that_is_named_is_prepared(recipe: RecipeCopy) -> None:
    for name in ("train", "dev", "test", "mt_train", "tst_fr", "train_fast"):
        assert (recipe.folder / "dump" / name / "about.json").exists(), name
    assert read_about(recipe.folder / "data" / "train_fast").utterances == 48
    assert read_about(recipe.folder / "dump" / "train_fast").speech == "en"
    names = {path.name.partition("_")[0] for path in (recipe.folder / "dump" / "subwords").iterdir() if path.is_dir()}
    assert names == {"de", "en", "de-en", "de-en-fr-zh"}


def test_each_task_is_decoded_where_it_belongs(recipe: RecipeCopy) -> None:
    def written(system: str, test_set: str) -> set[str]:
        return {path.name.removeprefix("hyp.") for path in (recipe.folder / "exp" / system / test_set).glob("hyp.*")}

    assert written("e2e", "test") == {"st"}
    assert written("all", "test") == {"st", "asr", "mt"}
    assert written("texts", "test") == {"de", "fr", "zh"}
    assert written("texts", "tst_fr") == {"fr"}
    assert not (recipe.folder / "exp" / "all" / "tst_fr").exists()


def test_one_table_has_every_task_by_its_own_metric(recipe: RecipeCopy) -> None:
    results = (recipe.folder / "RESULTS.md").read_text()
    assert "## Every task on its test sets" in results
    header = next(line for line in results.splitlines() if line.startswith("| System"))
    wanted = ["WER en, test", "BLEU de (st), test", "BLEU de (mt), test", "BLEU de (de), test"]
    assert all(f"| {title} " in header for title in [*wanted, "BLEU fr, test", "BLEU zh, test", "BLEU fr, tst_fr"])
    assert "tok:zh" in results and "tok:13a" in results
    scores = json.loads((recipe.folder / "exp" / "texts" / "test" / "scores.json").read_text())
    assert scores["tasks"]["zh"] == {"kind": "mt", "src": "en", "tgt": "zh"}
    significance = json.loads((recipe.folder / "exp" / "significance.test.json").read_text())
    assert set(significance["streams"]["st"]["bleu"]["p"]) == {"e2e", "all"}, "one task of two systems is compared"
    assert (recipe.folder / "report.html").stat().st_size > 10_000


def test_a_rerun_does_nothing(recipe: RecipeCopy) -> None:
    before = (recipe.folder / "exp" / "all" / "model.pth").stat().st_mtime_ns
    command = ["--stage", "2", "--systems", "e2e all texts", "--set", f"{TINY} init={{}}"]
    result = recipe.run(*command, "--subword_type", "char", "--test_sets", "test")
    assert result.returncode == 0, result.stderr[-3000:]
    assert (recipe.folder / "exp" / "all" / "model.pth").stat().st_mtime_ns == before


def test_a_task_is_chosen_to_translate(recipe: RecipeCopy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "all.zip"
    pack.main([str(recipe.folder / "exp" / "all"), str(packed)])
    capsys.readouterr()
    audio = recipe.folder / "downloads" / "test00.wav"
    translate.main(["--exp", str(packed), "--task", "asr", str(audio)])
    assert capsys.readouterr().out.split("\t")[:2] == [str(audio), "en"]
    translate.main(["--exp", str(packed), str(audio)])
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["de", "en"]
    (tmp_path / "text.txt").write_text("a cat sat\n", encoding="utf-8")
    translate.main(["--exp", str(packed), "--task", "mt", str(tmp_path / "text.txt")])
    assert capsys.readouterr().out.split("\t")[1] == "de"
    with pytest.raises(SystemExit, match=r"--task mtt: .*all\.zip has no such task; choose from st, asr, mt"):
        translate.main(["--exp", str(packed), "--task", "mtt", str(audio)])


def test_a_mistake_is_told_before_anything_is_made(recipe: RecipeCopy) -> None:
    path = recipe.folder / "conf" / "all.yaml"
    path.write_text(ALL.replace("reads: text", "reads: txt"), encoding="utf-8")
    try:
        result = recipe.run("--dry_run", "--systems", "all")
    finally:
        path.write_text(ALL, encoding="utf-8")
    assert result.returncode != 0
    assert "sets: tasks.mt.reads: 'txt'; expected speech or text" in result.stderr


def test_a_task_is_taken_away_by_an_option(recipe: RecipeCopy) -> None:
    result = recipe.run("--dry_run", "--systems", "texts", "--set", "tasks.fr=null tasks.zh=null")
    assert result.returncode == 0, result.stderr
    assert "--universal de,en:mt_train" in result.stdout and "tst_fr" not in result.stdout
