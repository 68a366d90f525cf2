"""Pseudo-labels: the filter, the data directory, several labels an utterance, kill -9."""

import codecs
import json
import os
import random
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
import yaml

from espnet_ext import decode, pseudo_label
from espnet_ext.data import check
from espnet_ext.data.label_filter import Label, LabelFilter
from espnet_ext.infra.files import read_table
from espnet_ext.scoring.language_id import LanguageId
from tests.support.tiny_mt import make_recipe
from tests.test_language_id import TEXTS

NO_FILTER = ("--most_off", "0", "--batch_size", "2", "--beam", "2")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/train of 24 spoken utterances and the system exp/mt."""
    return make_recipe(tmp_path_factory.mktemp("recipe"))


def run(recipe: Path, out: Path, *options: str, systems: tuple[str, ...] = ("mt",)) -> dict[str, bytes]:
    """The bytes of every table of the result and of the record."""
    exps = [str(recipe / "exp" / system) for system in systems]
    pseudo_label.main([str(recipe / "data/train"), str(out), *NO_FILTER, *options, "--exp", *exps])
    return tables(out)


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for pattern in pseudo_label.PARTS for path in out.glob(pattern)}


def record(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "labels.jsonl").read_text().splitlines()]


def test_the_result_is_a_data_directory_with_the_origin_of_every_line(recipe: Path, tmp_path: Path) -> None:
    found = run(recipe, tmp_path / "out")
    data = recipe / "data/train"
    lines = record(tmp_path / "out")
    assert [line["id"] for line in lines] == [key for key, _ in read_table(data / "text.en")]
    kept = {line["id"]: line for line in lines if line["filter"] == "kept"}
    assert {key: line["text"] for key, line in kept.items()} == dict(read_table(tmp_path / "out/text.de")) and kept
    assert all(line["model"] == str(recipe / "exp/mt") and "commit" in line and line["score"] < 0 for line in lines)
    for name in ("text.en", "segments", "utt2spk"):
        theirs = {key: value for key, value in read_table(data / name) if key in kept}
        assert dict(read_table(tmp_path / "out" / name)) == theirs
    assert "text.de" in found and found["text.de"] != (data / "text.de").read_bytes()
    check.main([str(tmp_path / "out")])


def test_nothing_is_decoded_again_for_another_filter(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(recipe, tmp_path / "out")
    monkeypatch.setattr(decode, "decode_shard", lambda *_: pytest.fail("decoded again"))
    scores = sorted(line["score"] for line in record(tmp_path / "out"))
    limit = statistics.median(scores)  # of an even number: between two of them
    run(recipe, tmp_path / "out", "--min_score", str(limit))
    lines = record(tmp_path / "out")
    assert any(line["filter"].startswith("score: ") for line in lines)
    assert all((line["filter"] == "kept") == (line["score"] >= limit) for line in lines if not line["cut"])


def test_two_systems_give_their_two_best_each(recipe: Path, tmp_path: Path) -> None:
    other = recipe / "exp/other"
    if not other.exists():
        shutil.copytree(recipe / "exp/mt", other)
    run(recipe, tmp_path / "out", "--nbest", "2", systems=("mt", "other"))
    lines = record(tmp_path / "out")
    first = [line for line in lines if line["utterance"] == "a-00"]
    assert [line["id"] for line in first] == ["a-00-1.1", "a-00-1.2", "a-00-2.1", "a-00-2.2"]
    assert [line["model"] for line in first[1:3]] == [str(recipe / "exp/mt"), str(other)]
    # The second system is the first one's copy.
    assert all(line["filter"] != "kept" for line in lines if line["system"] == 2)
    check.main([str(tmp_path / "out")])


def shards_in(out: Path) -> int:
    """How many are finished; they go when all are."""
    return len(list(out.glob("labels/1-mt/.shards/*.json")))


def test_killed_again_and_again_no_line_is_lost_or_doubled(recipe: Path, tmp_path: Path) -> None:
    wanted = run(recipe, tmp_path / "whole")
    moments, kills, out = random.Random(3), 0, tmp_path / "killed"
    while True:
        aim = shards_in(out) + moments.randint(1, 5)
        pid = os.fork()
        if not pid:
            decode.SHARD = 1
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            run(recipe, out)
            os._exit(0)
        while shards_in(out) < aim and not (ended := os.waitpid(pid, os.WNOHANG)[0]):
            time.sleep(0.001)
        if ended:
            break
        time.sleep(moments.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert not tables(out).keys() - wanted.keys()
        kills += 1
    assert kills > 2 and tables(out) == wanted


def labelled(text: str, source: str = "the old dog sleeps", score: float = -0.5, cut: bool = False) -> Label:
    return Label("u", 1, 1, source, text, score, cut)


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        (labelled("der alte Hund schläft"), None),
        (labelled(" "), "empty"),
        (labelled("der alte Hund der alte", cut=True), "cut"),
        (labelled("der alte Hund schläft", score=-1.6), "score: -1.60 is below -1.5"),
        (labelled("ja"), "length: 0.13 characters for one of the transcript; 1.20 is usual"),
        (labelled("der Hund " * 20), "length"),
        (labelled("the old dog sleeps"), "language: it is in en (probability 1.00)"),
    ],
)
def test_the_filter_says_why(label: Label, verdict: str | None) -> None:
    found = LabelFilter(2.5, -1.5, LanguageId(TEXTS), "de").judge(label, 1.2)
    assert found == verdict or (found is not None and verdict is not None and found.startswith(verdict))


def test_lengths_are_judged_by_what_is_usual_in_the_set() -> None:
    short = [Label(str(i), 1, 1, "the old dog sleeps", "老狗睡觉", -0.5, False) for i in range(3)]
    assert LabelFilter(2.5, None, None, "zh").verdicts([*short, labelled("老狗睡在桌子下面老狗睡觉啊")])[2:] == [
        None,
        "length: 0.87 characters for one of the transcript; 0.27 is usual",
    ]


def test_what_is_wrong_is_said(recipe: Path, tmp_path: Path) -> None:
    for changes, message in (
        (["--exp", str(recipe / "exp/none")], "none: no config.yaml; train this system first"),
        (["--exp", str(recipe / "exp/mt"), "--min_score", "0"], "the filter left none of 24 labels: {'"),
        (["--exp", str(recipe / "exp/mt"), "--language_text", str(tmp_path)], "--language_text: no text.de there"),
    ):
        with pytest.raises(SystemExit) as error:
            pseudo_label.main([str(recipe / "data/train"), str(tmp_path / "out"), *NO_FILTER, *changes])
        assert message in str(error.value)


def test_a_task_that_translates_text_is_found(tmp_path: Path) -> None:
    mt = {"set": "pairs", "reads": "text", "src": "en", "tgt": "fr", "tests": ["test"]}
    config = {"src_lang": "en", "tgt_lang": "de", "subwords": "joint"}
    for tasks, wanted in (
        ({}, ("en", "de", "mt", False)),
        ({"hear": {**mt, "reads": "speech"}, "write": mt}, ("en", "fr", "write", True)),
    ):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "tasks": tasks}))
        assert pseudo_label.translator(tmp_path) == wanted
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "tasks": {"a": mt, "b": mt}}))
    with pytest.raises(ValueError, match="translates by several tasks, a b; give one with one"):
        pseudo_label.translator(tmp_path)


def by_program(recipe: Path, out: Path, program: str, *options: str) -> None:
    words = [*NO_FILTER, "--program", program, "--src_lang", "en", "--tgt_lang", "es", *options]
    pseudo_label.main([str(recipe / "data/train"), str(out), *words])


def test_a_program_of_another_kind_translates(recipe: Path, tmp_path: Path) -> None:
    by_program(recipe, tmp_path / "out", "tr a-z n-za-m")
    originals = dict(read_table(recipe / "data/train/text.en"))
    labels = dict(read_table(tmp_path / "out/text.es"))
    assert labels == {key: codecs.encode(text.lower(), "rot13") for key, text in originals.items()}
    assert all(line["model"] == "tr a-z n-za-m" and line["score"] is None for line in record(tmp_path / "out"))
    check.main([str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("program", "options", "message"),
    [
        ("head -n 1", (), r"--program head -n 1: 1 lines for 24, exit status 0 .*; give a program that writes a line"),
        ("false", (), r"--program false: 0 lines for 24, exit status 1"),
        ("no-such-program -u", (), r"--program no-such-program -u: cannot be run .*; install it, or give its path"),
        ("cat", ("--tgt_lang", ""), r"it needs --src_lang and --tgt_lang, and takes no --nbest"),
        ("cat", ("--nbest", "2"), r"it needs --src_lang and --tgt_lang, and takes no --nbest"),
    ],
)
def test_a_program_that_does_not_translate_is_said(
    recipe: Path, tmp_path: Path, program: str, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(SystemExit, match=message):
        by_program(recipe, tmp_path / "out", program, *options)
    assert not (tmp_path / "out/text.es").exists()
