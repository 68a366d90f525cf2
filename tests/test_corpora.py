"""Readers of corpora: what is there is read, what does not fit together is refused with the numbers."""

import gzip
from pathlib import Path

import pytest

from espnet_ext.corpora import text_pairs


def write_lines(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_lines_pair_up_by_their_number(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.en", "One.", "A\u2028B", "")
    write_lines(tmp_path / "a.de.gz", "Eins.", "C\x85D", "Drei.")
    files = {lang: text_pairs.find(tmp_path / f"a.{lang}", "unpack it") for lang in ("en", "de")}
    found = list(text_pairs.read_pairs(files, "a"))
    assert [u.id for u in found] == ["a-00000001", "a-00000002", "a-00000003"]
    assert found[1].texts == {"en": "A\u2028B", "de": "C\x85D"}
    assert found[2].texts["en"] == ""  # the writer drops it, and counts


@pytest.mark.parametrize("more", ["en", "de"])
def test_texts_of_unequal_length_are_refused_with_both_numbers(tmp_path: Path, more: str) -> None:
    files = {lang: write_lines(tmp_path / f"a.{lang}", *["x"] * (5 if lang == more else 2)) for lang in ("en", "de")}
    with pytest.raises(ValueError, match=rf"a\.{more} has 5 lines.*so unpack the corpus again"):
        list(text_pairs.read_pairs(files, "a"))


def test_a_packed_text_that_is_cut_is_named(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.de.gz", *map(str, range(1000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"a\.de\.gz: not a whole \.gz file .*; unpack the corpus again"):
        list(text_pairs.read_pairs({"de": path}, "a"))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"not a whole \.gz file"):
        list(text_pairs.read_pairs({"de": path}, "a"))


def test_a_text_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    write_lines(tmp_path / "b.en", "x")
    with pytest.raises(ValueError, match=r"a\.en: not there; .* holds b\.en; unpack it"):
        text_pairs.find(tmp_path / "a.en", "unpack it")
