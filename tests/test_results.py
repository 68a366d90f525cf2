"""scores.json, the comparison and RESULTS.md: complete, repeatable, and silent about nothing that is missing."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from espnet_ext import score
from espnet_ext.infra.files import read_table, write_json, write_table
from espnet_ext.reporting import tables
from espnet_ext.scoring.metrics import Options
from espnet_ext.scoring.results import Experiments
from espnet_ext.training.provenance import weights
from tests.support.fake_results import SYSTEMS, make_fake_results

ALL = " ".join(SYSTEMS)
OUTPUTS = ("different_outputs", "different_references", "empty_hypotheses")  # counted, not scored


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make_fake_results(tmp_path_factory.mktemp("finished"), utterances=60, audio=False)


@pytest.fixture()
def root(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*extra: str, systems: str = ALL, tgt: str = "de") -> None:
    score.main(["exp", "--systems", systems, "--test_sets", "test", "--src_lang", "en", "--tgt_lang", tgt, *extra])


def error_of(capsys, *extra: str, **settings: str) -> str:
    with pytest.raises(SystemExit) as raised:
        run(*extra, **settings)
    capsys.readouterr()
    return str(raised.value)


def test_scores_json_says_where_every_figure_comes_from(root):
    run()
    result = json.loads((root / "exp/multitask/test/scores.json").read_text())
    decode = json.loads((root / "exp/multitask/test/decode.json").read_text())
    assert {s: sorted(m) for s, m in result["scores"].items()} == {
        "asr": ["cer", *OUTPUTS, "wer"],
        "st": ["bleu", "chrf", *OUTPUTS, "ter"],
    }
    wer = result["scores"]["asr"]["wer"]
    errors = wer["substitutions"] + wer["deletions"] + wer["insertions"]
    assert wer["score"] == pytest.approx(100 * errors / wer["reference_words"])
    assert wer["low"] <= wer["mean"] <= wer["high"]
    assert all("signature" in m for s in result["scores"].values() for k, m in s.items() if k not in OUTPUTS)
    assert result["real_time_factor"] == pytest.approx(decode["decode_seconds"] / decode["audio_seconds"])
    assert result["utterances_per_second"] == pytest.approx(60 / decode["decode_seconds"])
    for key in ("utterances", "audio_seconds", "decode_seconds", "parameters", "commit", "seed"):
        assert result[key] == decode[key]
    assert result["training_seconds"] == 4321 and result["decode_options"] == {"beam_size": 5}


def test_alignments_hold_as_many_errors_as_the_score(root):
    run()
    wer = json.loads((root / "exp/asr/test/scores.json").read_text())["scores"]["asr"]["wer"]
    shown = (root / "exp/asr/test/alignment.asr").read_text()
    counts = " ".join(f"{name}={wer[name]}" for name in ("substitutions", "deletions", "insertions"))
    assert counts in shown and re.search(r"^spk\d\d_\d{5}$", shown, re.MULTILINE)
    assert not (root / "exp/e2e/test/alignment.asr").exists()


def test_a_text_system_has_no_real_time_factor_and_a_pipeline_no_training(root):
    run()
    mt, pipeline = (json.loads((root / f"exp/{s}/test/scores.json").read_text()) for s in ("mt", "pipeline"))
    assert mt["audio_seconds"] is None and mt["real_time_factor"] is None and mt["utterances_per_second"] > 0
    assert pipeline["training_seconds"] is None and pipeline["trained"] == {}


def test_comparison_has_a_matrix_per_stream_and_metric(root):
    run()
    streams = json.loads((root / "exp/significance.test.json").read_text())["streams"]
    assert {stream: sorted(metrics) for stream, metrics in streams.items()} == {
        "asr": ["cer", "wer"],
        "st": ["bleu", "chrf", "ter"],
        "mt": ["bleu", "chrf", "ter"],
    }
    assert set(streams["st"]["bleu"]["p"]) == {"pipeline", "e2e", "multitask"}
    assert streams["st"]["bleu"]["p"]["pipeline"]["e2e"] == streams["st"]["bleu"]["p"]["e2e"]["pipeline"] < 0.05
    assert "|bs:1000|seed:12345|" in streams["st"]["bleu"]["signature"]


def test_unchanged_is_skipped_and_changed_is_scored_again(root, capsys):
    run()
    path = root / "exp/e2e/test/scores.json"
    before = path.stat().st_mtime_ns
    capsys.readouterr()
    run()
    assert path.stat().st_mtime_ns == before and "have not changed, skipped" in capsys.readouterr().err
    shutil.copy(root / "data/test/text.de", root / "exp/e2e/test/hyp.st")
    run()
    assert json.loads(path.read_text())["scores"]["st"]["bleu"]["score"] == pytest.approx(100)
    run("--bleu_lowercase")
    assert "case:lc" in json.loads(path.read_text())["scores"]["st"]["bleu"]["signature"]
    os.remove(path)
    run("--bleu_lowercase")
    assert path.exists()


def test_results_table_has_best_marks_signatures_and_the_command(root, capsys):
    run("--results", "RESULTS.md")
    text = (root / "RESULTS.md").read_text()
    printed = capsys.readouterr().out
    header = "| System | ASR WER | ASR CER | ST BLEU | ST chrF | MT BLEU | Parameters | Training | Utterances/s |"
    assert header in text
    rows = {r.split("</sup> ")[1].split(" |")[0]: r for r in text.splitlines() if r.startswith("| <sup>")}
    assert list(rows) == list(SYSTEMS)
    bleu = json.loads((root / "exp/pipeline/test/scores.json").read_text())["scores"]["st"]["bleu"]["score"]
    assert f"| **{bleu:.1f}** <sup>D" in rows["pipeline"] and f"{bleu:.1f} D" in printed
    assert "1 h 12 min" in rows["asr"] and rows["asr"].count(" - ") == 3
    assert "`nrefs:1|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:" in text
    assert "python -m espnet_ext.score exp --systems 'asr mt pipeline e2e multitask'" in text
    assert "Decoded: commit 0123456, seed 1 (asr, mt, pipeline, e2e, multitask)." in text


def fake_comparison(p: float, better: float, worse: float) -> dict:
    rows = {"x": {"score": better, "ci": 1.0}, "y": {"score": worse, "ci": 1.0}}
    return {"systems": rows, "p": {"x": {"y": p}, "y": {"x": p}}}


@pytest.mark.parametrize("p, marks", [(0.2, ""), (0.05, ""), (0.049, "b"), (0.01, "b"), (0.0099, "B")])
def test_marks_name_the_beaten_and_how_surely(p, marks):
    cells = tables.score_cells(fake_comparison(p, 30.0, 20.0), "m", {"x": "a", "y": "b"})
    assert (cells["x"].marks, cells["y"].marks) == (marks, "")
    assert (cells["x"].best, cells["y"].best) == (True, False)


def test_fewer_errors_beat_more():
    cells = tables.score_cells(fake_comparison(0.001, 30.0, 20.0), "wer", {"x": "a", "y": "b"})
    assert (cells["x"].marks, cells["y"].marks, cells["y"].best) == ("", "A", True)


@pytest.mark.parametrize(
    "number, text", [(None, "-"), (950, "950"), (12_345_678, "12.3 M"), (4_200, "4.2 k"), (1_500_000_000, "1.5 G")]
)
def test_parameters_are_short(number, text):
    assert tables.count(number) == text


@pytest.mark.parametrize("seconds, text", [(None, "-"), (42.4, "42 s"), (3599, "1 h 0 min"), (5025, "1 h 24 min")])
def test_durations_are_short(seconds, text):
    assert tables.duration(seconds) == text


LANGUAGES = ("zh", "ja", "en")


def test_a_language_without_spaces_is_scored_by_characters():
    first = {lang: tables.score_columns(Experiments(Path("exp"), Path("data"), lang, "de"))[0] for lang in LANGUAGES}
    assert first == {"zh": ("asr", "cer"), "ja": ("asr", "cer"), "en": ("asr", "wer")}


def train_again(exp: Path) -> None:
    """After it was decoded."""
    (exp / "model.pth").write_bytes(b"first")
    decode = exp / "test/decode.json"
    decode.write_text(json.dumps(json.loads(decode.read_text()) | {"weights": weights(exp)}))
    run()
    (exp / "model.pth").write_bytes(b"second")


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda exp: shutil.rmtree(exp / "e2e"), r"exp/e2e does not exist: train it \(stage 7\), then decode it"),
        (lambda exp: (exp / "e2e/test/hyp.st").unlink(), r"exp/e2e/test has no hyp.asr, .*: decode it \(stage 8\)"),
        (lambda exp: (exp / "e2e/test/decode.json").unlink(), r"decode.json is missing, so decoding did not finish"),
        (
            lambda exp: train_again(exp / "e2e"),
            r"exp/e2e/test was decoded with other weights than exp/e2e/model.pth: decode",
        ),
    ],
)
def test_a_missing_system_names_its_stage_or_is_left_out(root, capsys, damage, message):
    damage(root / "exp")
    assert re.search(message, error_of(capsys))
    run("--allow_missing")
    captured = capsys.readouterr()
    assert "e2e" not in captured.out and re.search("left out: .*e2e", captured.err)


def test_nothing_decoded_at_all_is_an_error(root, capsys):
    assert "none of nobody is decoded on test" in error_of(capsys, "--allow_missing", systems="nobody")


def test_a_part_of_the_hypotheses_gets_no_score(root, capsys):
    path = root / "exp/e2e/test/hyp.st"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    assert "2 missing of 60 utterances" in error_of(capsys)
    assert not (root / "exp/significance.test.json").exists()


def test_broken_json_is_named(root, capsys):
    (root / "exp/e2e/test/decode.json").write_text('{"utterances": 60,\n')
    assert "exp/e2e/test/decode.json:2: not JSON" in error_of(capsys)


def test_wrong_language_is_named(root, capsys):
    assert "data/test/text.fr does not exist" in error_of(capsys, tgt="fr")


def test_several_references_raise_the_score_and_show_in_the_signature(root):
    run()
    path = root / "exp/e2e/test/scores.json"
    single = json.loads(path.read_text())["scores"]["st"]["bleu"]
    hypotheses = dict(read_table(root / "exp/e2e/test/hyp.st"))
    write_table(root / "data/test/text.de.1", {key: text or "Ja." for key, text in hypotheses.items()}.items())
    run()
    double = json.loads(path.read_text())["scores"]["st"]["bleu"]
    assert double["score"] > single["score"] + 10
    assert single["signature"].startswith("nrefs:1|") and double["signature"].startswith("nrefs:2|")


def test_a_comparison_of_other_systems_is_not_used(root):
    run(systems="asr e2e")
    where = Experiments(root / "exp", root / "data", "en", "de")
    with pytest.raises(ValueError, match="does not compare multitask: score all systems together"):
        tables.read_significance(where, ["e2e", "multitask"], "test")


def test_different_commits_are_told_apart(root):
    path = root / "exp/e2e/test/decode.json"
    write_json(path, json.loads(path.read_text()) | {"commit": "f" * 40 + "-dirty", "seed": 3})
    run("--results", "RESULTS.md")
    assert "Decoded: commit fffffff-dirty, seed 3 (e2e)." in (root / "RESULTS.md").read_text()


def test_options_of_the_command_are_those_of_the_metrics():
    parsed = score.parse(["exp", "--systems", "a", "--test_sets", "t", "--src_lang", "en", "--tgt_lang", "de"])
    assert Options(**{name: getattr(parsed, name) for name in Options.__dataclass_fields__}) == Options()
