"""Delays beside hypotheses become scores, table columns and SimulEval's log."""

import json
import shutil
from pathlib import Path

import pytest

from espnet_ext import score
from espnet_ext.infra.files import read_table, write_table
from espnet_ext.infra.languages import count_units, text_unit
from espnet_ext.scoring.latency_metrics import make_latency_metrics, make_subword_metrics
from espnet_ext.scoring.metrics import sign
from tests.support.fake_results import COMMON, make_fake_results


def add_delays(root: Path, system: str, wait: int) -> None:
    """A wait-k policy over a source as long as the hypothesis, in words; every word is two sub-words."""
    folder = root / "exp" / system / "test"
    rows = []
    for key, text in read_table(folder / "hyp.st"):
        size = len(text.split())
        source = max(size, 1)
        word = {"source": source, "read": [min(wait + i, source) for i in range(size)]}
        subword = {"source": 2 * source, "read": [2 * d for d in word["read"] for _ in range(2)]}
        rows.append(json.dumps({"id": key, "word": word, "subword": subword}) + "\n")
    (folder / "delays.st.jsonl").write_text("".join(rows), encoding="utf-8")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_fake_results(tmp_path, audio=False)
    for system, wait in (("e2e", 1), ("multitask", 3)):
        add_delays(root, system, wait)
    monkeypatch.chdir(root)
    return root


def test_systems_with_delays_have_latency_with_interval_signature_and_marks(results: Path) -> None:
    score.main([*COMMON, "--samples", "50", "--results", "RESULTS.md"])
    fast, slow = (
        json.loads((results / "exp" / s / "test" / "scores.json").read_text())["scores"]["st"]
        for s in ("e2e", "multitask")
    )
    assert fast["al"]["score"] < slow["al"]["score"]
    assert fast["al"]["low"] <= fast["al"]["score"] <= fast["al"]["high"]
    assert fast["al_hyp"]["signature"].startswith("nrefs:1|bs:50|seed:12345|unit:word|length:hypothesis|")
    assert fast["subword_al_hyp"]["signature"].count("unit:subword") == 1
    assert fast["al"]["counted"] == 40  # the empty one too
    assert "laal" not in json.loads((results / "exp/pipeline/test/scores.json").read_text())["scores"]["st"]
    table = (results / "RESULTS.md").read_text()
    assert "| ST AL | ST LAAL | ST CW | ST length ratio |" in table
    assert "<sup>e</sup>" in next(line for line in table.splitlines() if "</sup> e2e" in line)  # beats multitask in AL
    assert f"* ST AL: `{fast['al']['signature']}`" in table


def test_simuleval_can_read_the_log(results: Path) -> None:
    score.main([*COMMON, "--samples", "10"])
    folder = results / "exp" / "multitask" / "test" / "simuleval.st"
    rows = [json.loads(line) for line in (folder / "instances.log").read_text().splitlines()]
    assert (len(rows), [row["index"] for row in rows[:3]]) == (40, [0, 1, 2])
    for row in rows:
        assert len(row["delays"]) == row["prediction_length"] == len(row["prediction"].split())
    assert "source_type: text" in (folder / "config.yaml").read_text()


def test_delays_of_another_decoding_are_refused(results: Path) -> None:
    hypotheses = results / "exp" / "e2e" / "test" / "hyp.st"
    lines = hypotheses.read_text().splitlines()
    hypotheses.write_text("\n".join([lines[0] + " more", *lines[1:]]) + "\n")
    with pytest.raises(SystemExit, match=r"delays.st.jsonl: spk\S+ has \d+ delays and its hypothesis \d+ words"):
        score.main([*COMMON, "--samples", "10"])


def test_missing_delays_are_refused(results: Path) -> None:
    path = results / "exp" / "e2e" / "test" / "delays.st.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(SystemExit, match="1 utterances are missing"):
        score.main([*COMMON, "--samples", "10"])


def test_a_policy_that_waits_for_everything_is_told(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_delays(results, "e2e", 100)
    score.main([*COMMON, "--samples", "10"])
    assert "write everything after the source has ended" in capsys.readouterr().err
    scores = json.loads((results / "exp/e2e/test/scores.json").read_text())["scores"]["st"]
    assert scores["latency_warnings"] and "yaal" not in scores


@pytest.mark.parametrize(
    ("text", "unit", "count"), [("a  b ", "word", 2), ("", "word", 0), ("你 好 。", "char", 3), (" ab", "char", 2)]
)
def test_spaces_are_no_units(text: str, unit: str, count: int) -> None:
    assert count_units(text, unit) == count


def test_a_language_without_spaces_is_counted_in_characters() -> None:
    assert [text_unit(lang) for lang in ("de", "zh", "ja", "zh-CN")] == ["word", "char", "char", "char"]


def test_of_several_references_the_mean_length_counts(results: Path) -> None:
    data = results / "data" / "test"
    write_table(data / "text.de.1", [(key, f"{text} und mehr davon") for key, text in read_table(data / "text.de")])
    score.main([*COMMON, "--samples", "10"])
    scores = json.loads((results / "exp/e2e/test/scores.json").read_text())["scores"]["st"]
    assert scores["al"]["signature"].startswith("nrefs:2|") and scores["bleu"]["signature"].startswith("nrefs:2|")
    lengths = [len(text.split()) for _, text in read_table(data / "text.de")]
    assert scores["length_ratio"]["reference_units"] == pytest.approx(sum(lengths) + 1.5 * len(lengths), abs=1)


def test_references_that_are_cut_otherwise_give_no_latency(results: Path, capsys) -> None:
    (results / "data/test/text.de").rename(results / "data/test/reference.de")
    score.main([*COMMON, "--samples", "10", "--results", "RESULTS.md"])
    assert "al" not in json.loads((results / "exp/e2e/test/scores.json").read_text())["scores"]["st"]
    assert "reference.de: has other segments than the utterances, so there is no latency" in capsys.readouterr().err


def test_latency_over_seeds_has_mean_spread_and_p(results: Path) -> None:
    exp = results / "exp"
    for seed in (5, 9):
        for system in ("asr", "mt", "pipeline", "e2e", "multitask"):
            shutil.copytree(exp / system, exp / f"seed{seed}" / system)
            decode = exp / f"seed{seed}" / system / "test/decode.json"
            decode.write_text(json.dumps(json.loads(decode.read_text()) | {"seed": seed}))
    waits = {"exp": 1, "seed5": 2, "seed9": 2}
    for folder, wait in list(waits.items())[1:]:
        add_delays(results, f"{folder}/e2e", wait)
    score.main([*COMMON, "--seeds", "1 5 9", "--samples", "50", "--results", "RESULTS.md"])
    found = json.loads((exp / "seeds.test.json").read_text())["streams"]["st"]["al"]
    row = found["systems"]["e2e"]
    assert row["scores"][0] < row["scores"][1] == row["scores"][2] and row["sd"] > 0
    assert "pipeline" not in found["systems"] and found["wins"]["e2e"]["multitask"] == 3
    assert 0 < found["p"]["e2e"]["multitask"] < 1 and found["signature"].startswith("nrefs:1|")
    part = (results / "RESULTS.md").read_text().partition("over 3 seeds")[2]
    assert "| ST AL | ST LAAL | ST CW | ST length ratio |" in part


def test_less_lag_is_better_in_whatever_units() -> None:
    names = [*make_latency_metrics("word", [1.0]), *make_subword_metrics(1)]
    assert {name for name in names if sign(name) > 0} == {"length_ratio"}  # which marks nothing
