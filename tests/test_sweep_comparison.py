"""Systems over the values of one option: who is found, scores, gains and letters, the figure, and the page."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espnet_ext import report, score
from espnet_ext.infra.files import read_table, write_json
from espnet_ext.reporting.sweep_comparison import (
    Comparison,
    comparison_figure,
    comparison_tables,
    comparisons,
)
from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.results import Experiments
from espnet_ext.scoring.seed_scores import compare_means
from espnet_ext.scoring.significance import Draws, compare_systems
from espnet_ext.scoring.sweeps import Axis, axis_of, find_written, sweeps_file
from espnet_ext.scoring.task_results import with_tasks
from tests.support.fake_sweeps import KEY, SYSTEMS, make_fake_sweeps

COMMON = ["exp", "--systems", SYSTEMS, "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de"]
SAMPLES = ["--samples", "150", "--results", "RESULTS.md"]
ORDER = ["a_tenth", "a_third", "all"]  # by their hours


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_fake_sweeps(tmp_path_factory.mktemp("sweeps"), seeds=(1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main([*COMMON, *SAMPLES])
        report.main(COMMON)
    return root


@pytest.fixture
def root(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def experiments() -> Experiments:
    return with_tasks(Experiments(Path("exp"), Path("data"), "en", "de"), SYSTEMS.split(), ["test"])


def of_sets() -> Comparison:
    return next(one for one in comparisons(experiments(), "test") if one.key == KEY)


def counts(name: str) -> np.ndarray:
    """Errors of each utterance of an experiment."""
    references, texts = (dict(read_table(path)) for path in ("data/test/text.de", f"exp/{name}/test/hyp.de"))
    return make_metric("wer", [[*references.values()]], Options()).statistics([texts[key] for key in references])


def expected(value: str, seeds: tuple[str, ...] = ("",)) -> dict[str, Any]:
    """What the tests of significance themselves say of the systems at a value."""
    names = [name for name in SYSTEMS.split() if (name, value) != ("joint", "a_third")]
    each = {s: [counts(f"sweep/{s}-{KEY}/{seed}{KEY}={value}") for seed in seeds] for s in names}
    metric = make_metric("wer", [[*dict(read_table("data/test/text.de")).values()]], Options())
    draws = Draws.make(30, 150, 12345)
    if len(seeds) > 1:
        return compare_means(metric, each, draws)
    return compare_systems(metric, {name: found[0] for name, found in each.items()}, draws)


def beaten(rows: dict[str, Any], system: str, score: str) -> str:
    letters = ""
    for letter, other in zip("abc", SYSTEMS.split(), strict=True):
        if other in rows["p"][system] and rows["systems"][system][score] < rows["systems"][other][score]:
            p = rows["p"][system][other]
            letters += letter.upper() if p < 0.01 else letter if p < 0.05 else ""
    return letters


def test_sweeps_over_one_option_are_compared_in_the_order_of_systems(root: Path) -> None:
    found = find_written(experiments(), [], ["joint", "scratch", "direct"], "test")
    assert list(found) == ["lsm_weight", KEY]
    assert {value: [*rows] for value, rows in found[KEY]["de"].items()} == {
        "a_tenth": ["joint", "scratch", "direct"],
        "a_third": ["scratch", "direct"],
        "all": ["joint", "scratch", "direct"],
    }
    assert find_written(experiments(), [], ["joint"], "test") == {}, "one system is no comparison"
    assert list(find_written(experiments(), [], ["joint", "direct"], "test")) == [KEY]


def test_a_system_counts_where_all_seeds_are_decoded(root: Path) -> None:
    seeds = [1, 2, 3]
    assert list(find_written(experiments(), seeds[:2], SYSTEMS.split(), "test")) == ["lsm_weight", KEY]
    assert find_written(experiments(), seeds, SYSTEMS.split(), "test") == {}


def test_what_was_decoded_before_the_last_training_is_left_out(root: Path, tmp_path: Path) -> None:
    shutil.copytree("exp", tmp_path / "exp", symlinks=True)
    result = tmp_path / "exp/sweep/joint-tasks.de.set/tasks.de.set=a_tenth/test"
    (result.parent / "model.pth").write_bytes(b"second")
    decoded = json.loads((result / "decode.json").read_text())
    write_json(result / "decode.json", decoded | {"weights": {"model.pth": "of the first"}})
    found = find_written(replace(experiments(), exp=tmp_path / "exp"), [], ["joint", "direct"], "test")
    assert [*found[KEY]["de"]["a_tenth"]] == ["direct"] and [*found[KEY]["de"]["all"]] == ["joint", "direct"]


def test_scores_and_letters_are_those_of_the_significance_functions(root: Path) -> None:
    scores, gains = comparison_tables(of_sets())
    assert scores.header == ["System", "a_tenth, 0.05 h", "a_third, 0.17 h", "all, 0.5 h"]
    assert scores.title == "test: WER de over tasks.de.set" and [row.letter for row in scores.rows] == ["a", "b", "c"]
    marks = set()
    for column, value in enumerate(ORDER):
        rows = expected(value)
        for row in scores.rows:
            cell = row.cells[column]
            if row.system not in rows["systems"]:
                assert (row.system, value, cell.text) == ("joint", "a_third", "-")
                continue
            own = rows["systems"][row.system]
            assert (cell.text, cell.interval) == (f"{own['score']:.1f}", f"{own['ci']:.1f}")
            assert cell.marks == beaten(rows, row.system, "score")
            marks |= set(cell.marks)
    assert marks > {"a", "A"}, "the example has systems that differ"
    first = {value: expected(value)["systems"]["scratch"]["score"] for value in ORDER}
    for row in gains.rows:
        for cell, value in zip(row.cells, ORDER, strict=True):
            own = expected(value)["systems"].get(row.system)
            wanted = f"{100 * (first[value] - own['score']) / first[value]:+.1f} %" if own else "-"
            assert cell.text == wanted
    assert [row.system for row in gains.rows] == ["direct", "joint"]


def test_several_seeds_are_means_with_their_deviation(root: Path) -> None:
    copy = root.with_name("seeds")
    shutil.copytree(root, copy, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        score.main([*COMMON, *SAMPLES, "--seeds", "1 2"])
        one = of_sets()
        scores, _ = comparison_tables(one)
        for column, value in enumerate(ORDER):
            rows = expected(value, ("", "seed2/"))
            for row in (row for row in scores.rows if row.system in rows["systems"]):
                own = rows["systems"][row.system]
                assert (row.cells[column].text, row.cells[column].interval) == (
                    f"{own['mean']:.1f}",
                    f"{own['sd']:.{1 if own['sd'] >= 1 else 2}f}",
                )
                assert row.cells[column].marks == beaten(rows, row.system, "mean")
        for said in ("Means over 2 trainings", "standard deviation over seeds (n = 2)"):
            assert said in scores.full_note
        assert "Means over 2 trainings" in (copy / f"SWEEP-{KEY}.md").read_text()


def hand_made(metric: str, **values: dict[str, float]) -> Comparison:
    rows = {
        value: {
            "systems": {name: {"score": score, "ci": 1.0} for name, score in scores.items()},
            "p": {a: {b: 0.04 if {a, b} == {"one", "two"} else 0.5 for b in scores if b != a} for a in scores},
        }
        for value, scores in values.items()
    }
    places = {value: float(i) for i, value in enumerate(values)}
    axis = Axis("k", "", False, places)
    return Comparison("test", "k", metric.upper(), metric, axis, ["one", "two", "three"], [1], rows, "sig")


@pytest.mark.parametrize(
    ("metric", "marks", "gains"),
    [("wer", ["", "a", ""], ["+25.0 %", "-50.0 %"]), ("bleu", ["b", "", ""], ["-25.0 %", "+50.0 %"])],
)
def test_gains_are_relative_to_the_first_system(metric: str, marks: list[str], gains: list[str]) -> None:
    one = hand_made(metric, x={"one": 40.0, "two": 30.0, "three": 60.0}, y={"two": 30.0}, z={"one": 0.0, "two": 1.0})
    scores, gained = comparison_tables(one)
    assert [row.cells[0].marks for row in scores.rows] == marks
    assert [row.cells[0].text for row in gained.rows] == gains
    assert [[cell.text for cell in row.cells[1:]] for row in gained.rows] == [["-", "-"], ["-", "-"]]
    said = "Relative reduction of WER" if metric == "wer" else "Relative gain of BLEU"
    assert gained.note.startswith(f"{said} against one at the same value, in per cent")


@pytest.mark.parametrize(
    ("key", "values", "name", "places"),
    [
        (KEY, ["all", "a_tenth"], "hours of speech in tasks.de.set", {"a_tenth": 0.05, "all": 0.5}),
        (KEY, ["all", "_a_tenth,a_third_"], f"hours of speech in {KEY}", {"_a_tenth,a_third_": 0.22, "all": 0.5}),
        (KEY, ["all", "unknown"], KEY, {"all": 0.0, "unknown": 1.0}),
        ("k", ["1", "5"], "k", {"1": 1.0, "5": 5.0}),
        ("k", ["rank", "sum"], "k", {"rank": 0.0, "sum": 1.0}),
        ("tasks.mt.set", ["test_mt", "small"], "utterances in tasks.mt.set", {"small": 2.0, "test_mt": 1200.0}),
    ],
)
def test_where_values_lie(root: Path, key: str, values: list[str], name: str, places: dict[str, float]) -> None:
    for text_set, size in (("test_mt", 1200), ("small", 2)):
        about = {"reads": "text", "speech": None, "texts": ["de"], "utterances": size, "hours": 0.0}
        (root / "data" / text_set).mkdir(exist_ok=True)
        (root / "data" / text_set / "about.json").write_text(json.dumps(about))
    axis = axis_of(experiments(), key, values)
    assert axis.name == name and list(axis.places) == list(places) and axis.places == pytest.approx(places)
    assert axis.log == name.startswith(("hours", "utterances"))
    if "_a_tenth,a_third_" in values:
        assert axis.label("_a_tenth,a_third_") == "a_tenth + a_third, 0.22 h"
    if key == "tasks.mt.set":
        assert axis.label("test_mt") == "test_mt, 1,200 utterances"


def test_the_figure_has_a_line_with_intervals_for_each_system(root: Path) -> None:
    one = of_sets()
    (axes,) = comparison_figure([one]).axes
    assert axes.get_xscale() == "log" and axes.get_xlabel() == "hours of speech in tasks.de.set"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.05 h", "0.17 h", "0.5 h"]
    low, high = axes.get_ylim()
    assert all(
        low < row[end] < high
        for rows in one.values.values()
        for row in rows["systems"].values()
        for end in ("low", "high")
    )
    lines = {drawn.get_label(): drawn for drawn in axes.containers}
    assert list(lines) == SYSTEMS.split()
    for system, drawn in lines.items():
        values = [value for value in ORDER if (system, value) != ("joint", "a_third")]
        points, _, (bars,) = drawn.lines
        rows = [one.values[value]["systems"][system] for value in values]
        assert points.get_xdata().tolist() == [one.axis.places[value] for value in values]
        assert points.get_ydata().tolist() == [row["score"] for row in rows]
        heights = [segment[1][1] - segment[0][1] for segment in bars.get_segments()]
        assert heights == pytest.approx([2 * row["ci"] for row in rows])


def test_scoring_leaves_a_page_and_a_picture_for_each_option(root: Path) -> None:
    text = (root / f"SWEEP-{KEY}.md").read_text()
    assert "| System | a_tenth, 0.05 h | a_third, 0.17 h | all, 0.5 h |" in text
    assert "## test: WER de over tasks.de.set, against scratch" in text
    assert f"![{KEY}](SWEEP-{KEY}.png)" in text and (root / f"SWEEP-{KEY}.png").read_bytes().startswith(b"\x89PNG")
    other = (root / "SWEEP-lsm_weight.md").read_text()
    assert "| System | 0 | 0.1 | 0.3 |" in other, "systems with other values have a cell without a figure"
    assert re.search(r"scratch \| - \|.*\n.*direct \|[^\n]*\| - \|\n", other)


def test_nothing_is_compared_again_or_left_behind(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = root.with_name("again")
    shutil.copytree(root, copy, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        score.main([*COMMON, *SAMPLES])
        assert "exp/sweeps.test.json: inputs have not changed, skipped" in capsys.readouterr().err
        alone = ["exp", "--systems", "joint", *COMMON[3:]]
        score.main([*alone, *SAMPLES])
        assert not sweeps_file(experiments(), "test").exists()


def test_the_report_has_a_section_only_where_there_is_a_sweep(root: Path) -> None:
    page = (root / "report.html").read_text()
    assert '<section id="sweeps"' in page and '<a href="#sweeps">' in page
    assert "test: WER de over tasks.de.set, against scratch" in page
    found = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])
    _, chart = found["sets"][0]["sweeps"]
    assert chart["ticks"] == [[0.05, "0.05 h"], [0.17, "0.17 h"], [0.5, "0.5 h"]] and chart["log"]
    assert [(curve["system"], len(curve["points"])) for curve in chart["curves"]] == [
        ("scratch", 3),
        ("direct", 3),
        ("joint", 2),
    ]
    own, rows = chart["curves"][1]["points"][0], expected("a_tenth")
    assert own["told"]["low"] == rows["systems"]["direct"]["low"] and own["beats"] == ["scratch", "joint"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        alone = ["exp", "--systems", "joint", *COMMON[3:]]
        copy = root.with_name("without")
        shutil.copytree(root, copy, symlinks=True)
        patch.chdir(copy)
        score.main([*alone, "--samples", "20"])
        report.main(alone)
        assert '<section id="sweeps"' not in (copy / "report.html").read_text()
