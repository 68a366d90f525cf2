"""Several seeds: mean, spread, what each seed says and what all say together; and where the systems of a seed lie."""

import json
import random
import re
import shutil

import numpy as np
import pytest

from espnet_ext import report, score
from espnet_ext.infra.files import read_table, write_json, write_table
from espnet_ext.reporting.tables import figure
from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.seed_scores import compare_means, count_wins, of_one_training
from espnet_ext.scoring.significance import Draws, compare_systems
from espnet_ext.training.other_systems import init_sources
from tests.support.fake_results import COMMON, SYSTEMS, WORDS, damaged, make_fake_results

SEEDS = ["--seeds", "1 5 9", "--samples", "200"]


def add_seed(root, seed: int) -> None:
    """exp/seed<n>: the same systems with other errors."""
    rng, exp = random.Random(seed), root / "exp" / f"seed{seed}"
    for system, streams in SYSTEMS.items():
        shutil.copytree(root / "exp" / system, exp / system)
        decode = exp / system / "test/decode.json"
        write_json(decode, json.loads(decode.read_text()) | {"seed": seed})
        for stream, chance in streams.items():
            lang = "en" if stream == "asr" else "de"
            references = read_table(root / f"data/test/text.{lang}")
            made = [(key, damaged(text, chance, WORDS[lang], rng)) for key, text in references]
            write_table(exp / system / f"test/hyp.{stream}", made)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    root = make_fake_results(tmp_path_factory.mktemp("seeds"), utterances=40, audio=False)
    for seed in (5, 9):
        add_seed(root, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main([*COMMON, *SEEDS, "--results", "RESULTS.md"])
    return root


def scores_of(root, system: str, stream: str, metric: str) -> list[float]:
    folders = [root / "exp" / system, root / "exp/seed5" / system, root / "exp/seed9" / system]
    results = [json.loads((folder / "test/scores.json").read_text()) for folder in folders]
    return [result["scores"][stream][metric]["score"] for result in results]


def error_of(*extra: str) -> str:
    with pytest.raises(SystemExit) as raised:
        score.main([*COMMON, *extra])
    return str(raised.value)


def test_mean_and_spread_are_those_of_the_seeds(scored):
    row = json.loads((scored / "exp/seeds.test.json").read_text())["streams"]["st"]["bleu"]["systems"]["e2e"]
    scores = scores_of(scored, "e2e", "st", "bleu")
    assert row["scores"] == pytest.approx(scores) and row["n"] == 3
    assert row["mean"] == pytest.approx(sum(scores) / 3)
    assert row["sd"] == pytest.approx((sum((x - row["mean"]) ** 2 for x in scores) / 2) ** 0.5)


def test_results_show_them_with_marks_and_pairs(scored):
    text = (scored / "RESULTS.md").read_text()
    assert "## test\n" in text and "## test, over 3 seeds\n" in text and "## test, over 3 seeds: pairs\n" in text
    part = text.partition("## test, over 3 seeds\n")[2]
    bleu = {system: scores_of(scored, system, "st", "bleu") for system in ("pipeline", "e2e")}
    mean, sd = np.mean(bleu["pipeline"]), np.std(bleu["pipeline"], ddof=1)
    assert f"| **{mean:.1f}** ± {figure(sd)} <sup>D" in part
    assert "± is the standard deviation over seeds (n = 3)" in part and "seeds 1, 5, 9" in part
    for seed in (1, 5, 9):
        assert text.count(f"* Decoded: commit 0123456, seed {seed} (asr, mt, pipeline, e2e, multitask).") == 1
    (pair,) = (line for line in part.splitlines() if line.startswith("| pipeline − e2e |"))
    found = re.search(r"([+-][\d.]+) \(p ([\d.]+); (\d) of 3\)", pair)
    assert float(found[1]) == pytest.approx(mean - np.mean(bleu["e2e"]), abs=0.051) and float(found[2]) < 0.05
    assert "| asr − mt |" not in part  # they have no stream in common


def test_wins_are_those_of_the_single_seeds(scored):
    compared = json.loads((scored / "exp/seeds.test.json").read_text())["streams"]["asr"]["wer"]
    wins = 0
    for folder in ("exp", "exp/seed5", "exp/seed9"):
        seed = json.loads((scored / folder / "significance.test.json").read_text())["streams"]["asr"]["wer"]
        scores = {system: row["score"] for system, row in seed["systems"].items()}
        wins += scores["multitask"] < scores["pipeline"] and seed["p"]["multitask"]["pipeline"] < 0.05
    assert compared["wins"]["multitask"]["pipeline"] == wins


@pytest.mark.parametrize("sign, expected", [(1, {"a": {"b": 2}, "b": {"a": 1}}), (-1, {"a": {"b": 1}, "b": {"a": 2}})])
def test_wins_count_sure_differences_in_the_right_direction(sign, expected):
    differences = [(30, 20, 0.001), (30, 20, 0.049), (30, 20, 0.05), (20, 30, 0.01)]
    seeds = [
        {"systems": {"a": {"score": a}, "b": {"score": b}}, "p": {"a": {"b": p}, "b": {"a": p}}}
        for a, b, p in differences
    ]
    assert count_wins(seeds, ["a", "b"], sign) == expected


@pytest.fixture(scope="module")
def corpus():
    rng = random.Random(3)
    references = [" ".join(rng.choices(WORDS["de"], k=rng.randint(3, 14))) for _ in range(60)]
    made = {
        name: [[damaged(text, chance, WORDS["de"], rng) for text in references] for _ in range(3)]
        for name, chance in {"a": 0.2, "b": 0.22, "c": 0.4}.items()
    }
    metric = make_metric("bleu", [references], Options())
    return metric, {name: [metric.statistics(texts) for texts in each] for name, each in made.items()}


def test_one_training_says_nothing_of_another_seed(corpus):
    metric, statistics = corpus
    draws = Draws.make(60, 300, 1)
    one = compare_systems(metric, {name: each[0] for name, each in statistics.items()}, draws)
    mixed = {"a": statistics["a"], "b": [statistics["b"][0]] * 3, "c": [statistics["c"][0]] * 3}
    compared = compare_means(metric, mixed, draws, {"b", "c"})
    assert compared["p"]["b"]["c"] is compared["p"]["c"]["b"] is None and compared["signature"] == one["signature"]
    assert 0 < compared["p"]["a"]["c"] < compared["p"]["a"]["b"] <= 1
    assert [row["n"] for row in compared["systems"].values()] == [3, 1, 1]
    for name in "bc":
        row = compared["systems"][name]
        assert (row["mean"], row["sd"]) == pytest.approx((one["systems"][name]["score"], 0), abs=1e-9)


def test_trainings_that_err_alike_are_several_if_they_wrote_differently(corpus):
    """Three of which none writes in a wrong language are no single training."""
    metric, statistics = corpus
    assert of_one_training({"a": [["x", "y"], ["x", "z"]], "b": [["x", "y"]] * 2}) == {"b"}
    perfect = [statistics["b"][0]] * 3
    several, once = (
        compare_means(metric, {"a": statistics["a"], "b": perfect}, Draws.make(60, 300, 1), names)
        for names in ((), {"b"})
    )
    assert (several["systems"]["b"]["n"], once["systems"]["b"]["n"]) == (3, 1)
    assert several["p"]["a"]["b"] < once["p"]["a"]["b"]


def test_more_seeds_make_a_difference_surer_and_none_out_of_nothing(corpus):
    metric, statistics = corpus
    draws = Draws.make(60, 300, 1)
    compared = compare_means(metric, statistics, draws)
    assert compared["p"]["a"]["c"] == compared["p"]["c"]["a"] < 0.01 < compared["p"]["a"]["b"]
    turned = compare_means(metric, {"a": statistics["a"], "x": statistics["a"][::-1]}, draws)
    assert turned["p"]["a"]["x"] == 1.0  # which seed is which does not matter


def test_page_shows_the_tables(root):
    report.main([*COMMON, "--seeds", "1 5 9"])
    page = (root / "report.html").read_text(encoding="utf-8")
    sd = np.std(scores_of(root, "multitask", "asr", "wer"), ddof=1)
    assert f'<span class="ci">±{figure(sd)}</span>' in page.partition("Test set test, over 3 seeds")[2]
    assert "the standard deviation over seeds (n = 3)" in page and "pipeline − e2e" in page
    assert page.count("<option>test</option>") == 1  # the choice of test sets is not of tables


def test_unchanged_is_skipped_and_another_seed_is_noticed(root, capsys):
    score.main([*COMMON, *SEEDS])
    assert "exp/seeds.test.json: inputs have not changed, skipped" in capsys.readouterr().err
    before = (root / "exp/seeds.test.json").read_text()
    shutil.copy(root / "data/test/text.de", root / "exp/seed9/e2e/test/hyp.st")
    score.main([*COMMON, *SEEDS])
    assert (root / "exp/seeds.test.json").read_text() != before


def test_faults_name_the_folder_and_what_to_do(root):
    assert "exp/asr/test has seed 1, not 5: the first of --seeds is in" in error_of("--seeds", "5 9")
    shutil.rmtree(root / "exp/seed5/mt")
    assert r"exp/seed5/mt does not exist: train it (stage 7)" in error_of(*SEEDS)
    score.main([*COMMON, *SEEDS, "--allow_missing", "--results", "RESULTS.md"])
    part = (root / "RESULTS.md").read_text().partition("over 3 seeds\n")[2]
    assert "</sup> pipeline" in part and "</sup> mt" not in part
    with pytest.raises(SystemExit, match=r"exp/seeds.test.json has other seeds or systems"):
        report.main([*COMMON, "--seeds", "1 9"])


def test_one_training_may_serve_all_seeds(root):
    for seed in (5, 9):
        shutil.rmtree(root / f"exp/seed{seed}/asr")
        (root / f"exp/seed{seed}/asr").symlink_to("../asr")
    score.main([*COMMON, *SEEDS, "--results", "RESULTS.md"])
    row = json.loads((root / "exp/seeds.test.json").read_text())["streams"]["asr"]["wer"]["systems"]["asr"]
    assert row["sd"] == 0.0 and len(set(row["scores"])) == 1
    part = (root / "RESULTS.md").read_text().partition("over 3 seeds\n")[2]
    assert "One training serves all seeds, as itself and where others start from it: asr." in part


@pytest.mark.parametrize("given", ["1 1", "1 two", "-1 2"])
def test_seeds_are_different_whole_numbers(given, capsys):
    with pytest.raises(SystemExit):
        score.parse([*COMMON, f"--seeds={given}"])
    assert "expected different whole numbers, such as '1 2 3'" in capsys.readouterr().err


def test_a_seed_takes_parts_of_its_own_systems(tmp_path):
    for folder in ("exp/asr", "exp/seed2/asr"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "model.pth").touch()
    for folder in ("exp", "exp/seed2"):
        found = init_sources({"encoder": "asr"}, tmp_path / folder / "e2e")
        assert found["encoder"][0] == tmp_path / folder / "asr/model.pth"
