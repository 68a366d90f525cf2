"""Translating files: formats, lists, pauses, what cannot be read, packed systems, text systems, pipelines."""

import itertools
import json

import numpy as np
import pytest
import soundfile
import soxr

from espnet_ext import translate
from espnet_ext.data import fbank
from espnet_ext.data.dataset import collate
from espnet_ext.data.pauses import cut
from espnet_ext.pack import pack
from espnet_ext.search.decode_batch import decode_batch
from tests.support.tiny_exp import make_dump, make_system

RATE = 16000
DECODE = {"beam": 2, "max_length": 12}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Untrained systems: e2e, asr, mt and their pipeline."""
    root = tmp_path_factory.mktemp("translate")
    make_dump(root)
    for name in ("e2e", "asr", "mt"):
        make_system(root, name, decode=DECODE)
    make_system(root, "pipeline", asr="../asr", mt="../mt", decode=DECODE)
    return root


def sound(seconds, rate=RATE, seed=0):
    """Noise that changes its pitch and loudness, so that pieces of it differ."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * (300 + 200 * np.sin(3 * t)) * t) * (1.2 + np.sin(11 * t))
    return (0.1 * tone + 0.01 * random.standard_normal(len(t))).astype(np.float32)


@pytest.fixture(scope="module")
def files(root):
    """One recording in three formats, and in others of another rate and two channels; three files that are bad."""
    folder = root / "audio"
    folder.mkdir()
    samples = sound(1.2)
    soundfile.write(folder / "a.wav", samples, RATE)
    soundfile.write(folder / "b.flac", samples, RATE)
    soundfile.write(folder / "c.ogg", samples, RATE)
    soundfile.write(folder / "d.mp3", np.stack([samples, samples], 1), RATE)
    soundfile.write(folder / "e.wav", soxr.resample(samples, RATE, 44100)[:, None].repeat(2, 1), 44100)
    (folder / "empty.wav").write_bytes(b"")
    (folder / "broken.flac").write_bytes((folder / "b.flac").read_bytes()[:50] + b"garbage")
    soundfile.write(folder / "short.wav", samples[:100], RATE)
    return folder


@pytest.fixture(scope="module")
def translator(root):
    return translate.Translator(root / "exp" / "asr", batch_size=2)


def run(capsys, *arguments):
    """Exit code, lines of stdout, lines of stderr."""
    code = 0
    try:
        translate.main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
    out, err = capsys.readouterr()
    return code, out.splitlines(), [line for line in err.splitlines() if "Warning" not in line]


def test_three_lines_of_python(root, files):
    from espnet_ext.translate import Translator

    result = Translator(root / "exp" / "pipeline")(files / "a.wav")
    assert result.transcript and result.translation is not None
    assert result.languages == {"asr": "en", "st": "de"}


def test_what_it_writes_is_what_the_model_decodes(root, files, translator):
    model, experiment = translator.model, translator.experiment
    samples, _ = soundfile.read(files / "a.wav", dtype="float32")
    _, batch = collate([("a", {"speech": fbank.compute(samples)})])
    found = decode_batch(model, batch, translator.options, "cpu")["asr"][0][0]
    assert found.tokens
    assert translator(files / "a.wav").transcript == " ".join(experiment.src_subwords.decode(found.tokens).split())


def test_a_system_that_reads_waveforms_gets_them(root, files, translator, monkeypatch):
    """As ESPnet's recipes with feats_type raw have it."""
    seen = []
    monkeypatch.setattr(translator, "reads_waveform", True)
    monkeypatch.setattr(translator, "_decode", lambda inputs: seen.extend(inputs) or [{"asr": "x"}] * len(inputs))
    assert translator(files / "a.wav").transcript == "x"
    assert seen[0].shape == (19200,) and seen[0].dtype == np.float32


def test_formats_rates_and_channels_agree(translator, files):
    """Lossless formats give the same text; the others are read whole."""
    assert translator(files / "a.wav").transcript == translator(files / "b.flac").transcript
    for name in ("c.ogg", "d.mp3", "e.wav"):
        result = translator(files / name)
        assert result.transcript and result.pieces[0].end == pytest.approx(1.2, abs=0.15)


def test_bad_files_give_one_line_each_and_the_others_go_on(capsys, root, files):
    bad = [files / "empty.wav", root / "nowhere.wav", files / "broken.flac", files / "short.wav"]
    good = [files / "a.wav", files / "b.flac"]
    code, out, err = run(capsys, "--exp", root / "exp" / "asr", bad[0], good[0], *bad[1:], good[1])
    assert code == 1
    assert [line.split("\t")[:2] for line in out] == [[str(path), "en"] for path in good]
    assert len(err) == 4
    for line, path, found in zip(err, bad, ["file is empty", "no such file", "", "0.006 s of sound"], strict=True):
        assert line.startswith(f"error: {path}: ") and found in line


