"""Scores are those of the sacrebleu and jiwer programs, and no utterance is lost on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_ext.infra.files import read_table
from espnet_ext.scoring.metrics import Options, make_metric, without_punctuation
from espnet_ext.scoring.texts import ScoringError, read_hypotheses, read_references
from tests.support.fake_results import make_fake_results

GERMAN = [
    "Das ist ein kleines Haus am Fluss.",
    "Der Zug fährt heute nicht, sagt sie.",
    "Nein!",
    "3,5 Prozent – wirklich?",
]
GERMAN_OUT = ["Das ist kleines Haus am Fluß.", "der Zug fährt heute auch nicht sagt er.", "", "3,5 Prozent wirklich?"]
CHINESE = ["我们今天去北京的学校。", "他没有说什么。", "这是GDP的3.5%。"]
CHINESE_OUT = ["我们今天去学校。", "他说了什么。", "这是GDP的3%。"]
JAPANESE = ["私は今日学校に行きます。", "彼は何も言わなかった。"]
JAPANESE_OUT = ["私は学校へ行きます。", "彼女は何も言わなかった。"]


def corpus_score(name: str, hypotheses: list[str], references: list[list[str]], **options) -> float:
    metric = make_metric(name, references, Options(**options))
    return metric.score(metric.statistics(hypotheses).sum(0))


# fmt: off
SCORES = [
    ("bleu", ["", "", ""], [["This is a cat."] * 3], {}, 0.0),
    ("bleu", ["", "This is a cat."], [["This is a cat.", "This is a cat."]], {}, 36.787944117144235),  # exp(1 - 10/5)
    ("bleu", ["This is a cat."], [["This is a cat."]], {}, 100.0),
    ("bleu", ["this is a cat."], [["This is a cat."]], {}, 66.87403049764218),
    ("bleu", ["this is a cat."], [["This is a cat."]], {"bleu_lowercase": True}, 100.0),
    ("bleu", ["eine Katze"], [["eine Katze"]], {"bleu_tokenize": "char"}, 100.0),
    ("chrf", ["", "abc"], [["abc", "abc"]], {}, 55.55555555555556),
    ("chrf", ["ABC"], [["abc"]], {"bleu_lowercase": True}, 100.0),
    ("ter", ["", "a b c d"], [["a b c d", "a b c d"]], {}, 50.0),
    ("wer", ["", ""], [["a b", "c"]], {}, 100.0),  # empty hypotheses are not removed
    ("wer", ["a b c d"], [["a b"]], {}, 100.0),
    ("wer", ["a x c"], [["a b c d"]], {}, 50.0),
    ("wer", ["the cat", ""], [["The cat.", ""]], {}, 100.0),
    ("wer", ["the cat", "x"], [["The cat.", ""]], {"lowercase": True, "remove_punctuation": True}, 50.0),
    ("cer", ["abd", ""], [["abc", "d"]], {}, 50.0),
    ("cer", ["今日は"], [["今日も"]], {}, 100 / 3),
]
# fmt: on


@pytest.mark.parametrize("name, hypotheses, references, options, expected", SCORES)
def test_table_of_scores(name, hypotheses, references, options, expected):
    assert corpus_score(name, hypotheses, references, **options) == pytest.approx(expected, abs=1e-9)


def test_errors_are_counted_by_kind():
    metric = make_metric("wer", [["a b c d", "e f", ""]], Options())
    assert metric.statistics(["a x c", "e f g", "h"]).tolist() == [[1, 1, 0, 4], [0, 0, 1, 2], [0, 0, 1, 0]]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Well-known, isn't it?", "Well known isn't it"),
        ("« Ça va ? »", "Ça va"),
        ("'quoted' it’s — so.", "quoted it's so"),
        ("5% of $3", "5 of $3"),
        ("今天，好。", "今天好"),
    ],
)
def test_punctuation_goes_and_words_stay(text, expected):
    assert without_punctuation(text) == expected


def program(*command: str) -> str:
    environment = dict(os.environ, PYTHONIOENCODING="utf-8", PYTHONUTF8="1", NO_COLOR="1")
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write_lines(path: Path, lines: list[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def test_alignment_shows_the_utterances_with_errors():
    shown = make_metric("wer", [["a b c", "d", "=== SENTENCE 1 ==="]], Options()).alignment(
        ["u1", "u2", "u3"], ["a x c e", "d", ""]
    )
    assert shown.startswith("u1\n\nREF: a b c *\nHYP: a x c e\n       S   I\n\nu3\n\nREF: === SENTENCE 1 ===\n")
    assert "substitutions=1 deletions=4 insertions=1 hits=3" in shown


# fmt: off
COMMANDS = [
    ("bleu", "bleu", GERMAN_OUT, [GERMAN], {}, []),
    ("chrf", "chrf", GERMAN_OUT, [GERMAN], {}, []),
    ("ter", "ter", GERMAN_OUT, [GERMAN], {}, []),
    ("bleu", "bleu", GERMAN_OUT, [GERMAN], {"bleu_lowercase": True}, ["-lc"]),
    ("chrf", "chrf", GERMAN_OUT, [GERMAN], {"bleu_lowercase": True}, ["--chrf-lowercase"]),
    ("bleu", "bleu", GERMAN_OUT, [GERMAN], {"bleu_tokenize": "char"}, ["--tokenize", "char"]),
    ("bleu", "bleu", GERMAN_OUT, [GERMAN, GERMAN_OUT], {}, []),
    ("chrf", "chrf", GERMAN_OUT, [GERMAN, GERMAN[::-1]], {}, []),
    ("bleu", "bleu", CHINESE_OUT, [CHINESE], {"bleu_tokenize": "zh"}, ["--tokenize", "zh"]),
    ("bleu", "bleu", JAPANESE_OUT, [JAPANESE], {"bleu_tokenize": "ja-mecab"}, ["--tokenize", "ja-mecab"]),
    ("ter", "ter", CHINESE_OUT, [CHINESE], {"bleu_tokenize": "zh"}, ["--ter-normalized", "--ter-asian-support"]),
]
# fmt: on


@pytest.mark.parametrize("name, flag, hypotheses, references, options, arguments", COMMANDS)
def test_agrees_with_the_sacrebleu_program(tmp_path, name, flag, hypotheses, references, options, arguments):
    reference_files = [write_lines(tmp_path / f"ref{i}", lines) for i, lines in enumerate(references)]
    hypothesis_file = write_lines(tmp_path / "hyp", hypotheses)
    command = ["sacrebleu", *reference_files, "-i", hypothesis_file, "-m", flag, "-f", "json", "-w", "12", *arguments]
    theirs = json.loads(program(*command))
    metric = make_metric(name, references, Options(**options))
    assert f"{metric.score(metric.statistics(hypotheses).sum(0)):.12f}" == f"{theirs['score']:.12f}"
    assert metric.signature() == theirs["signature"]


@pytest.mark.parametrize("name, arguments", [("wer", []), ("cer", ["--cer"])])
def test_agrees_with_the_jiwer_program(tmp_path, name, arguments):
    spoken = [text or "doch, ja" for text in GERMAN_OUT]  # its command line drops empty lines
    files = ["-r", write_lines(tmp_path / "ref", GERMAN), "-h", write_lines(tmp_path / "hyp", spoken)]
    theirs = program("jiwer.cli", *files, *arguments).strip()
    counts_K = make_metric(name, [GERMAN], Options()).statistics(spoken).sum(0)
    assert repr(float(counts_K[:3].sum() / counts_K[3])) == theirs


def test_lines_that_the_jiwer_program_skips_or_refuses_count(tmp_path):
    """It leaves out lines of one character and stops at empty ones; docs/scoring.md says that we do neither."""
    references, spoken = ["a", "b c d"], ["x", "b c d"]
    files = ["-r", write_lines(tmp_path / "ref", references), "-h", write_lines(tmp_path / "hyp", spoken)]
    assert float(program("jiwer.cli", *files)) == 0.0
    metric = make_metric("wer", [references], Options())
    assert metric.score(metric.statistics(spoken).sum(0)) == 25.0
    assert metric.score(metric.statistics(["", "b c d"]).sum(0)) == 25.0


def test_signature_of_word_errors_names_what_changes_them():
    plain = make_metric("wer", [["a"]], Options()).signature(bs=1000, seed=1)
    assert plain.startswith("nrefs:1|bs:1000|seed:1|case:mixed|punct:yes|unit:word|version:jiwer-")
    assert "case:lc|punct:no|unit:character" in make_metric("cer", [["a"]], Options(True, True)).signature()


def test_unknown_tokenizer_is_named_with_the_known_ones():
    with pytest.raises(ScoringError, match=r"unknown --bleu_tokenize '14a'; choose from 13a, .*zh"):
        make_metric("bleu", [["a"]], Options(bleu_tokenize="14a"))


@pytest.mark.parametrize(
    "lines, message",
    [
        (["u1 a", "u3 c"], r"hyp.st: 1 missing of 3 utterances \('u2'\); decode"),
        (["u1 a", "u2 b", "u3 c", "u4 d", "u5"], r"hyp.st: 2 unexpected of 3 utterances \('u4', 'u5'\); decode"),
        (["u1 a", "u2 b", "u2 b", "u3 c"], r"hyp.st: 1 duplicate ids \('u2'\); decode"),
        ([], r"hyp.st: 3 missing of 3 utterances \('u1', 'u2', 'u3'\)"),
        (["u1 a", "u2 b", "u3 c", ""], r"hyp.st: 1 unexpected of 3 utterances \(''\)"),
    ],
)
def test_wrong_hypothesis_files_are_refused(tmp_path, lines, message):
    write_lines(tmp_path / "hyp.st", lines)
    with pytest.raises(ScoringError, match=message):
        read_hypotheses(tmp_path / "hyp.st", ["u1", "u2", "u3"])


def test_empty_hypotheses_and_order_are_kept(tmp_path):
    write_lines(tmp_path / "hyp.st", ["u1 ", "u2 b  c", "u3"])
    assert read_hypotheses(tmp_path / "hyp.st", ["u3", "u2", "u1"]) == ["", "b  c", ""]


def test_several_references_are_found_by_their_names(tmp_path):
    write_lines(tmp_path / "text.de", ["u1 a", "u2 b"])
    for i in (1, 2, 10):
        write_lines(tmp_path / f"text.de.{i}", [f"u1 a{i}", f"u2 b{i}"])
    write_lines(tmp_path / "text.de.cleaned", ["u9 not a reference"])
    assert read_references(tmp_path, "de") == (["u1", "u2"], [["a", "b"], ["a1", "b1"], ["a2", "b2"], ["a10", "b10"]])
    write_lines(tmp_path / "text.de.1", ["u1 a"])
    with pytest.raises(ScoringError, match=r"text.de.1: 1 missing of 2 utterances \('u2'\)"):
        read_references(tmp_path, "de")


def test_missing_reference_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ScoringError, match=r"text.fr does not exist"):
        read_references(tmp_path, "fr")


def test_command_scores_the_fixture_and_its_program_agrees(tmp_path):
    root = make_fake_results(tmp_path, utterances=12, audio=False)
    arguments = [str(root / "exp"), "--systems", "e2e pipeline", "--test_sets", "test", "--data", str(root / "data")]
    printed = program("espnet_ext.score", *arguments, "--src_lang", "en", "--tgt_lang", "de")
    scores = json.loads((root / "exp/e2e/test/scores.json").read_text())
    texts = {
        name: [text for _, text in read_table(path)]
        for name, path in (("hyp", root / "exp/e2e/test/hyp.st"), ("ref", root / "data/test/text.de"))
    }
    files = [write_lines(tmp_path / name, lines) for name, lines in texts.items()]
    assert "" in texts["hyp"] and scores["scores"]["st"]["empty_hypotheses"] == 1
    theirs = program("sacrebleu", files[1], "-i", files[0], "-b", "-w", "10").strip()
    assert f"{scores['scores']['st']['bleu']['score']:.10f}" == theirs
    assert f"{float(theirs):.1f}" in printed
