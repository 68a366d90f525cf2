"""A test set without references is decoded and not scored; sentences of tests that training has seen are counted."""

import shutil
from pathlib import Path

import pytest

from espnet_ext import report, score
from espnet_ext.data import check, text
from espnet_ext.data.leaks import find_leaks
from espnet_ext.infra import bars
from espnet_ext.infra.files import write_table
from espnet_ext.infra.jobs import run_jobs
from tests.support.fake_results import COMMON, make_fake_results
from tests.support.recipe_copy import write_wav


def test_it_passes_the_check_and_the_index(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wav(tmp_path / "a.wav", 1.0)
    write_table(tmp_path / "blind/wav.scp", [("u", str(tmp_path / "a.wav"))])
    write_table(tmp_path / "blind/utt2spk", [("u", "u")])
    check.main([str(tmp_path / "blind")])
    assert "valid; without a text it can be decoded, but not trained on or scored" in capsys.readouterr().err
    text.main([str(tmp_path / "blind"), str(tmp_path / "dump")])
    assert "nothing to index: this set can only be decoded" in capsys.readouterr().err


def test_nothing_of_it_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_fake_results(tmp_path, utterances=12, audio=False)
    monkeypatch.chdir(root)
    shutil.copytree("data/test", "data/blind")
    for path in Path("data/blind").glob("text.*"):
        path.unlink()
    score.main([*COMMON, "--test_sets", "test blind", "--samples", "20", "--results", "RESULTS.md"])
    assert "data/blind: has no references: its outputs are not scored" in capsys.readouterr().err
    assert "## test" in Path("RESULTS.md").read_text() and "blind |" not in Path("RESULTS.md").read_text()
    report.main([*COMMON, "--test_sets", "blind", "--out", "report.html"])
    assert "nothing is scored, so there is nothing to show" in capsys.readouterr().err


def test_leaks_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = {"train": ["Good day.", "a tree", "ja"], "mt": ["a house"], "test": ["good  day.", "a bird", "a house", "x"]}
    for name, lines in sets.items():
        write_table(tmp_path / name / "text.en", [(f"{name}{i}", line) for i, line in enumerate(lines)])
    folders = [tmp_path / name for name in sets]
    assert list(find_leaks(folders[2:], folders[:2])) == [(folders[2], "en", 2, 4)]
    check.main([*map(str, folders), "--training", *map(str, folders[:2])])
    said = capsys.readouterr().err
    assert (
        f"{folders[2]}/*.en: 2 of 4 sentences (50.0%) are also in the training text of {folders[0]}, {folders[1]}"
        in said
    )


def test_a_log_file_gets_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_jobs(abs, [(-1,), (2,)], nj=1, log_dir=tmp_path, description="work")
    (line,) = capsys.readouterr().err.splitlines()  # a second was not worth more
    assert line.startswith("work: 100%") and "2/2" in line and "\r" not in line


def test_a_long_work_says_a_line_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(bars, "LOG_SECONDS", 1e-9)
    with bars.progress_bar(3, "work", "job") as bar:
        for _ in range(3):
            bar.update()
    said = capsys.readouterr().err
    assert "\r" not in said and len(said.splitlines()) >= 4 and "work:  33%" in said
