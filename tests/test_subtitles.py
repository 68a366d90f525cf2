"""Subtitles: what a cue holds, when it is shown, and what each of the two formats asks for."""

import itertools

import pytest

from espnet_ext.translating.results import Piece, Translation
from espnet_ext.translating.subtitles import COLUMNS, Subtitles, as_text, clock, cues, width, wrapped


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        (" \n ", []),
        ("one two", ["one two"]),
        ("word " * 9, ["word word word word word word word word", "word"]),
        ("x" * 50, ["x" * 42, "x" * 8]),
        ("tab\there\x1b", ["tab here"]),
    ],
)
def test_lines_of_words(text, lines):
    assert wrapped(text, spaced=True) == lines


def test_lines_without_spaces_end_at_punctuation():
    text = "一二三四五六七八九十一二三四五，六七八九十一二三四五六七八九十。"
    lines = wrapped(text, spaced=False)
    assert lines == ["一二三四五六七八九十一二三四五，", "六七八九十一二三四五六七八九十。"]
    assert "".join(wrapped(text * 5, spaced=False)) == text * 5
    assert all(0 < width(line) <= COLUMNS for line in wrapped("字" * 100, spaced=False))


def test_cues_share_the_time_of_their_piece_and_follow_each_other():
    pieces = [
        Piece(0.5, 10.5, {"st": "word " * 50}),
        Piece(10.5, 12.0, {"st": ""}),
        Piece(12.0, 13.0, {"st": "end"}),
    ]
    found = list(cues(Translation("f", pieces, {"st": "de"}), "st"))
    assert found[0][0] == 0.5 and found[-2][1] == 10.5 and found[-1] == (12.0, 13.0, ["end"])
    assert all(before[1] == after[0] for before, after in itertools.pairwise(found[:-1]))
    assert all(len(lines) <= 2 and start < end for start, end, lines in found)
    assert " ".join(line for _, _, lines in found[:-1] for line in lines) == ("word " * 50).strip()


def test_each_text_has_a_file_also_of_two_tasks_in_one_language(tmp_path):
    texts = {"asr": "one", "st": "eins", "summary": "kurz"}
    result = Translation("talk.mp3", [Piece(0.0, 1.0, texts)], {"asr": "en", "st": "de", "summary": "de"})
    Subtitles(tmp_path, "srt").write(result)
    found = {path.name: path.read_text().split("\n")[2] for path in tmp_path.iterdir()}
    assert found == {"talk.en.srt": "one", "talk.st.de.srt": "eins", "talk.summary.de.srt": "kurz"}


def test_both_formats():
    found = [(0.0, 1.5, ["a <b> & c"]), (3599.9996, 7200.25, ["x --> y", "z"])]
    assert as_text(found, "srt") == (
        "1\n00:00:00,000 --> 00:00:01,500\na <b> & c\n\n2\n01:00:00,000 --> 02:00:00,250\nx -> y\nz\n"
    )
    assert as_text(found, "vtt") == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\na &lt;b&gt; &amp; c\n\n01:00:00.000 --> 02:00:00.250\nx --&gt; y\nz\n"
    )
    assert as_text([], "srt") == "" and as_text([], "vtt") == "WEBVTT\n"
    assert clock(359_999.0, "vtt") == "99:59:59.000"