def test_json_has_streams_languages_and_times(capsys, root, files):
    code, out, _ = run(capsys, "--exp", root / "exp" / "pipeline", "--json", files / "a.wav", files / "b.flac")
    values = [json.loads(line) for line in out]
    assert code == 0 and [value["file"] for value in values] == [str(files / "a.wav"), str(files / "b.flac")]
    assert values[0]["languages"] == {"asr": "en", "st": "de"}
    assert values[0]["pieces"][0]["asr"] == values[0]["asr"]
    assert (values[0]["pieces"][0]["start"], values[0]["pieces"][0]["end"]) == (0.0, 1.2)


def test_folders_and_lists(root, files, tmp_path):
    (tmp_path / "list").write_text(f"{files}/a.wav\n\n{files}/b.flac\n")
    (tmp_path / "wav.scp").write_text(f"utt1 {files}/c.ogg\n")
    names = list(translate.expand([f"@{tmp_path}/list", str(tmp_path / "wav.scp"), str(files / "d.mp3")]))
    assert names == [str(files / name) for name in ("a.wav", "b.flac", "c.ogg", "d.mp3")]
    assert len(list(translate.expand([str(files)]))) == 8
    (tmp_path / "none").mkdir()
    for name in (str(tmp_path / "none"), "@no-list", "no.scp"):
        (error,) = translate.expand([name])
        assert isinstance(error, translate.InputError) and name.removeprefix("@") in str(error)


def test_results_do_not_depend_on_batches(root, files):
    texts = []
    for batch_size in (1, 3, 16):
        translator = translate.Translator(root / "exp" / "asr", batch_size=batch_size)
        results = translator.translate([files / name for name in ("a.wav", "e.wav", "c.ogg", "d.mp3")])
        texts.append([result.transcript for result in results])
    assert texts[0] == texts[1] == texts[2]


def test_long_recordings_are_cut_at_their_pauses(root, tmp_path):
    """Three utterances with silence between: the same text as the three alone."""
    parts = [sound(1.5, seed=i) for i in range(3)]
    silence = 0.0005 * np.random.default_rng(9).standard_normal(8000).astype(np.float32)
    whole = np.concatenate([parts[0], silence, parts[1], silence, parts[2]])
    soundfile.write(tmp_path / "long.wav", whole, RATE, subtype="FLOAT")
    translator = translate.Translator(root / "exp" / "asr", longest=2.5, batch_size=2)
    result = translator(tmp_path / "long.wav")
    assert [(piece.start, piece.end) for piece in result.pieces] == [
        (0.0, pytest.approx(1.75, abs=0.06)),
        (pytest.approx(1.75, abs=0.06), pytest.approx(3.75, abs=0.06)),
        (pytest.approx(3.75, abs=0.06), 5.5),
    ]
    assert result.transcript == " ".join(piece.texts["asr"] for piece in result.pieces if piece.texts["asr"])


@pytest.mark.parametrize("kind", ["silence", "noise", "tone"])
def test_pieces_are_short_enough_and_leave_nothing_out(kind):
    random = np.random.default_rng(0)
    samples = {"silence": np.zeros(160123), "noise": random.standard_normal(160123), "tone": sound(10.01)}[kind]
    pieces = cut(samples, RATE, longest=3.0)
    assert pieces[0][0] == 0.0 and pieces[-1][1] == len(samples) / RATE
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(pieces))
    assert all(0 < end - start <= 3.01 for start, end in pieces)


def test_text_without_spaces_is_joined_without():
    pieces = [
        translate.Piece(0, 1, {"st": "你好"}),
        translate.Piece(1, 2, {"st": ""}),
        translate.Piece(2, 3, {"st": "吗"}),
    ]
    assert translate.Translation("f", pieces, {"st": "zh"}).translation == "你好吗"
    assert translate.Translation("f", pieces, {"st": "de"}).translation == "你好 吗"


def test_a_text_system_translates_lines(capsys, root, tmp_path):
    (tmp_path / "in.txt").write_text("a cat sat\n\non the mat\n")
    code, out, _ = run(capsys, "--exp", root / "exp" / "mt", tmp_path / "in.txt")
    assert code == 0 and [line.split("\t")[:2] for line in out] == [[str(tmp_path / "in.txt"), "de"]] * 3
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.txt").write_text("\n")
    code, _, err = run(capsys, "--exp", root / "exp" / "mt", tmp_path / "bad.txt", tmp_path / "empty.txt")
    assert code == 1 and "not UTF-8" in err[0] and "no text" in err[1]


@pytest.mark.parametrize("name", ["e2e", "pipeline"])
def test_a_packed_system_translates_the_same(root, files, tmp_path, name):
    pack(root / "exp" / name, tmp_path / "system.zip")
    packed = translate.Translator(tmp_path / "system.zip")
    assert packed(files / "a.wav").texts == translate.Translator(root / "exp" / name)(files / "a.wav").texts


def test_beam_and_missing_systems(capsys, root, files, tmp_path):
    assert translate.Translator(root / "exp" / "asr", beam=7).options["asr"].beam == 7
    code, _, _ = run(capsys, "--exp", tmp_path / "none", files / "a.wav")
    assert "none" in code and code.startswith("error: ")
    code, _, _ = run(capsys, "--exp", root / "exp" / "asr", "--batch_size", 0, files / "a.wav")
    assert "batch_size 0" in code
