"""Delays of sub-words as delays of words and characters; the steps in which a source comes in."""

import json
from pathlib import Path

import pytest

from espnet_ext.simul.delays import in_units, steps_of, word_steps, write_delays


class Pieces:
    """Sub-words by number; a `_` begins a word."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces

    def decode(self, tokens: list[int]) -> str:
        return "".join(self.pieces[i] for i in tokens).replace("_", " ").strip()


ENGLISH = Pieces("_the", "_c", "at", "_sat", ".")
GERMAN = Pieces("_die", "_Kat", "ze", "_saß", ".")
CHINESE = Pieces("_", "猫", "坐着", "。")


def test_a_word_is_written_when_it_is_known_to_be_whole_and_read_from_its_first_piece_on() -> None:
    found = in_units(ENGLISH, GERMAN, [0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [1, 2, 3, 5, 5], ("en", "de"))
    assert found == {
        "word": {"source": 3, "read": [2, 3, 3]},  # "die" when "Kat" is written, of "the c"; "saß." at the end
        "subword": {"source": 5, "read": [1, 2, 3, 5, 5]},
    }


def test_characters_where_words_are_not_spaced() -> None:
    found = in_units(ENGLISH, CHINESE, [0, 1, 2, 3, 4], [0, 1, 2, 3], [1, 2, 4, 5], ("en", "zh"))
    assert found["char"] == {"source": 3, "read": [2, 3, 3, 3]}  # both characters of a piece at once


def test_nothing_written() -> None:
    assert in_units(ENGLISH, GERMAN, [0], [], [], ("en", "de")) == {
        "word": {"source": 1, "read": []},
        "subword": {"source": 1, "read": []},
    }


@pytest.mark.parametrize(
    ("length", "size", "steps"), [(4, 1, [1, 2, 3, 4]), (5, 2, [2, 4, 5]), (4, 2, [2, 4]), (1, 3, [1]), (2, 9, [2])]
)
def test_steps_of_a_constant_size_end_with_the_source(length: int, size: int, steps: list[int]) -> None:
    assert steps_of(length, size) == steps


def test_steps_of_whole_words() -> None:
    assert word_steps(ENGLISH, [0, 1, 2, 3, 4], "en") == [1, 3, 5]
    assert word_steps(ENGLISH, [1, 2], "en") == [2]
    letters = Pieces("_", "a", "b")
    assert word_steps(letters, [0, 1, 0, 2, 1, 0, 2], "en") == [2, 5, 7]  # a space alone says that the word has ended


def test_a_sentence_without_a_source_was_never_written(tmp_path: Path) -> None:
    timed = {"delays": {"word": {"source": 2, "read": [1]}, "subword": {"source": 3, "read": [2]}}}
    write_delays(tmp_path / "delays", {"a": timed, "b": {"text": ""}})
    rows = [json.loads(line) for line in (tmp_path / "delays").read_text().splitlines()]
    assert rows[1] == {"id": "b", "word": {"source": 1, "read": []}, "subword": {"source": 1, "read": []}}
    write_delays(tmp_path / "delays", {"a": {"text": ""}})
    assert not (tmp_path / "delays").exists()
