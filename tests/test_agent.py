"""Every rule as an agent of SimulEval: the command writes what our loops write, and counts the same delays."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from simuleval import cli as simuleval_cli

from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.pack import pack
from espnet_ext.simul import rules
from espnet_ext.simul.live import LiveTranslator
from espnet_ext.simul.speech import interpret, load_recogniser
from tests.support.tiny_exp import make_system
from tests.support.tiny_simultaneous import make_systems
from tests.test_translate import RATE, sound

ROOT = Path(__file__).parents[1]
AGENT = "espnet_ext.simul.agent.TextAgent"
SPEECH_AGENT = "espnet_ext.simul.agent.SpeechAgent"
SOURCE = ["a cat sat on the mat", "the cat", "a bat saw a cat and the mat on a mat", "saw", "the bat sat and saw"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("agent")
    make_systems(root)
    (root / "source").write_text("".join(f"{line}\n" for line in SOURCE))
    (root / "target").write_text("".join("eine katze sah den hut\n" for _ in SOURCE))
    return root


def by_the_engine(exp: Path) -> list[tuple[str, dict[str, Any]]]:
    """Text and delays of each sentence, all of them in one batch."""
    experiment = load_experiment(exp)
    tokens = [torch.tensor(experiment.src_subwords.encode(line)) for line in SOURCE]
    batch = {
        "src_text": torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=-1),
        "src_text_lengths": torch.tensor([len(row) for row in tokens]),
    }
    with torch.inference_mode():
        found = experiment.model.decode(batch, experiment.model.search_options(experiment.config["decode"]))["mt"]
    return [(experiment.text("mt", nbest[0].tokens), nbest[0].delays["word"]) for nbest in found]


def command(root: Path, out: str, *options: str) -> list[str]:
    files = ["--source", str(root / "source"), "--target", str(root / "target"), "--output", str(root / out)]
    return ["simuleval", "--agent-class", AGENT, *files, "--no-progress-bar", *options]


def instances(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    rows = [json.loads(line) for line in (folder / "instances.log").read_text().splitlines()]
    return [(row["prediction"], {"source": row["source_length"], "read": row["delays"]}) for row in rows]


@pytest.mark.parametrize("name", rules.NAMES)
def test_an_agent_writes_what_the_loops_write_with_the_same_delays(root: Path, monkeypatch, name: str) -> None:
    monkeypatch.setattr(sys, "argv", command(root, f"out_{name}", "--exp", str(root / "exp" / name)))
    simuleval_cli.main()
    expected = by_the_engine(root / "exp" / name)
    assert instances(root / f"out_{name}") == expected
    if name != "greedy":
        assert any(d < delays["source"] for _, delays in expected for d in delays["read"])  # it is no trivial one


def test_the_command_takes_a_translator_a_rule_and_a_pack(root: Path) -> None:
    pack(root / "exp/mt", root / "mt.zip")
    words = command(root, "out", "--exp", str(root / "mt.zip"), "--rule", "le", "--set", "d=3")
    words[0] = str(Path(sys.executable).with_name("simuleval"))
    result = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert result.returncode == 0, result.stderr
    assert instances(root / "out") == by_the_engine(root / "exp/le")
    assert "LAAL" in result.stdout


def test_a_speech_agent_writes_what_is_written_while_a_recording_plays(root: Path, monkeypatch) -> None:
    make_system(root, "asr", decode={"beam": 1, "max_length": 30})
    soundfile.write(root / "talk.wav", sound(1.6), RATE)
    (root / "list").write_text(f"{root / 'talk.wav'}\n")
    (root / "one").write_text("eine katze\n")
    exp = ["--exp", str(root / "exp/waitk"), "--asr", str(root / "exp/asr")]
    files = ["--source", str(root / "list"), "--target", str(root / "one"), "--output", str(root / "out_speech")]
    options = ["--source-segment-size", "250", "--computation-aware", "--no-progress-bar"]
    monkeypatch.setattr(sys, "argv", ["simuleval", "--agent-class", SPEECH_AGENT, *exp, *files, *options])
    simuleval_cli.main()
    row = json.loads((root / "out_speech/instances.log").read_text())
    live = LiveTranslator(root / "exp/waitk")
    live.recogniser = load_recogniser(root / "exp/asr", "en")
    samples = soundfile.read(root / "talk.wav", dtype="float32")[0]
    last = list(interpret(live, samples, RATE // 4, real_time=False))[-1]
    assert row["prediction"] == last.growing.text != ""
    assert row["delays"] == pytest.approx([1000 * seconds for seconds in last.lateness.read])
    assert all(there > heard for there, heard in zip(row["elapsed"], row["delays"], strict=True))


def test_a_learned_rule_takes_another_threshold_and_keeps_its_network(root: Path) -> None:
    hasty, own, slow = (
        LiveTranslator(root / "exp/sl", options={"rho": rho} if rho else None) for rho in (0.999, None, 1e-30)
    )
    assert (
        all(torch.equal(a, b) for a, b in zip(hasty.rule.parameters(), own.rule.parameters(), strict=True))
        and hasty.rule.threshold == 0.999
    )

    def seen(live: LiveTranslator) -> list[int]:
        growing, words = live.begin(), SOURCE[2].split()
        for n in range(1, len(words) + 1):
            growing.read_on(" ".join(words[:n]), last=n == len(words))
        return growing.loops.rows[0].seen

    assert seen(hasty)[0] < seen(slow)[0] == len(slow.read.encode(SOURCE[2]))


@pytest.mark.parametrize(
    ("exp", "given", "said"),
    [
        ("mt", {"rule": "tn"}, "rule tn must be trained"),
        ("mt", {"options": {"k": 2}}, "rule le: unknown option 'k'; choose from d"),
        ("le", {"rule": "sl"}, "rule sl must be trained"),
        ("asr", {}, "asr writes asr; give a translator of text"),
    ],
)
def test_what_cannot_be_is_said(root: Path, exp: str, given: dict[str, Any], said: str) -> None:
    if exp == "asr":
        make_system(root, "asr")
    with pytest.raises(ValueError, match=said):
        LiveTranslator(root / "exp" / exp, **given)
