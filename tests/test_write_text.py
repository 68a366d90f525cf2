"""Text of millions of lines is written as it comes: nothing of it is kept, and what is lost is counted."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from espnet_ext.data.about import read_about
from espnet_ext.data.check import check
from espnet_ext.data.write_datadir import Utterance, write_data_dir
from espnet_ext.data.write_text import update_text_dir, write_text_dir
from tests.support.recipe_copy import table


def pairs(count: int) -> Iterator[Utterance]:
    for number in range(count):
        key = f"a-{number:06d}"
        yield Utterance(
            key, "film", {"en": f" line\u2028{number} ", "de": "" if number % 100 == 7 else f"Zeile {number}"}
        )


def test_it_writes_what_the_one_writer_writes(tmp_path: Path) -> None:
    write_data_dir(tmp_path / "held", pairs(300))
    write_text_dir(tmp_path / "stream", pairs(300))
    files = {path.name for path in (tmp_path / "held").iterdir() if path.is_file()}
    assert files >= {"text.en", "text.de", "utt2spk", "dropped.json", "about.json"}
    for name in files:
        assert (tmp_path / "stream" / name).read_bytes() == (tmp_path / "held" / name).read_bytes(), name
    assert json.loads((tmp_path / "stream" / "dropped.json").read_text())["dropped"] == {"empty text.de": 3}
    assert check(tmp_path / "stream") == [] and read_about(tmp_path / "stream").utterances == 297


def test_memory_does_not_grow_with_the_lines(tmp_path: Path) -> None:
    peaks = []
    for count in (200, 20000):
        tracemalloc.start()
        write_text_dir(tmp_path / "text", pairs(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000, peaks  # 20,000 utterances are some 20 MB


def test_it_is_made_again_only_when_a_file_changes(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    update_text_dir(tmp_path / "text", pairs(3), [source])
    update_text_dir(tmp_path / "text", pairs(9), [source])  # not looked at
    assert len(table(tmp_path / "text" / "text.en")) == 3
    source.write_text("2")
    update_text_dir(tmp_path / "text", (replaced for replaced in list(pairs(9))), [source])
    assert len(table(tmp_path / "text" / "text.en")) == 8


def test_what_a_recipe_does_wrong_is_refused(tmp_path: Path) -> None:
    rows = list(pairs(3))
    with pytest.raises(ValueError, match=r"a-000001 comes after a-000002; give utterances sorted by id"):
        write_text_dir(tmp_path / "text", [rows[0], rows[2], rows[1]])
    with pytest.raises(ValueError, match=r"a-000000 comes after a-000000"):
        write_text_dir(tmp_path / "text", [rows[0], rows[0]])
    with pytest.raises(ValueError, match="the corpus gave no utterance"):
        write_text_dir(tmp_path / "text", [])
    with pytest.raises(ValueError, match=r"all 1 utterances were dropped: \{'empty text.en': 1\}"):
        write_text_dir(tmp_path / "text", [Utterance("a", "a", {"en": " "})])
