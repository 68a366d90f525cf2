"""Inputs too long for memory: speech is decoded in parts that are cut at its pauses, text is refused by its id."""

import numpy as np
import pytest
import torch

from espnet_ext import decode
from espnet_ext.infra.streams import STREAMS
from espnet_ext.search import long_inputs
from espnet_ext.search.decode_batch import decode_batch
from espnet_ext.search.options import Hypothesis
from tests.support.tiny_exp import make_dump, make_system


class Recorder:
    """A model that writes how many frames it was given."""

    inputs, reads_waveforms = ("speech",), False

    def __init__(self):
        self.seen = []

    def stream(self, name):
        return STREAMS[name]

    def decode(self, batch, options):
        lengths = batch["speech_lengths"].tolist()
        self.seen.append(lengths)
        return {stream: [[Hypothesis([n], -1.0), Hypothesis([0], -2.0)] for n in lengths] for stream in options}


def features(seconds, pauses):
    """Loud log-mel frames, but for half a second around each of the pauses."""
    feats = np.full((100 * seconds, 80), 10.0, np.float32)
    for place in pauses:
        feats[100 * place - 25 : 100 * place + 25] = 0.0
    return torch.from_numpy(feats)


def batch_of(*rows):
    lengths = torch.tensor([len(row) for row in rows])
    return {"speech": torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), "speech_lengths": lengths}


def test_long_speech_is_decoded_in_parts_cut_at_its_pauses():
    model = Recorder()
    batch = batch_of(features(300, [100, 200]), features(90, []))
    found = decode_batch(model, batch, {"asr": None, "st": None}, "cpu")
    assert model.seen == [[10000], [10000], [10000], [9000]]
    for stream in ("asr", "st"):
        assert [[h.tokens for h in nbest] for nbest in found[stream]] == [[[10000, 10000, 10000]], [[9000]]]
    assert found["st"][0][0].score == -3.0


def test_waveforms_are_cut_too():
    model = Recorder()
    model.reads_waveforms = True
    wave = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 16000 * 200).astype(np.float32))
    wave[16000 * 99 : 16000 * 101] = 0
    decode_batch(model, batch_of(wave), {"asr": None}, "cpu")
    assert [n for (n,) in model.seen] == pytest.approx([1_600_000, 1_600_000], abs=16000)


def test_nothing_changes_below_the_limit():
    model = Recorder()
    decode_batch(model, batch_of(features(120, [60]), features(60, [])), {"st": None}, "cpu")
    assert model.seen == [[12000, 6000]]


def test_the_set_says_what_is_cut_and_refuses_what_cannot_be():
    keys = [f"u{i}" for i in range(8)]
    lengths = np.array([100] + [12001] * 7)
    assert long_inputs.say_or_refuse("speech", keys, lengths, 100) == (
        "7 utterances are longer than 120 s and cut at their pauses: u1 u2 u3 u4 u5 ..."
    )
    assert long_inputs.say_or_refuse("speech", keys, lengths, 16000) is None
    with pytest.raises(ValueError, match="2 texts have over 1000 tokens; write one sentence per line in u1 u2"):
        long_inputs.say_or_refuse("src_text", keys[:3], np.array([1000, 1001, 5000]), 100)


def test_the_command_says_so(tmp_path, monkeypatch, capsys):
    dump = make_dump(tmp_path)
    exp = make_system(tmp_path, "asr", decode={"beam": 1, "max_length": 5})
    monkeypatch.setattr(long_inputs, "MOST_SECONDS", 1)
    decode.main([str(exp), str(dump)])
    assert "1 utterances are longer than 1 s and cut at their pauses: utt7" in capsys.readouterr().err
    assert len((exp / "test" / "hyp.asr").read_text().splitlines()) == 10
    mt = make_system(tmp_path, "mt", decode={"beam": 1, "max_length": 5})
    monkeypatch.setattr(long_inputs, "MOST_TOKENS", 8)
    with pytest.raises(SystemExit, match="decode: 2 texts have over 8 tokens"):
        decode.main([str(mt), str(dump)])


def test_parts_of_features_are_those_of_their_pauses():
    assert long_inputs.parts(features(200, [70, 130]).numpy(), 100) == [(0, 7000), (7000, 13000), (13000, 20000)]
