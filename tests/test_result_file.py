"""RESULTS.json: the scores and pairs of the tables, over seeds or utterances, at equal lag, at values of an option."""

import json
from pathlib import Path
from typing import Any

import pytest

from espnet_ext import score
from espnet_ext.reporting.result_file import DIGITS, Compared, find_pair, in_lines, read_result_file
from espnet_ext.scoring.results import ScoringError
from tests.support.fake_curves import SYSTEMS as CURVE_SYSTEMS
from tests.support.fake_curves import make_fake_curves
from tests.support.fake_results import COMMON, make_fake_results
from tests.support.fake_sweeps import KEY, make_fake_sweeps
from tests.support.fake_sweeps import SYSTEMS as SWEPT_SYSTEMS
from tests.test_seeds import add_seed

ASKED = ["--samples", "60", "--results", "RESULTS.md"]


def common(systems: str) -> list[str]:
    return ["exp", "--systems", systems, "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de", *ASKED]


def made(root: Path, *arguments: str) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main([*arguments])
    return read_result_file(root / "RESULTS.json")


def near(value: float | None) -> Any:
    return pytest.approx(value, rel=10.0 ** (1 - DIGITS))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = make_fake_results(tmp_path_factory.mktemp("results"), utterances=20, audio=False)
    for seed in (5, 9):
        add_seed(root, seed)
    return root, made(root, *COMMON, *ASKED, "--seeds", "1 5 9")


def test_systems_have_mean_spread_and_where_they_come_from(seeds: tuple[Path, dict[str, Any]]) -> None:
    root, results = seeds
    full = json.loads((root / "exp/seeds.test.json").read_text())["streams"]["st"]["bleu"]["systems"]["e2e"]
    first = json.loads((root / "exp/significance.test.json").read_text())["streams"]["st"]["bleu"]["systems"]["e2e"]
    row = results["sets"]["test"]["st"]["bleu"]["systems"]["e2e"]
    expected = {"score": near(full["mean"]), "sd": near(full["sd"]), "half_interval": near(first["ci"]), "n": 3}
    assert row == expected
    assert results["systems"]["e2e"] == {"seeds": [1, 5, 9], "trained": ["0123456"] * 3, "decoded": ["0123456"] * 3}
    assert "trained" not in results["systems"]["pipeline"] and results["seeds"] == [1, 5, 9]


def test_a_pair_is_over_seeds_and_stands_once(seeds: tuple[Path, dict[str, Any]]) -> None:
    root, results = seeds
    said = json.loads((root / "exp/seeds.test.json").read_text())["streams"]["asr"]["wer"]
    pair = find_pair(results, "test", "asr", "wer", "asr", "multitask")
    assert pair and pair.over_seeds and pair.trainings == (3, 3)
    rows = {name: said["systems"][name]["mean"] for name in ("asr", "multitask")}
    assert pair.difference == near(rows["asr"] - rows["multitask"]) and pair.score_b == near(rows["multitask"])
    assert (pair.p, pair.se, pair.df) == tuple(near(said[key]["asr"]["multitask"]) for key in ("p", "se", "df"))
    turned = find_pair(results, "test", "asr", "wer", "multitask", "asr")
    assert turned and turned.difference == -pair.difference and (turned.p, turned.se) == (pair.p, pair.se)
    assert turned.score_b == near(rows["asr"])
    assert set(results["sets"]["test"]["asr"]["wer"]["pairs"]) == {"asr", "pipeline"}  # not multitask: it is the last


@pytest.mark.parametrize("names", [("asr", "mt"), ("asr", "nobody"), ("asr", "asr")])
def test_what_is_not_compared_is_not_found(seeds: tuple[Path, dict[str, Any]], names: tuple[str, str]) -> None:
    assert find_pair(seeds[1], "test", "asr", "wer", *names) is None
    assert find_pair(seeds[1], "dev", "asr", "wer", "asr", "pipeline") is None


def test_with_one_training_it_is_over_utterances(tmp_path: Path) -> None:
    root = make_fake_results(tmp_path, utterances=20, audio=False)
    pair = find_pair(made(root, *COMMON, *ASKED), "test", "st", "bleu", "pipeline", "e2e")
    said = json.loads((root / "exp/significance.test.json").read_text())["streams"]["st"]["bleu"]
    scores = [said["systems"][name]["score"] for name in ("pipeline", "e2e")]
    figures = [near(said[key]["pipeline"]["e2e"]) for key in ("p", "se")]
    assert pair == Compared(near(scores[0] - scores[1]), *figures, 19, False, (1, 1), near(scores[1]))
    assert 0 < said["se"]["pipeline"]["e2e"] == said["se"]["e2e"]["pipeline"]


def test_curves_are_compared_at_equal_lag(tmp_path: Path) -> None:
    root = make_fake_curves(tmp_path)
    pair = find_pair(made(root, *common(CURVE_SYSTEMS)), "test", "mt", "bleu_at_al", "waitk k", "le d")
    curves = json.loads((root / "exp/curves.test.json").read_text())["streams"]["mt"]["curves"]
    said = next(curve for curve in curves if curve["name"] == "waitk k")["means"]["al"]["le d"]
    assert pair and not pair.over_seeds and pair.df == 29
    assert (pair.difference, pair.p, pair.se) == tuple(near(said[key]) for key in ("difference", "p", "se"))
    assert said["low"] < said["difference"] < said["high"] and said["se"] > 0


def test_curves_are_those_of_the_systems_that_are_scored(tmp_path: Path) -> None:
    """Sweeps of other systems, which another command left there, are no matter of these tables."""
    root = make_fake_curves(tmp_path)
    results = made(root, *common("asr mt waitk"))
    assert "bleu_at_al" not in results["sets"]["test"]["mt"]
    assert "le d=0" not in (root / "CURVES.md").read_text()


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_swept_systems_are_compared_at_each_value(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    root = make_fake_sweeps(tmp_path, seeds)
    asked = ["--seeds", " ".join(map(str, seeds))] if len(seeds) > 1 else []
    results = made(root, *common(SWEPT_SYSTEMS), *asked)
    pair = find_pair(results, "test", "de", f"wer_at_{KEY}=a_tenth", "scratch", "direct")
    assert pair and pair.difference > 20 and pair.over_seeds == (len(seeds) > 1) and pair.se > 0
    assert find_pair(results, "test", "de", f"wer_at_{KEY}=a_third", "scratch", "joint") is None


def test_lines_can_be_compared_between_versions() -> None:
    value = {"a": 1, "b": {"c": {"x": [1, 2], "y": None}, "d": {}}, "e": ["ü"]}
    assert json.loads(in_lines(value)) == value
    assert ' "c": {"x": [1, 2], "y": null},' in in_lines(value)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "RESULTS.json").write_text("{")
    with pytest.raises(ScoringError, match=r"RESULTS.json:1: not JSON"):
        read_result_file(tmp_path / "RESULTS.json")
