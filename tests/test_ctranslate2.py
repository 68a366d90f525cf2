"""CTranslate2 as the engine: the same hypotheses and scores as ours, and what it does not do is said."""

import json
from pathlib import Path

import pytest

from espnet_ext import decode
from espnet_ext.data import text
from espnet_ext.search.ctranslate2_engine import refuse_options
from espnet_ext.search.options import SearchOptions
from tests.support.tiny_exp import make_system
from tests.support.tiny_mt import make_recipe


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_recipe(tmp_path_factory.mktemp("recipe"))
    text.main([str(root / "data/train"), str(root / "dump/train")])
    make_system(root, "asr")
    return root


def nbest(recipe: Path, out: Path, *options: str, system: str = "mt") -> list[list[dict[str, object]]]:
    decode.main([str(recipe / "exp" / system), str(recipe / "dump/train"), "--out", str(out), *options])
    return [json.loads(line)["nbest"] for line in (out / "nbest.mt.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "options", [["--beam", "1"], ["--beam", "4", "--nbest", "2"], ["--beam", "3", "--length_norm", "1"]]
)
def test_hypotheses_and_scores_are_ours(recipe: Path, tmp_path: Path, options: list[str]) -> None:
    own = nbest(recipe, tmp_path / "own", *options)
    other = nbest(recipe, tmp_path / "other", *options, "--engine", "ctranslate2")
    best = [(mine[0], theirs[0]) for mine, theirs in zip(own, other, strict=True)]
    # The two end their searches by different rules, so with a beam they may find different things.
    same = [(mine, theirs) for mine, theirs in best if mine["tokens"] == theirs["tokens"]]
    assert len(same) >= (len(best) if options[1] == "1" else len(best) / 4)
    for mine, theirs in same:
        assert ("cut" in mine) == ("cut" in theirs)
        if "cut" not in mine:  # CTranslate2 went on to the limit of the longest of the batch
            assert theirs["score"] == pytest.approx(mine["score"], rel=3e-3)
    assert any("cut" not in mine for mine, _ in same)
    assert json.loads((tmp_path / "other/decode.json").read_text())["options"]["engine"] == "ctranslate2"


def test_int8_writes_nearly_the_same(recipe: Path, tmp_path: Path) -> None:
    exact = nbest(recipe, tmp_path / "own", "--beam", "2")
    found = nbest(recipe, tmp_path / "int8", "--beam", "2", "--engine", "ctranslate2", "--dtype", "int8")
    assert sum(a[0]["text"] == b[0]["text"] for a, b in zip(exact, found, strict=True)) >= len(exact) / 2


@pytest.mark.parametrize(
    ("system", "options", "message"),
    [
        ("asr", [], "has the model asr, and CTranslate2 takes mt; choose the engine own"),
        ("mt", ["--dtype", "bf16"], "decodes in fp32 or int8, not in bf16"),
    ],
)
def test_what_it_does_not_take(recipe: Path, tmp_path: Path, system: str, options: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as error:
        nbest(recipe, tmp_path / "out", "--engine", "ctranslate2", *options, system=system)
    assert message in str(error.value)


def test_options_that_it_does_not_have() -> None:
    refuse_options(SearchOptions(beam=3, length_norm=0.5))
    with pytest.raises(ValueError, match="decode option penalty: engine ctranslate2 has beam, nbest"):
        refuse_options(SearchOptions(penalty=0.5))
