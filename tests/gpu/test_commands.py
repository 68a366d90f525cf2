"""The commands with `--device`: their texts are those of the CPU."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext import decode
from espnet_ext.pack import pack
from espnet_ext.simul.live import LiveTranslator
from espnet_ext.translate import Translator
from tests.support.tiny_exp import make_dump, make_system
from tests.test_translate import RATE, sound

SEARCH = {"min_ratio": 0.2, "max_length": 12}
OWN_DECODERS = {"shared_decoder": False}  # the set has no vocabulary for both languages
CONF = {"interactive": OWN_DECODERS, "multitask": OWN_DECODERS, "two_stage": {"joint_embeddings": False}}
SYSTEMS = ("asr", "e2e", "mt", "interactive", "multitask", "two_stage", "mutual", "tight")
SEARCHES = {
    "greedy": ["--beam", "1"],
    "beam": ["--beam", "4", "--nbest", "3", "--length_norm", "1.0"],
    "ctc": ["--beam", "4", "--ctc_weight", "0.3"],
    "sum": ["--beam", "3", "--pairing", "sum"],
}
CASES = [(system, search) for system in (*SYSTEMS, "pipeline") for search in ("greedy", "beam")]
CASES += [("asr", "ctc"), ("interactive", "sum")]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dump/test, untrained systems, and a recording with a pause."""
    folder = tmp_path_factory.mktemp("commands")
    make_dump(folder)
    for name in SYSTEMS:
        make_system(folder, name, decode=SEARCH, model_conf=CONF.get(name, {}))
    make_system(folder, "pipeline", asr="../asr", mt="../mt", decode=SEARCH)
    silence = np.zeros(8000, dtype=np.float32)
    soundfile.write(folder / "talk.wav", np.concatenate([sound(1.5), silence, sound(1.5, seed=1)]), RATE)
    (folder / "lines.txt").write_text("a cat sat\non the mat\n")
    return folder


def decoded(root: Path, system: str, out: Path, *options: str) -> dict[str, list]:
    """The tokens of all hypotheses in each n-best list, by stream and utterance."""
    decode.main([str(root / "exp" / system), str(root / "dump/test"), "--out", str(out), *options])
    found = {}
    for path in sorted(out.glob("nbest.*.jsonl")):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[path.name] = [(line["id"], [h["tokens"] for h in line["nbest"]]) for line in lines]
    return found


@pytest.mark.parametrize(("system", "search"), CASES)
def test_decoding(root: Path, system: str, search: str, device: str, tmp_path: Path) -> None:
    wanted = decoded(root, system, tmp_path / "cpu", *SEARCHES[search])
    assert wanted
    assert decoded(root, system, tmp_path / "there", *SEARCHES[search], "--device", device) == wanted


@pytest.mark.parametrize("system", ["e2e", "interactive", "tight"])
def test_decoding_in_bf16(root: Path, system: str, device: str, tmp_path: Path) -> None:
    """Of untrained systems bf16 makes other texts; here they come, and as many."""
    exact = decoded(root, system, tmp_path / "fp32", "--device", device)
    coarse = decoded(root, system, tmp_path / "bf16", "--device", device, "--dtype", "bf16")
    assert {name: len(lines) for name, lines in coarse.items()} == {name: len(lines) for name, lines in exact.items()}


def test_two_processes_share_the_device(root: Path, device: str, tmp_path: Path) -> None:
    one = decoded(root, "asr", tmp_path / "one", "--device", device)
    assert decoded(root, "asr", tmp_path / "two", "--device", device, "--nj", "2") == one


@pytest.mark.parametrize(("system", "file"), [("e2e", "talk.wav"), ("pipeline", "talk.wav"), ("mt", "lines.txt")])
def test_a_pack_translates(root: Path, system: str, file: str, device: str, tmp_path: Path) -> None:
    """A recording goes in as samples; features, search and text are those of the command."""
    pack(root / "exp" / system, tmp_path / "packed.zip")
    here, there = (Translator(tmp_path / "packed.zip", longest=2.5, device=place) for place in ("cpu", device))
    wanted = here(root / file).texts
    assert any(wanted.values())
    assert there(root / file).texts == wanted
    assert there.live(root / file, lambda piece: None).texts == wanted


def test_a_recording_is_translated_while_it_is_heard(root: Path, device: str) -> None:
    samples, _ = soundfile.read(root / "talk.wav", dtype="float32")
    found = []
    for place in ("cpu", device):
        live = LiveTranslator(root / "exp/pipeline", "le", {"d": 1}, device=place)
        growing, texts = live.begin(), []
        for start in range(0, len(samples), RATE):
            last = start + RATE >= len(samples)
            growing.read_on(live.recogniser.hear(samples[start : start + RATE], last=last), last=last)
            texts.append(growing.text)
        found.append(texts)
    assert found[0] == found[1]
