"""A recogniser that streams: what it settles is what the whole recording gives, and nothing is taken back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from espnet_ext.data.fbank import compute
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.search.ctc import best_path
from espnet_ext.search.options import SearchOptions
from espnet_ext.simul.hearing import RATE, Recogniser
from espnet_ext.simul.live import LiveTranslator
from espnet_ext.simul.speech import interpret
from tests.support.tiny_exp import make_dump, make_system
from tests.test_translate import sound

BLOCKS = {"block_size": 8, "hop_size": 3, "look_ahead": 3}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hearing")
    make_dump(root)
    for name in ("asr", "mt"):
        make_system(root, name, decode={"beam": 1, "max_length": 30})
    make_system(root, "pipeline", asr="../asr", mt="../mt", decode={"beam": 1, "max_length": 30})
    return root


def streaming(root: Path, kind: str, input_layer: str, **blocks: int) -> tuple[Any, Any]:
    """An untrained recogniser with an encoder of blocks, and its sub-words."""
    from argparse import Namespace

    from espnet_ext.espnet.task import STTask

    experiment = load_experiment(root / "exp/asr")
    conf = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2, "output_size": 16, "input_layer": input_layer}
    torch.manual_seed(3)
    config = {**experiment.config, "encoder": kind, "encoder_conf": {**conf, **BLOCKS, **blocks}}
    model = STTask.build_model(Namespace(**config)).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(3.0)
    torch.nn.init.normal_(model.ctc.ctc_lo.weight)
    return model, experiment.src_subwords


@pytest.mark.parametrize("kind", ["contextual_block_transformer", "contextual_block_conformer"])
@pytest.mark.parametrize("input_layer", ["conv2d", "conv1d"])
@pytest.mark.parametrize("seconds", [0.2, 0.41, 1.7])
@pytest.mark.parametrize("chunk", [0.05, 0.3])
def test_blocks_settle_what_the_whole_recording_gives(root, kind, input_layer, seconds, chunk) -> None:
    system, subwords = streaming(root, kind, input_layer)
    samples = sound(seconds)
    recogniser = Recogniser(system, subwords, SearchOptions())
    assert recogniser.is_streaming
    settled = []
    size = round(chunk * RATE)
    for first in range(0, len(samples), size):
        recogniser.hear(samples[first : first + size], last=first + size >= len(samples))
        settled.append(list(recogniser.tokens))
    x_1TF = torch.from_numpy(compute(samples, RATE))[None]
    with torch.inference_mode():
        memory = system.encode(x_1TF, torch.tensor([x_1TF.size(1)]))
        whole = best_path(system.ctc.ctc_lo(memory[0]), memory[1])[0][0].tokens
    assert settled[-1] == whole
    assert all(whole[: len(tokens)] == tokens for tokens in settled)
    if seconds > 1:
        assert len(whole) > 3 and any(0 < len(tokens) < len(whole) for tokens in settled)


def test_others_settle_what_two_transcripts_agree_on(root: Path, monkeypatch) -> None:
    experiment = load_experiment(root / "exp/asr")
    recogniser = Recogniser(experiment.model, experiment.src_subwords, SearchOptions(beam=1))
    assert not recogniser.is_streaming
    said = iter([[5, 6, 7], [5, 6, 8, 9], [5, 7, 8], [5, 6, 8, 9, 9], [4, 6, 8, 9, 6]])

    class Found:
        def __init__(self) -> None:
            self.tokens = next(said)

    monkeypatch.setattr("espnet_ext.simul.hearing.decode_batch", lambda *_: {"asr": [[Found()]]})
    settled = []
    for number in range(5):
        recogniser.hear(np.zeros(1600, np.float32), last=number == 4)
        settled.append(recogniser.tokens)
    assert settled == [[], [5, 6], [5, 6], [5, 6], [5, 6, 8, 9, 6]]  # the last keeps what was given out


def test_time_passes_as_chunks_are_said_and_worked_on(root: Path) -> None:
    live = LiveTranslator(root / "exp/pipeline", "waitk", {"k": 1})
    moments = list(interpret(live, sound(1.6), RATE // 4, real_time=False))
    assert len(moments) == 7
    late, units = moments[-1].lateness, moments[-1].growing.units
    assert len(late.read) == len(units) > 0
    assert late.source == pytest.approx(1.6) and max(late.read) <= late.source
    assert all(there > heard for there, heard in zip(late.elapsed, late.read, strict=True))
    assert moments[-1].transcript == live.recogniser.hear(np.zeros(0, np.float32), last=True)
