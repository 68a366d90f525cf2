"""about.json: what a data directory says of itself, by the writer, by the check, and where nobody wrote it."""

import json
from pathlib import Path

import pytest

from espnet_ext.data import check
from espnet_ext.data.about import NAME, About, read_about
from espnet_ext.data.write_datadir import Utterance, write_data_dir
from espnet_ext.infra.files import write_table
from tests.support.recipe_copy import write_wav

BOTH = {"en": "a cat", "de": "eine Katze"}


def test_the_writer_says_what_is_there(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 9)
    write_data_dir(tmp_path / "st", [Utterance("a", "s", BOTH, tmp_path / "a.wav")], speech="en")
    assert read_about(tmp_path / "st") == About("speech", "en", ["de", "en"], 1, 0.003)
    write_data_dir(tmp_path / "mt", [Utterance(key, "s", BOTH) for key in "ab"], speech="en")
    assert read_about(tmp_path / "mt") == About("text", None, ["de", "en"], 2, 0.0)


def test_the_check_knows_of_what_a_user_has_mended(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 9)
    rows = [Utterance(key, "s", BOTH, tmp_path / "a.wav", 0, 4.5) for key in "ab"]
    write_data_dir(tmp_path / "st", rows, speech="en")
    for path in (tmp_path / "st").iterdir():
        if path.name in ("segments", "utt2spk", "utt2dur", "text.en", "text.de"):
            path.write_text(path.read_text().splitlines(keepends=True)[0])
    check.main([str(tmp_path / "st")])
    assert json.loads((tmp_path / "st" / NAME).read_text())["utterances"] == 1
    assert read_about(tmp_path / "st").speech == "en"


def test_a_directory_of_a_users_own(tmp_path: Path) -> None:
    write_table(tmp_path / "mt" / "text.en", [("a", "x"), ("b", "y")])
    assert read_about(tmp_path / "mt") == About("text", None, ["en"], 2, 0.0)
    check.main([str(tmp_path / "mt")])
    assert json.loads((tmp_path / "mt" / NAME).read_text())["texts"] == ["en"]


def test_what_was_not_written_so(tmp_path: Path) -> None:
    write_table(tmp_path / "mt" / "text.en", [("a", "x")])
    (tmp_path / "mt" / NAME).write_text('{"reads": "te')
    with pytest.raises(SystemExit, match=r"about\.json: not what was written .*; delete it, and it is found"):
        check.main([str(tmp_path / "mt")])
