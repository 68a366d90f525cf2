"""The check refuses each bad input by name, and preparing data drops or clips and counts them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.data.check import check, main
from espnet_ext.data.read_datadir import spans
from espnet_ext.data.write_datadir import Utterance, has_text, write_data_dir
from espnet_ext.infra.files import read_table
from espnet_ext.infra.lines import read_lines
from tests.bench.bad_inputs import CASES, IDS, RATE, make_good, segment, truncate, write

MANY = {"ids that differ between files", "file that was cut off", "id that ends in NUL", "line without an end"}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make_good(tmp_path / "train")


def test_a_good_directory_passes(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(good, langs=["en", "de"]) == []
    main([str(good)])
    assert "4 utterances, 0.0 h, wav.scp utt2spk text.de text.en: valid" in capsys.readouterr().err


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name: str, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    harm, place, found, remedy = CASES[name]
    harm(good)
    with pytest.raises(SystemExit) as status:
        main([str(good)])
    assert status.value.code == 1
    said = capsys.readouterr().err.splitlines()
    wanted = f"{good}/{place}: ", found.replace("{dir}", str(good)), remedy
    matching = [line for line in said if line.startswith(wanted[0]) and wanted[1] in line]
    assert matching, f"{wanted} not in {said}"
    assert wanted[2] in matching[0].partition(wanted[1])[2]
    assert said[-1].startswith(f"{good}: refused: ")


@pytest.mark.parametrize("name", sorted(set(CASES) - MANY))
def test_one_fault_is_one_problem(name: str, good: Path) -> None:
    CASES[name][0](good)
    assert len(check(good)) == 1


def test_all_problems_are_reported_but_few_of_a_kind(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"u{number:03d}" for number in range(50)]
    for name in ("utt2spk", "text.en", "text.de"):
        write(good / name, *(f"{key} x" for key in ids))
    write(good / "text.de", *(f"{key} " for key in ids))
    (good / "wav.scp").write_bytes(b"".join(f"{key} {good}/audio/none.wav\r\n".encode() for key in ids))
    with pytest.raises(SystemExit):
        main([str(good), str(good / "nowhere")])
    said = capsys.readouterr().err
    assert "refused: 50 CR, 50 empty text, 50 missing audio" in said
    assert said.count("has no text") == 10 and f"{good}: 40 more of the kind 'empty text'" in said
    assert f"{good}/nowhere: there is no such directory; run local/data.py first" in said


@pytest.mark.parametrize("nj", ["0", "-1", "two"])
def test_a_number_of_jobs_that_is_none(good: Path, nj: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main([str(good), "--nj", nj])
    assert status.value.code == 2
    assert f"--nj: {nj!r}: expected a whole number from 1 on" in capsys.readouterr().err.replace('"', "'")


def test_a_missing_program_is_one_line(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (good / "audio" / "b1.wav").rename(good / "audio" / "b1.m4a")
    write(good / "wav.scp", *(f"{name} {good}/audio/{name}.{'m4a' if name == 'b1' else 'wav'}" for name in IDS))
    monkeypatch.setenv("PATH", str(good))
    with pytest.raises(SystemExit, match=r"check: .*needs the program ffprobe; install it with: apt-get install"):
        main([str(good)])


@pytest.mark.parametrize(
    "text", ["", " \u3000", "\u200b\u200c\u200d", "\u2060\u00ad", "\ufe0f\u0301", "\u3164\u2800", "\0"]
)
def test_texts_of_which_nothing_is_seen(text: str) -> None:
    assert not has_text(text)
    assert has_text(f"{text}a") and has_text(f"{text}字") and has_text(f"{text}?") and has_text(f"{text}\ue000")


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    rows = ["a\u2028b", "c\x0cd\x85e", "f\x1cg", ""]
    (tmp_path / "x").write_bytes("\ufeff".encode() + "\r\n".join([*rows, "h"]).encode())
    assert list(read_lines(tmp_path / "x", "")) == [*rows, "h"]
    with pytest.raises(ValueError, match="x:1: the line has more than 8 bytes; look"):
        list(read_lines(tmp_path / "x", "look", longest=8))
    with pytest.raises(ValueError, match="/dev/zero:1: the line has more than"):
        list(read_lines("/dev/zero", "look"))


def test_resample_allows_any_rate(good: Path) -> None:
    CASES["wrong sampling rate"][0](good)
    assert check(good, rate=None) == []
    main([str(good), "--resample"])


def test_named_languages_are_required(good: Path) -> None:
    (problem,) = check(good, langs=["en", "fr"])
    assert problem.path == good / "text.fr" and problem.kind == "missing file"


def test_text_only(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (good / "wav.scp").unlink()
    (good / "utt2spk").unlink()
    main([str(good)])
    assert "4 utterances, text only" in capsys.readouterr().err


def test_a_segment_within_a_truncated_recording_is_good(good: Path) -> None:
    segment(good, "talk 0.8 0.9")
    truncate(good)
    write(good / "wav.scp", f"talk {good}/audio/b1.wav")
    assert [problem.line for problem in check(good)] == [2, 3, 4]
    write(good / "segments", "a1 talk 0 0.1", "a2 talk 0.1 0.2", "b1 talk 0.2 0.3", "b2 talk 0.3 0.375")
    assert check(good) == []


def test_unchanged_is_skipped_and_changed_is_checked(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(good)])
    capsys.readouterr()
    main([str(good)])
    assert capsys.readouterr().err == f"{good}/.checked: inputs have not changed, skipped\n"
    truncate(good)  # the tables are as they were
    with pytest.raises(SystemExit):
        main([str(good)])


def test_nj_finds_the_same(good: Path) -> None:
    for number in range(60):
        write(good / "audio" / f"{number}.wav", "no audio")
    ids = [f"u{number:03d}" for number in range(60)]
    for name in ("utt2spk", "text.en", "text.de"):
        write(good / name, *(f"{key} x" for key in ids))
    write(good / "wav.scp", *(f"{key} {good}/audio/{number}.wav" for number, key in enumerate(ids)))
    alone = check(good)
    assert len(alone) == 60 and check(good, nj=2) == alone


def test_lines_are_counted_past_those_without_an_id(good: Path) -> None:
    write(good / "text.de", " x", "a1 x", "", "a2 ", "b1 x", "b1 x", "b2 x")
    assert [(problem.line, problem.kind) for problem in check(good)] == [
        (1, "malformed line"),
        (3, "malformed line"),
        (4, "empty text"),
        (6, "duplicate id"),
    ]


def test_preparing_drops_clips_and_counts(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk = good / "audio" / "a1.wav"
    truncate(good)
    (good / "audio" / "bad.mp3").write_bytes(b"nothing")
    soundfile.write(good / "audio" / "nothing.wav", np.zeros(0), RATE)
    texts = {"en": "a  tree\r", "de": "ein\nBaum"}

    def utterance(key: str, audio: Path, start: float | None = None, end: float | None = None) -> Utterance:
        return Utterance(key, "s", texts, audio, start, end, task="st")

    folder = tmp_path / "made"
    summary = write_data_dir(
        folder,
        [
            utterance("whole", good / "audio" / "b2.wav"),
            utterance("part", talk, 0.25, 0.5),
            utterance("late", talk, 0.75, 1.5),
            utterance("gone", talk, 2.0, 3.0),
            utterance("short", talk, 0.5, 0.51),
            utterance("cut", good / "audio" / "b1.wav"),
            utterance("bad", good / "audio" / "bad.mp3"),
            utterance("missing", good / "audio" / "none.wav"),
            utterance("nothing", good / "audio" / "nothing.wav"),
            Utterance("silent", "s", {"en": "tree", "de": " \ufeff"}, talk, task="st"),
            utterance("whole", talk),
        ],
    )
    assert summary["dropped"] == {
        "empty text.de": 1,
        "duplicate id": 1,
        "segment outside its recording": 1,
        "shorter than 0.025 s": 1,
        "unreadable audio": 1,
        "missing audio": 1,
        "zero-length audio": 1,
    }
    assert summary["clipped"] == {"segment outside its recording": 1, "truncated audio": 1}
    assert (summary["utterances"], summary["kept"]) == (11, 4)
    assert json.loads((folder / "dropped.json").read_text()) == summary
    assert "1 dropped, unreadable audio: bad" in capsys.readouterr().err
    assert dict(read_table(folder / "segments")) == {
        "cut": "b1 0.000000 0.375000",
        "late": "a1 0.750000 1.000000",
        "part": "a1 0.250000 0.500000",
        "whole": "b2 0.000000 1.000000",
    }
    assert dict(read_table(folder / "text.de"))["cut"] == "ein Baum"
    assert dict(read_table(folder / "utt2dur"))["cut"] == "0.375000"
    assert check(folder) == []


def test_preparing_again_leaves_nothing_of_before(good: Path, tmp_path: Path) -> None:
    audio, folder = good / "audio" / "a1.wav", tmp_path / "made"
    write_data_dir(folder, [Utterance("u", "s", {"en": "x", "de": "y"}, audio, 0.0, 0.5, "st")])
    write_data_dir(folder, [Utterance("u", "s", {"en": "x"}, audio)])
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "about.json",
        "dropped.json",
        "text.en",
        "utt2dur",
        "utt2spk",
        "wav.scp",
    ]
    assert [(span.utterance, span.path) for span in spans(folder)] == [("u", str(audio))]
    write_data_dir(folder, [Utterance("u", "s", {"en": "x"})])
    assert not (folder / "wav.scp").exists() and spans(folder) == [] and check(folder) == []


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (Utterance("b", "", {"en": "x"}), "id 'b' or speaker '' is empty or holds a space"),
        (Utterance("b c", "s", {"en": "x"}), "id 'b c' or speaker 's' is empty or holds a space"),
        (Utterance("b", "s", {"de": "x"}), r"b has texts \['de'\], a has \['en'\]"),
        (Utterance("b", "s", {"en": "x"}, "b.wav"), "b and a do not both have audio"),
    ],
)
def test_mistakes_of_a_recipe_are_refused(tmp_path: Path, second: Utterance, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_data_dir(tmp_path / "d", [Utterance("a", "s", {"en": "x"}), second])


def test_recordings_with_the_same_stem_have_two_names(good: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    soundfile.write(other / "a1.wav", np.ones(RATE) / 2, RATE)
    paths = [good / "audio" / "a1.wav", other / "a1.wav"]
    write_data_dir(tmp_path / "d", [Utterance(f"u{i}", "s", {"en": "x"}, path, 0, 0.5) for i, path in enumerate(paths)])
    assert [span.path for span in spans(tmp_path / "d")] == [str(path) for path in paths]
