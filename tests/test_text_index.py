"""The text and token indexes give what the file has, at any position, in any process, and notice changes."""

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from espnet_ext.data import subwords, text
from espnet_ext.data.subwords import Subwords
from espnet_ext.data.text import TextIndex, TokenIndex, digest_keys

LINES = {
    "u01": "plain words",
    "u02": "Größe – „Öl“",
    "u03": "我看见一座小房子。😀",
    "u04": "",
    "u05": "x" * 100_000,
    "u06": " two  spaces ",
    "ü7": "last",
}


def write_table(folder: Path, lines: dict[str, str], lang: str = "de", end: str = "\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    table = "\n".join(f"{key} {line}" for key, line in lines.items()) + (end if lines else "")
    (folder / f"text.{lang}").write_text(table, encoding="utf-8", newline="")
    return folder


def index(tmp_path: Path, lines: dict[str, str], **options: str) -> TextIndex:
    text.main([str(write_table(tmp_path / "data", lines, **options)), str(tmp_path / "dump")])
    return TextIndex(tmp_path / "dump" / "text.de")


def model(tmp_path: Path, size: int = 30) -> Subwords:
    (tmp_path / "sw" / "de").mkdir(parents=True, exist_ok=True)
    subwords.train(
        tmp_path / "sw" / "de", ["one two three four five six seven", "seventy six five"], ["de"], size, "bpe"
    )
    return Subwords(tmp_path / "sw" / "de")


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("chunk", [1, 3, 20_000])
def test_random_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, end: str) -> None:
    monkeypatch.setattr(text, "CHUNK", chunk)
    found = index(tmp_path, LINES, end=end)
    assert len(found) == len(found.keys) == len(LINES)
    for i in [3, 0, 6, 2, 5, 1, 4, -1]:
        assert (found.key(i), found[i]) == list(LINES.items())[i]
    assert list(found.keys) == list(LINES)
    assert found.keys_digest == digest_keys(LINES)


def test_empty_tail_and_empty_table(tmp_path: Path) -> None:
    assert index(tmp_path / "tail", {"a": "x", "b": ""})[1] == ""
    empty = index(tmp_path / "none", {})
    assert len(empty) == 0 and list(empty.keys) == []


@pytest.mark.parametrize("i", [7, -8])
def test_outside(tmp_path: Path, i: int) -> None:
    with pytest.raises(IndexError, match=f"no line {i} of 7"):
        index(tmp_path, LINES)[i]


def read_from(found: TextIndex | TokenIndex, i: int) -> object:
    return found[i]


def test_in_worker_processes(tmp_path: Path) -> None:
    found = index(tmp_path, {f"u{i:04d}": f"line {i} é" for i in range(500)})
    assert len(pickle.dumps(found)) < 1000
    tokens = TokenIndex.open(index(tmp_path / "two", {"u0": "one two", "u1": "six five"}), model(tmp_path))
    assert len(pickle.dumps(tokens)) < 1000
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.starmap(read_from, [(found, i) for i in range(500)]) == [found[i] for i in range(500)]
        assert pool.apply(read_from, (tokens, 1)).tolist() == tokens[1].tolist()


def test_each_language_has_an_index_and_changes_are_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_table(write_table(tmp_path / "data", {"u1": "Haus"}), {"u1": "house"}, lang="en")
    dump = tmp_path / "dump"
    text.main([str(data), str(dump)])
    assert (TextIndex(dump / "text.de")[0], TextIndex(dump / "text.en")[0]) == ("Haus", "house")
    write_table(data, {"u1": "Häuser"})
    text.main([str(data), str(dump)])
    assert TextIndex(dump / "text.de")[0] == "Häuser"
    assert f"{dump}/text.en: inputs have not changed, skipped" in capsys.readouterr().err


def test_a_failed_build_leaves_the_old_index_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = index(tmp_path, {"u1": "old"})
    monkeypatch.setattr(text, "write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        index(tmp_path, {"u1": "new"})
    monkeypatch.undo()
    assert TextIndex(found.folder)[0] == "old"
    assert {path.name for path in found.folder.parent.iterdir()} == {"text.de", ".text.de.made_from", "about.json"}
    assert index(tmp_path, {"u1": "new"})[0] == "new"  # the old stamp does not hide that work is left


def test_no_text(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no text.<lang> here"):
        text.main([str(tmp_path), str(tmp_path / "dump")])
    with pytest.raises(FileNotFoundError, match="no text index here"):
        TextIndex(tmp_path)


def test_a_cut_file_is_noticed(tmp_path: Path) -> None:
    found = index(tmp_path, LINES)
    path = found.folder / "text.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(OSError, match=r"text\.bin: ends inside line 6; delete"):
        found[6]


def test_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "CHUNK", 2)
    lines = {"u1": "one two", "u2": "six", "u3": "", "u4": "seventy six five ЖЖ", "u5": "two two"}
    found, spm = index(tmp_path, lines), model(tmp_path)
    tokens = TokenIndex.open(found, spm)
    assert [tokens[i].tolist() for i in range(5)] == [spm.encode(line) for line in lines.values()]
    assert tokens[0].dtype == np.int64 and len(tokens) == 5
    assert tokens.lengths.tolist() == [len(spm.encode(line)) for line in lines.values()]


def test_tokens_are_made_once_for_each_model_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, spm = index(tmp_path, {"u1": "one two"}), model(tmp_path)
    first = TokenIndex.open(found, spm)
    made = []
    monkeypatch.setattr(text, "_encode_all", lambda *_: made.append(1))
    assert TokenIndex.open(found, spm)[0].tolist() == first[0].tolist() and not made
    monkeypatch.undo()
    other = TokenIndex.open(found, model(tmp_path, size=34))  # another model of the same name
    assert other.folder != first.folder and first[0].tolist() == spm.encode("one two")
    changed = index(tmp_path, {"u1": "one two", "u2": "six"})
    assert len(TokenIndex.open(changed, spm)) == 2


def test_large_vocabularies_keep_their_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, spm = index(tmp_path, {"u1": "one"}), model(tmp_path)
    monkeypatch.setattr(spm, "size", 70_000)
    monkeypatch.setattr(spm, "encode_all", lambda lines: [[69_999, 3] for _ in lines])
    tokens = TokenIndex.open(found, spm)
    assert tokens[0].tolist() == [69_999, 3] and tokens.lengths.tolist() == [2]
