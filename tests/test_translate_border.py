"""Files to translate that nobody has checked: each fault is one line, the other files go on, memory stays flat."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext import translate
from espnet_ext.data import pauses
from espnet_ext.translating import reading
from tests import test_audio_border
from tests.support.tiny_exp import make_dump, make_system
from tests.test_audio_border import BAD
from tests.test_translate import DECODE, RATE, run, sound


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("border")
    make_dump(root)
    for name in ("asr", "mt"):
        make_system(root, name, decode=DECODE)
    soundfile.write(root / "good.wav", sound(1.2), RATE)
    return root


def test_no_bad_file_ends_the_others(root, tmp_path, capsys):
    """Every bad file between two good ones, in one call; a list that never ends is among them."""
    files = ["@/dev/zero"]
    for number, (make, _) in enumerate(BAD.values()):
        (tmp_path / str(number)).mkdir()
        files += [str(make(tmp_path / str(number))), str(root / "good.wav")]
    folder = tmp_path / "empty"
    folder.mkdir()
    code, out, err = run(capsys, "--exp", root / "exp/asr", *files, folder, root / "good.wav")
    assert code == 1 and len(out) == len(BAD) + 1
    assert {line.split("\t")[0] for line in out} == {str(root / "good.wav")}
    assert len(err) == len(BAD) + 2 and all(line.startswith("error: ") for line in err)
    assert err[0].startswith("error: /dev/zero: this list cannot be read (/dev/zero:1: the line has more than")


@pytest.mark.parametrize("how", ["--json", "--live"])
def test_a_name_that_is_not_utf8(root, tmp_path, capsys, how):
    (tmp_path / "caf\udce9.wav").write_bytes((root / "good.wav").read_bytes())
    code, out, err = run(capsys, "--exp", root / "exp/asr", how, tmp_path / "caf\udce9.wav", tmp_path / "\udcff.wav")
    assert code == 1 and len(err) == 1 and r"\udcff.wav: there is no such file" in err[0]
    if how == "--json":
        assert json.loads(out[0])["file"] == str(tmp_path / "caf\udce9.wav")
    else:
        assert out[-1].startswith(f"{tmp_path}/caf\\udce9.wav\ten\t")


def test_only_newlines_end_the_lines_of_a_text(root, tmp_path, capsys):
    text = "\ufeffa cat\u2028sat\x0con\r\nthe\x85mat\n"
    (tmp_path / "in.txt").write_bytes(text.encode())
    code, out, _ = run(capsys, "--exp", root / "exp/mt", tmp_path / "in.txt")
    assert code == 0 and len(out) == 2
    translator = translate.Translator(root / "exp/mt")
    (tmp_path / "plain.txt").write_text("a cat sat on\nthe mat\n")
    assert translator(tmp_path / "in.txt").translation == translator(tmp_path / "plain.txt").translation


def test_a_text_that_is_too_long_is_refused(root, tmp_path, capsys):
    (tmp_path / "long.txt").write_text("a cat\n" + "a " * 10_000 + "\n")
    (tmp_path / "wide.txt").write_text("a" * (2 << 20))
    (tmp_path / "good.txt").write_text("a cat\n")
    names = [tmp_path / f"{name}.txt" for name in ("long", "wide", "good")]
    code, out, err = run(capsys, "--exp", root / "exp/mt", *names)
    assert code == 1 and len(out) == 1
    assert "long.txt:2: the line has 10000 words, 20000 tokens; at most 1000 are translated" in err[0]
    assert "wide.txt:1: the line has more than 1048576 bytes" in err[1]


@pytest.mark.parametrize("longest", [0, -1, 121, float("nan")])
def test_pieces_cannot_be_longer_than_memory_allows(root, longest):
    with pytest.raises(ValueError, match="longest at most 120 s"):
        translate.Translator(root / "exp/asr", longest=longest)


def blocks_of(samples, size=7001):
    return (samples[first : first + size] for first in range(0, len(samples), size))


@pytest.mark.parametrize("kind", ["speech", "silence", "noise"])
def test_a_stream_is_cut_without_gaps(kind, monkeypatch):
    monkeypatch.setattr(pauses, "WINDOW", 5.0)
    random = np.random.default_rng(0)
    loud = np.repeat(random.random(40) < 0.6, RATE // 2)
    noise = random.standard_normal(len(loud)).astype(np.float32)
    samples = {"speech": noise * (loud + 0.001), "silence": 0 * noise, "noise": noise}[kind].astype(np.float32)[:-77]
    pieces = list(pauses.cut_stream(blocks_of(samples), RATE, 1.0))
    assert np.array_equal(np.concatenate([part for _, part in pieces]), samples)
    assert all(0 < len(part) <= 1.01 * RATE for _, part in pieces)
    starts = [start for start, _ in pieces]
    ends = [start + len(part) / RATE for start, part in pieces]
    assert starts[0] == 0 and starts[1:] == pytest.approx(ends[:-1], abs=1e-6)


def test_a_stream_that_fits_the_window_is_cut_as_before():
    samples = sound(30.0)
    pieces = [(start, start + len(part) / RATE) for start, part in pauses.cut_stream(blocks_of(samples), RATE, 3.0)]
    np.testing.assert_allclose(pieces, pauses.cut(samples, RATE, 3.0))


def test_a_long_recording_is_decoded_while_it_is_read(root, tmp_path, monkeypatch):
    """What is held at any time is a window of samples and the pieces that wait, not the recording."""
    soundfile.write(tmp_path / "long.wav", sound(60.0), RATE)
    monkeypatch.setattr(pauses, "WINDOW", 4.0)
    monkeypatch.setattr("espnet_ext.data.audio_sound.BLOCK", RATE)
    read, waiting, decoded = itertools.count(), [], []
    given = reading.blocks

    def counted(file, rate):
        for block in given(file, rate):
            next(read)
            yield block

    translator = translate.Translator(root / "exp/asr", longest=0.8, batch_size=2)
    monkeypatch.setattr(reading, "blocks", counted)
    plain = translator._decode_all

    def watched(pairs):
        waiting.append(len(pairs))
        decoded.append(int(repr(read)[6:-1]))
        plain(pairs)

    monkeypatch.setattr(translator, "_decode_all", watched)
    result = translator(tmp_path / "long.wav")
    assert result.pieces[-1].end == 60.0 and len(result.pieces) >= 75
    assert max(waiting) <= 8 and decoded[0] <= 10 and len(decoded) > 8


def test_a_file_that_breaks_off_in_the_middle_gives_its_error_and_no_text(root, tmp_path, monkeypatch):
    monkeypatch.setattr(pauses, "WINDOW", 0.5)
    monkeypatch.setattr("espnet_ext.data.audio_sound.BLOCK", 4000)
    bad = test_audio_border.flac_that_lies(tmp_path)
    translator = translate.Translator(root / "exp/asr", longest=0.4, batch_size=1)
    bad_result, good = translator.translate([bad, root / "good.wav"])
    assert isinstance(bad_result, translate.InputError) and "of 68719476735 samples" in str(bad_result)
    assert good.transcript


def test_subtitles_beside_the_texts(root, tmp_path, capsys):
    out_dir = tmp_path / "subs"
    again = tmp_path / "good.mp3"
    again.write_bytes((root / "good.wav").read_bytes())
    files = [root / "good.wav", again, tmp_path / "none.wav"]
    code, out, err = run(capsys, "--exp", root / "exp/asr", "--srt", out_dir, "--vtt", out_dir, *files)
    assert code == 1 and len(out) == 2 and len(err) == 2
    assert f"{again}: {out_dir}/good.en.srt holds the subtitles of {root}/good.wav; use two folders" in err[0]
    assert sorted(path.name for path in out_dir.iterdir()) == ["good.en.srt", "good.en.vtt"]
    srt, vtt = ((out_dir / f"good.en.{kind}").read_text() for kind in ("srt", "vtt"))
    assert srt.startswith("1\n00:00:00,000 --> 00:00:") and vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:")
    assert srt.count("-->") == vtt.count("-->") and "00:00:01,200\n" in srt
    code, _, _ = run(capsys, "--exp", root / "exp/mt", "--srt", out_dir, Path("x.txt"))
    assert "has no times" in code
