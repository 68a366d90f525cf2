"""Curves of quality over lag: against a plain computation, from delays on the disk to the table."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from espnet_ext import score
from espnet_ext.infra.files import read_table, write_json
from espnet_ext.reporting.curve_tables import difference
from espnet_ext.scoring.curves import find_curves, read_curves
from espnet_ext.scoring.latency import al
from espnet_ext.scoring.matched import Measured, along, judged, mean_against, point_against
from espnet_ext.scoring.metrics import Options
from espnet_ext.scoring.results import Experiments
from espnet_ext.training.provenance import mark
from tests.support.fake_curves import SYSTEMS, make_fake_curves

COMMON = ["exp", "--systems", SYSTEMS, "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de"]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = make_fake_curves(tmp_path_factory.mktemp("curves"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main([*COMMON, "--samples", "80", "--results", "RESULTS.md"])
    return root


@pytest.fixture
def root(scored: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(scored)
    return scored


def where(root: Path) -> Experiments:
    return Experiments(Path("exp"), Path("data"), "en", "de")


def found(root: Path) -> dict[str, Any]:
    return read_curves(where(root), "test")["mt"]


def point(root: Path, name: str) -> dict[str, Any]:
    return next(p for curve in found(root)["curves"] for p in curve["points"] if p["name"] == name)


def test_sweeps_and_systems_that_are_in_none_are_the_curves(root: Path) -> None:
    names = {curve.name: [*curve.points] for curve in find_curves(where(root), SYSTEMS.split(), "test", "mt")}
    assert names == {"greedy": [""], "waitk k": ["1", "3", "9"], "le d": ["0", "4", "10"], "tn": [""]}  # le is d=4
    assert found(root)["bound"] == "greedy"


def test_a_point_has_the_scores_and_the_interval_that_scoring_gives_it(root: Path) -> None:
    scores = json.loads((root / "exp/tn/test/scores.json").read_text())["scores"]["mt"]
    for name in ("bleu", "al", "cw", "subword_al_hyp", "length_ratio"):
        own = point(root, "tn")["scores"][name]
        for key in ("score", "ci", "low", "high"):
            assert own[key] == pytest.approx(scores[name][key], abs=1e-3)
    greedy = point(root, "greedy")
    assert greedy["share"]["bleu"]["score"] == 100 and greedy["share"]["al"]["ci"] == 0


def plain(x_P: list[float], y_P: list[float], place: float) -> float:
    """y at a place of x, on the lines between neighbours."""
    points = sorted(zip(x_P, y_P))
    if place <= points[0][0]:
        return points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        if place <= x1:
            return y0 + (y1 - y0) * (place - x0) / (x1 - x0) if x1 > x0 else y1
    return points[-1][1]


def test_bleu_at_equal_lag_is_that_of_a_plain_computation(root: Path) -> None:
    """Each resample is written out sentence by sentence and scored by sacreBLEU itself."""
    from sacrebleu.metrics import BLEU

    references = dict(read_table(root / "data/test/text.de"))
    ids = list(references)
    names = {"tn": "exp/tn", **{f"k{k}": f"exp/sweep/waitk-k/k={k}" for k in (1, 3, 9)}}
    texts = {name: dict(read_table(root / path / "test/hyp.mt")) for name, path in names.items()}
    delays = {}
    for name, path in names.items():
        rows = [json.loads(line) for line in (root / path / "test/delays.mt.jsonl").read_text().splitlines()]
        delays[name] = {row["id"]: row["word"] for row in rows}

    def figures(name: str, picked: list[str]) -> tuple[float, float]:
        bleu = BLEU().corpus_score([texts[name][key] for key in picked], [[references[key] for key in picked]]).score
        lags = [al(delays[name][k]["read"], delays[name][k]["source"], len(references[k].split())) for k in picked]
        return bleu, sum(lags) / len(lags)

    def ahead(picked: list[str]) -> float:
        bleus, lags = zip(*(figures(f"k{k}", picked) for k in (1, 3, 9)))
        own_bleu, own_lag = figures("tn", picked)
        return own_bleu - plain(lags, bleus, own_lag)

    picks = np.random.default_rng(Options().seed).choice(len(ids), size=(80, len(ids)), replace=True)
    resampled = sorted(ahead([ids[i] for i in row]) for row in picks)
    own = point(root, "tn")["against"]["al"]["bleu"]["waitk k"]
    assert own["difference"] == pytest.approx(ahead(ids), abs=1e-6)
    assert own["low"] == pytest.approx(resampled[2], abs=1e-3)
    assert own["high"] == pytest.approx(resampled[77], abs=1e-3)
    beyond = min(sum(d <= 0 for d in resampled), sum(d >= 0 for d in resampled))
    assert own["p"] == pytest.approx(min(1.0, 2 * (beyond + 1) / 81))


def measured(*rows: list[float]) -> Measured:
    return Measured(np.array(rows[0]), np.array(rows[1:]))


def test_lines_join_points_in_the_order_of_their_lag() -> None:
    x, y = np.array([[5.0, 1.0, 3.0]]), np.array([[30.0, 10.0, 26.0]])
    assert along(x, y, np.array([[0.0, 2.0, 3.0, 4.0, 9.0]])).tolist() == [[10.0, 18.0, 26.0, 28.0, 30.0]]


def test_a_point_is_compared_only_where_the_other_curve_reaches() -> None:
    lag, bleu = measured([1.0, 3.0], [1.0, 3.0]), measured([10.0, 20.0], [12.0, 22.0])
    for place, expected in ((2.0, 4.0), (0.5, None), (3.5, None)):
        got = point_against(measured([place], [place]), measured([19.0], [20.0]), 0, lag, bleu)
        assert (got and got["difference"]) == expected
    alone = measured([2.0], [2.0])
    assert point_against(lag, bleu, 0, alone, alone) is None  # one point is no curve


def test_the_mean_distance_is_over_the_lags_of_both() -> None:
    a = measured([0.0, 2.0], [0.0, 2.0]), measured([10.0, 14.0], [10.0, 14.0])
    b = measured([1.0, 5.0], [1.0, 5.0]), measured([10.0, 14.0], [11.0, 15.0])
    got = mean_against(*a, *b)
    assert got and (got["from"], got["to"]) == (1.0, 2.0)
    assert got["difference"] == pytest.approx(13.0 - 10.5) and got["low"] == pytest.approx(13.0 - 11.5)
    assert mean_against(*a, measured([2.0, 3.0], [2.0, 3.0]), b[1]) is None


def test_p_is_two_sided_and_equal_curves_seldom_differ() -> None:
    assert judged(np.array([1.0, *[1.0] * 99]))["p"] == pytest.approx(0.02)
    assert judged(np.array([0.0, *[0.0] * 99]))["p"] == 1.0
    random, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        values_N = random.normal(size=100)
        picks_RN = random.integers(100, size=(200, 100))
        wrong += judged(np.array([values_N.mean(), *values_N[picks_RN].mean(1)]))["p"] < 0.05
    assert wrong <= 20  # 5 % are expected


def test_stars_say_how_sure_a_difference_is() -> None:
    row = {"difference": 1.234, "low": 0.2, "high": 2.2}
    assert [difference({**row, "p": p}).marks for p in (0.2, 0.03, 0.001)] == ["", "*", "**"]
    cell = difference({**row, "p": 0.2})
    assert (cell.text, cell.interval) == ("+1.2", "1.0")


def test_tables_and_figures_are_written_beside_the_results(root: Path) -> None:
    text = (root / "CURVES.md").read_text()
    assert (
        "| Policy | BLEU | BLEU, % of greedy | AL | AL, % of greedy | LAAL |" in text and "| BLEU − waitk k |" in text
    )
    assert "| waitk k=3 | " in text and "mean over the AL that both have" in text
    assert (root / "CURVES.png").read_bytes().startswith(b"\x89PNG")


def test_a_new_point_is_noticed_and_nothing_else_is_done_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "exp/curves.test.json"
    before = path.stat().st_mtime_ns
    score.main([*COMMON, "--samples", "80"])
    assert path.stat().st_mtime_ns == before
    shutil.copytree(root / "exp/sweep/waitk-k/k=3", root / "exp/sweep/waitk-k/k=5")
    score.main([*COMMON, "--samples", "80"])
    assert [p["value"] for p in found(root)["curves"][1]["points"]] == ["1", "3", "5", "9"]
    shutil.rmtree(root / "exp/sweep/waitk-k/k=5")
    score.main([*COMMON, "--samples", "80"])


@pytest.mark.parametrize("kept", ["reference", "nothing"])
def test_without_a_reference_of_each_utterance_there_are_no_curves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kept: str
) -> None:
    """References of a talk have ids of their own, and so have outputs that were cut like them; delays have not."""
    monkeypatch.chdir(make_fake_curves(tmp_path, utterances=6))
    shutil.copytree("data/test", "data/other")
    for result in Path("exp").rglob("test/decode.json"):
        shutil.copytree(result.parent, result.parent.with_name("other"), dirs_exist_ok=True)
    for path in Path("data/other").glob("text.*"):
        path.rename(path.with_name(f"reference.{path.suffix[1:]}")) if kept == "reference" else path.unlink()
    for path in [*Path("data/other").glob("reference.*"), *Path("exp").glob("**/other/hyp.*")]:
        path.write_text(path.read_text().replace("_0", "_r0"))
    score.main([*COMMON, "--test_sets", "other test", "--samples", "10"])
    said = "has no references" if kept == "nothing" else "has other segments than the utterances"
    assert said in capsys.readouterr().err
    assert not Path("exp/curves.other.json").exists() and Path("exp/curves.test.json").exists()


def test_a_point_of_an_earlier_training_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(make_fake_curves(tmp_path, utterances=6))
    point = Path("exp/sweep/waitk-k/k=9")
    Path("exp/mt/model.pth").write_bytes(b"second")
    (point / "model.pth").symlink_to("../../../mt/model.pth")
    decode = json.loads((point / "test/decode.json").read_text())
    for held, values in ((b"second", ["1", "3", "9"]), (b"first", ["1", "3"])):
        Path("exp/first.pth").write_bytes(held)
        write_json(point / "test/decode.json", decode | {"weights": {"model.pth": mark(Path("exp/first.pth"))}})
        score.main([*COMMON, "--samples", "10"])
        assert [p["value"] for p in read_curves(where(tmp_path), "test")["mt"]["curves"][1]["points"]] == values
    said = f"left out: {point}/test was decoded with other weights than {point}/model.pth: decode it again"
    assert said in capsys.readouterr().err
