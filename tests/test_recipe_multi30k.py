"""egs/multi30k: text alone, from either layout of the corpus, through all stages to a table with latency."""

import gzip
import json
from pathlib import Path

import pytest

from espnet_ext.data import about
from espnet_ext.infra.files import read_table
from tests.support.recipe_copy import TINY, RecipeCopy, table

PAIRS = [
    ("A cat sat.", "Eine Katze saß."),
    ("Two dogs run in the snow.", "Zwei Hunde rennen im Schnee."),
    ("A man sees a red house.", "Ein Mann sieht ein rotes Haus."),
    ("The girl sings.", "Das Mädchen singt."),
]
SETS = {"train": 12, "val": 5, "test_2016_flickr": 4}


def write_corpus(folder: Path, zipped: bool = False) -> Path:
    place = folder / "data" / "task1" / "raw" if zipped else folder
    place.mkdir(parents=True)
    for name, size in SETS.items():
        for side, lang in enumerate(("en", "de")):
            text = "".join(f"{PAIRS[i % 4][side]}\n" for i in range(size)).encode()
            path = place / f"{name}.{lang}"
            if zipped:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(text))
            else:
                path.write_bytes(text)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> RecipeCopy:
    return RecipeCopy(tmp_path, "multi30k")


@pytest.mark.parametrize("zipped", [False, True])
def test_files_and_a_clone_are_read_alike(recipe: RecipeCopy, tmp_path: Path, zipped: bool) -> None:
    corpus = write_corpus(tmp_path / "corpus", zipped)
    result = recipe.prepare("data", "--corpus", str(corpus), "--src_lang", "de", "--tgt_lang", "en")
    assert result.returncode == 0, result.stderr
    texts = table(recipe.folder / "data/val/text.de")
    assert len(texts) == 5 and texts["val-00002"] == "Zwei Hunde rennen im Schnee."
    assert not (recipe.folder / "data/val/wav.scp").exists()


def test_sets_that_do_not_match_and_files_that_are_not_there_are_refused(recipe: RecipeCopy, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    (corpus / "val.de").write_text("Eine Zeile.\n")
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 1 and "val has different numbers of lines: {'en': 5, 'de': 1}" in result.stderr
    (corpus / "val.de").unlink()
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 1 and "neither val.de nor data/task1/raw/val.de.gz is there" in result.stderr


def test_a_packed_file_that_was_cut_is_named(recipe: RecipeCopy, tmp_path: Path) -> None:
    cut = write_corpus(tmp_path / "corpus", zipped=True) / "data/task1/raw/val.de.gz"
    cut.write_bytes(cut.read_bytes()[:-9])
    result = recipe.prepare("data", "--corpus", str(tmp_path / "corpus"))
    assert result.returncode == 1 and f"{cut}: not a whole .gz file" in result.stderr


def test_all_stages_run(recipe: RecipeCopy, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    result = recipe.run("--corpus", str(corpus), "--subword_type", "char", "--nj", "1", "--set", TINY)
    assert result.returncode == 0, result.stderr
    systems = (recipe.folder / "run.sh").read_text().split('--systems "')[1].split('"')[0].split()
    results = (recipe.folder / "RESULTS.en-de.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert f"</sup> {system} |" in results
    assert "| MT AL | MT LAAL | MT CW | MT length ratio |" in results
    exp = recipe.folder / "exp" / "en-de"
    assert not (exp / "mt/val/delays.mt.jsonl").exists()
    for system in systems[1:]:
        lines = (exp / system / "val" / "delays.mt.jsonl").read_text().splitlines()
        hypotheses = table(exp / system / "val" / "hyp.mt") if (exp / system / "val/hyp.mt").read_text().strip() else {}
        hypotheses = dict(read_table(exp / system / "val" / "hyp.mt"))
        sources = dict(read_table(recipe.folder / "data/en-de/val/text.en"))
        for row in map(json.loads, lines):
            assert len(row["word"]["read"]) == len(hypotheses[row["id"]].split())
            assert len(row["subword"]["read"]) <= 8  # decode.max_length
            assert row["word"]["source"] == len(sources[row["id"]].split())
    history = json.loads((exp / "tn/history.jsonl").read_text())
    assert {"reward", "bleu", "al"} <= history["train"].keys() & history["valid"].keys()
    assert (exp / "tn/model.pth").exists() and not (exp / "le/model.pth").exists()
    late = [json.loads(line)["subword"] for line in (exp / "greedy/val/delays.mt.jsonl").read_text().splitlines()]
    assert all(set(row["read"]) <= {row["source"]} for row in late)


def test_captions_are_spoken(recipe: RecipeCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICES", str(tmp_path))
    corpus = write_corpus(tmp_path / "corpus")
    voices = ["--spoken", "small", "--nj", "2"]
    result = recipe.prepare("data/en-de", "--corpus", str(corpus), *voices)
    assert result.returncode == 0, result.stderr
    for name, size in SETS.items():
        texts = table(recipe.folder / f"data/en-de/spoken_{name}/text.de")
        assert len(texts) == size and set(texts.values()) <= {target for _, target in PAIRS}
        assert len(table(recipe.folder / f"data/en-de/spoken_{name}/wav.scp")) == size
    assert about.read_about(recipe.folder / "data/en-de/spoken_val").speech == "en"
    result = recipe.prepare("data", "--corpus", str(corpus), *voices, "--sets", "val")  # where pairs are not kept apart
    assert result.returncode == 0 and not (recipe.folder.parent / "downloads").exists()
    assert table(recipe.folder / "data/spoken_val/wav.scp") == table(recipe.folder / "data/en-de/spoken_val/wav.scp")
    result = recipe.prepare("data/en-de", "--corpus", str(corpus), *voices, "--natural", "-1")
    assert result.returncode == 2 and "argument --natural: '-1': expected a number from 0 on" in result.stderr
    text = ["--src_lang", "de", "--tgt_lang", "en"]
    result = recipe.prepare("data/de-en", "--corpus", str(corpus), *voices, *text)
    assert result.returncode == 1 and "--spoken speaks English, and --src_lang is de" in result.stderr


def test_speech_systems_share_the_text_recipes_data_and_translator(
    recipe: RecipeCopy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICES", str(tmp_path))
    corpus = ["--corpus", str(write_corpus(tmp_path / "corpus")), "--subword_type", "char", "--nj", "1", "--set", TINY]
    assert recipe.run(*corpus, "--systems", "mt", "--stop_stage", "7").returncode == 0
    trained = (recipe.folder / "exp/en-de/mt/model.pth").stat()
    systems = (recipe.folder / "run_speech.sh").read_text().split('--systems "')[1].split('"')[0].split()
    speech = ["--data_args", "--spoken small", "--systems", " ".join(systems)]
    result = recipe.run(*corpus, *speech, script="run_speech.sh")
    assert result.returncode == 0, result.stderr
    results = (recipe.folder / "RESULTS.speech.en-de.md").read_text().replace("†", "")
    for system in systems:
        assert f"</sup> {system} |" in results
    assert (recipe.folder / "exp/en-de/mt/model.pth").stat().st_mtime_ns == trained.st_mtime_ns
