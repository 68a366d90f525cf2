"""egs/multilingual_mt: corpora of three languages become three tasks, bad lines are counted, and all stages run."""

import json
from pathlib import Path

import pytest

from tests.support.recipe_copy import TINY, RecipeCopy, table
from tests.test_corpora import write_lines, write_sgm

WORDS = {"en": "one two three four", "de": "eins zwei drei vier", "tr": "bir iki üç dört", "ro": "unu doi trei patru"}


def sentences(lang: str, count: int) -> list[str]:
    """The same numbers in every language."""
    words = WORDS[lang].split()
    return [" ".join(words[(i + k) % 4] for k in range(2 + i % 3)) for i in range(count)]


def write_corpus(folder: Path) -> Path:
    """Europarl v7 and v8, SETIMES under either name, sets of WMT in each form; line 3 of one corpus has no German."""
    for name, other in (("training/europarl-v7.de-en", "de"), ("training-parallel-ep-v8/europarl-v8.ro-en", "ro")):
        for lang in ("en", other):
            lines = sentences(lang, 12)
            if lang == "de":
                lines[2] = " "
            write_lines(folder / f"{name}.{lang}", *lines)
    for name, other in (("SETIMES2.en-tr", "tr"), ("SETIMES.en-ro", "ro")):
        for lang in ("en", other):
            write_lines(folder / f"{name}.{lang}.gz", *sentences(lang, 8))
    for name in ("dev2006", "nc-dev2007", "devtest2006", "test2006", "nc-devtest2007"):
        for lang in ("en", "de"):
            write_lines(folder / "dev" / f"{name}.{lang}", *sentences(lang, 3))
    for name, other in (("dev/newsdev2016", "tr"), ("test/newstest2017", "tr"), ("dev/newsdev2016", "ro")):
        write_sgm(folder / f"{name}-en{other}-src.en.sgm", *sentences("en", 4))
        write_sgm(folder / f"{name}-en{other}-ref.{other}.sgm", *sentences(other, 4))
    write_sgm(folder / "test" / "newstest2016-roen-src.ro.sgm", *sentences("ro", 4))  # the other direction
    write_sgm(folder / "test" / "newstest2016-roen-ref.en.sgm", *sentences("en", 4))
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> RecipeCopy:
    return RecipeCopy(tmp_path, "multilingual_mt")


def test_three_languages_lie_side_by_side_and_losses_are_counted(recipe: RecipeCopy, tmp_path: Path) -> None:
    result = recipe.prepare("data", "--corpus", str(write_corpus(tmp_path / "corpus")))
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data"
    sizes = {path.name: len(table(path / "text.en")) for path in data.glob("*/")}
    assert sizes["train_de"] == 11 and sizes["train_tr"] == 8 and sizes["train_ro"] == 20
    assert sizes["dev_de"] == 6 and sizes["test_de"] == 9 and sizes["test_ro"] == sizes["dev_ro"] == 4
    assert json.loads((data / "train_de" / "dropped.json").read_text())["dropped"] == {"empty text.de": 1}
    assert "1 dropped, empty text.de: europarl-v7-00000003" in result.stderr
    assert table(data / "test_ro" / "text.ro")["newstest2016-00002"] == sentences("ro", 2)[1]
    assert {key.partition("-")[0] for key in table(data / "train_ro" / "text.ro")} == {"europarl", "SETIMES"}


def test_what_is_not_there_is_named_or_left_out(recipe: RecipeCopy, tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    (corpus / "dev" / "test2006.de").unlink()
    result = recipe.prepare("data", "--corpus", str(corpus), "--langs", "de")
    assert result.returncode == 1 and "test2006 is not in it, its dev or its test as" in result.stderr
    result = recipe.prepare("data", "--corpus", str(corpus), "--langs", "de", "--without", "test2006")
    assert result.returncode == 0, result.stderr
    assert len(table(recipe.folder / "data" / "test_de" / "text.de")) == 6
    result = recipe.prepare("data", "--corpus", str(corpus), "--langs", "tr", "--without", "newstest2017")
    assert result.returncode == 1 and "--without leaves nothing of newstest2017 for test_tr" in result.stderr
    result = recipe.prepare("data", "--corpus", str(tmp_path / "nowhere"))
    assert result.returncode == 1 and "nowhere: not there" in result.stderr and "Traceback" not in result.stderr


def test_all_stages_run(recipe: RecipeCopy, tmp_path: Path) -> None:
    """Systems with every way to tell tasks apart, tiny, on all three tasks."""
    corpus, systems = write_corpus(tmp_path / "corpus"), ("joint", "ohv", "joint_explicit", "maml_implicit")
    options = ["--subword_type", "char", "--nj", "1", "--systems", " ".join(systems), "--set", TINY]
    result = recipe.run("--corpus", str(corpus), *options)
    assert result.returncode == 0, result.stderr
    results = (recipe.folder / "RESULTS.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert results.count(f"</sup> {system} |") >= 3
        for lang, size in (("de", 9), ("tr", 4), ("ro", 4)):
            hypotheses = recipe.folder / "exp" / system / f"test_{lang}" / f"hyp.{lang}"
            assert len(hypotheses.read_text().split("\n")) == size + 1
