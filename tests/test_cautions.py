"""What tables say beside scores: small figures, systems unlike their neighbours, outputs that say little."""

import json

import pytest

from espnet_ext import score
from espnet_ext.infra.files import read_table, write_json, write_table
from espnet_ext.reporting import cautions, tables
from espnet_ext.scoring.results import Experiments
from tests.support.fake_results import COMMON, SYSTEMS, make_fake_results


def result_of(utterances: int = 100, epochs: int = 10, beam: int = 5, different: int = 90, cut: int = 0) -> dict:
    return {
        "scores": {"st": {"different_outputs": different, "different_references": 95}},
        "decode_options": {"st": {"beam": beam, "max_length": 0}, "dtype": "fp32"},
        "epochs": epochs,
        "utterances": utterances,
        "cut": {"st": cut},
    }


def test_systems_made_unlike_their_neighbours_are_named():
    results = {"a": result_of(), "b": result_of(), "c": result_of(), "d": result_of(epochs=3, beam=1)}
    assert cautions.unlike(results) == {"d": ["epochs 3 (most ST systems: 10)", "beam 1 (most ST systems: 5)"]}
    assert cautions.unlike({"a": result_of(), "d": result_of(epochs=3)}) == {}  # neither is the usual one


def test_outputs_that_say_little_are_warned_of():
    good = {"a": result_of(cut=5), "b": result_of(different=48)}
    assert list(cautions.warnings(good)) == []
    few, cut = cautions.warnings({"a": result_of(different=7), "b": result_of(cut=6)})
    assert few.startswith("WARNING: a (ST) has 7 different outputs for 100 utterances")
    assert cut == "WARNING: 6 of 100 outputs of b (ST) end at the limit of length."


def test_tables_mark_and_warn(tmp_path, monkeypatch):
    root = make_fake_results(tmp_path, utterances=40, audio=False)
    monkeypatch.chdir(root)
    score.main(COMMON)
    for system, beam in (("pipeline", 5), ("e2e", 5), ("multitask", 1)):
        path = root / "exp" / system / "test/scores.json"
        changed = {"decode_options": {"st": {"beam": beam}}, "cut": {"st": 8 if beam == 1 else 0}}
        write_json(path, json.loads(path.read_text()) | changed)
    table = tables.build_table(Experiments(root / "exp", root / "data", "en", "de"), list(SYSTEMS), "test")
    for text in (tables.as_text(table), tables.as_markdown([table], "", "")):
        assert "multitask†" in text and "e2e†" not in text
        assert "† multitask: beam 1 (most ST systems: 5)." in text
        assert "WARNING: 8 of 40 outputs of multitask (ST) end at the limit of length." in text


def test_scores_say_how_many_outputs_are_different_and_how_long_was_trained(tmp_path, monkeypatch):
    root = make_fake_results(tmp_path, utterances=40, audio=False)
    monkeypatch.chdir(root)
    hypotheses = read_table(root / "exp/e2e/test/hyp.st")
    write_table(root / "exp/e2e/test/hyp.st", [(key, f"Satz {i % 3}") for i, (key, _) in enumerate(hypotheses)])
    score.main([*COMMON, "--results", "RESULTS.md"])
    result = json.loads((root / "exp/e2e/test/scores.json").read_text())
    assert result["scores"]["st"]["different_outputs"] == 3 and result["epochs"] == 30
    assert "WARNING: e2e (ST) has 3 different outputs for 40 utterances" in (root / "RESULTS.md").read_text()


@pytest.mark.parametrize(
    ("value", "metric", "written"),
    [(0.04, "bleu", "0.04"), (-0.31, "bleu", "-0.31"), (1.04, "bleu", "1.0"), (0.0, "bleu", "0.0")],
)
def test_small_figures_have_two_decimals(value, metric, written):
    assert tables.figure(value, metric) == written


def test_the_best_is_not_bold_where_nothing_is_right():
    def best(metric: str, *scores: float) -> list[bool]:
        rows = {name: {"score": score, "ci": 1.0} for name, score in zip("ab", scores, strict=True)}
        cells = tables.score_cells(
            {"systems": rows, "p": {"a": {"b": 1.0}, "b": {"a": 1.0}}}, metric, {"a": "a", "b": "b"}
        )
        return [cells[name].best for name in "ab"]

    assert best("wer", 100.0, 120.0) == [False, False] and best("wer", 99.0, 120.0) == [True, False]
    assert best("bleu", 0.0, 0.0) == [False, False] and best("bleu", 0.1, 0.0) == [True, False]


def test_the_page_says_epochs_and_search_and_markdown_says_nothing_twice():
    assert list(cautions.made_with({"a": result_of(), "b": result_of(epochs=3, beam=1)})) == [
        "a: 10 epochs; ST: beam 5; 100 utterances",
        "b: 3 epochs; ST: beam 1; 100 utterances",
    ]
    first, second = (
        tables.Table(name, ["System"], [], {"ST BLEU": "tok:13a"}, ["Trained: seed 1 (a).", f"Trained: {name}."])
        for name in ("one", "two")
    )
    text = tables.as_markdown([first, second], "", "")
    assert text.count("tok:13a") == text.count("seed 1 (a)") == 1
    assert "* Trained: one." in text and "* Trained: two." in text
