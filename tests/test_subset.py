"""Parts of sets: by share, number and hours, one within the other, without what another set says."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.data import check, subset
from espnet_ext.data.write_datadir import Utterance, read_utterances, write_data_dir


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 parts of a second each, of one recording."""
    root = tmp_path_factory.mktemp("data")
    soundfile.write(root / "talk.wav", np.zeros(16000 * 20), 16000)
    lines = [
        Utterance(f"a-{i:02d}", "a", {"en": f"line {i}", "de": f"zeile {i}"}, root / "talk.wav", i, i + 1.0)
        for i in range(20)
    ]
    write_data_dir(root / "all", lines, speech="en")
    write_data_dir(root / "text", [Utterance(f"t{i}", "t", {"en": f"line {i}"}) for i in range(5)])
    return root


def part(data: Path, out: Path, *options: str, of: str = "all") -> list[Utterance]:
    subset.main([str(data / of), str(out), *options])
    return read_utterances(out)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--share", "0.25"], 5),
        (["--utterances", "7"], 7),
        (["--hours", f"{6 / 3600}"], 6),
        (["--hours", "1"], 20),
        (["--utterances", "30"], 20),
    ],
)
def test_as_many_as_asked_for(data: Path, tmp_path: Path, options: list[str], count: int) -> None:
    found = part(data, tmp_path / "out", *options)
    assert len(found) == count
    everything = {one.id: one for one in read_utterances(data / "all")}
    assert all(one == everything[one.id] for one in found)
    check.main([str(tmp_path / "out")])


def test_a_smaller_part_lies_in_a_larger_one(data: Path, tmp_path: Path) -> None:
    parts = [{one.id for one in part(data, tmp_path / share, "--share", share)} for share in ("0.1", "0.3", "1")]
    assert parts[0] < parts[1] < parts[2]
    other = {one.id for one in part(data, tmp_path / "other", "--share", "0.3", "--seed", "2")}
    assert other != parts[1]


def test_nothing_that_another_set_says(data: Path, tmp_path: Path) -> None:
    found = part(data, tmp_path / "out", "--without", str(data / "text"))
    assert len(found) == 15 and {one.texts["en"] for one in found}.isdisjoint(f"line {i}" for i in range(5))


def test_a_part_of_a_text(data: Path, tmp_path: Path) -> None:
    assert len(part(data, tmp_path / "out", "--utterances", "2", of="text")) == 2


@pytest.mark.parametrize(
    ("options", "of", "message"),
    [
        (["--share", "0.001"], "all", "no utterance is left; 20 of 20 are allowed by --without; change --share"),
        (["--hours", "1"], "text", "text only, which has no hours; give --utterances or --share"),
    ],
)
def test_what_cannot_be_given(data: Path, tmp_path: Path, options: list[str], of: str, message: str) -> None:
    with pytest.raises(SystemExit) as error:
        part(data, tmp_path / "out", *options, of=of)
    assert message in str(error.value)


@pytest.mark.parametrize("options", [["--share", "-0.1"], ["--share", "nan"], ["--hours", "-1"], ["--hours", "much"]])
def test_a_part_below_nothing_is_refused(data: Path, tmp_path: Path, options: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        part(data, tmp_path / "out", *options)
    assert f"argument {options[0]}: '{options[1]}': expected a number from 0 on" in capsys.readouterr().err


def test_what_is_no_longer_the_part_is_made_again(data: Path, tmp_path: Path) -> None:
    """Such as by another way to derive a set of this name."""
    before = part(data, tmp_path / "out", "--share", "0.25")
    (tmp_path / "out/text.de").write_text("a-00 anders\n")
    assert part(data, tmp_path / "out", "--share", "0.25") == before
