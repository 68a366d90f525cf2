"""Typing, pipes and recordings: what is shown while a translation grows, and what is left behind."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

from espnet_ext.pack import pack
from espnet_ext.simul.keyboard import Step, steps
from espnet_ext.simul.lateness import Lateness
from espnet_ext.simul.live import LiveTranslator
from tests.support.tiny_exp import make_system
from tests.support.tiny_simultaneous import make_systems
from tests.test_live import Terminal
from tests.test_translate import RATE, sound

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "espnet_ext.simultranslate"]
SOURCE = ["a cat sat on the mat", "the cat", "", "a bat saw a cat"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("simultranslate")
    make_systems(root)
    make_system(root, "asr", decode={"beam": 1, "max_length": 30})
    make_system(root, "pipeline", asr="../asr", mt="../mt", decode={"beam": 1, "max_length": 30})
    soundfile.write(root / "talk.wav", sound(2.0), RATE)
    return root


def translations(live: LiveTranslator) -> list[str]:
    found = []
    for line in SOURCE:
        growing, words = live.begin(), line.split()
        for n in range(1, len(words) + 1):
            growing.read_on(" ".join(words[:n]), last=n == len(words))
        found.append(growing.text)
    return found


@pytest.mark.parametrize(
    ("typed", "spaced", "read"),
    [
        ("a cat\nsat", True, ["a ", "a cat.", "sat."]),
        ("a  cat \n\n", True, ["a ", "a  cat ", "a  cat .", "."]),
        ("a caf\x7ft\n", True, ["a ", "a cat."]),
        ("a \x7f\x7fb\n", True, ["a ", "a b."]),  # what has been read is not taken back
        ("a b\r\n", True, ["a ", "a b\r", "a b\r."]),
        ("猫 坐\n", False, ["猫", "猫 坐", "猫 坐."]),
        ("ab\x04cd\n", True, ["ab."]),
    ],
)
def test_words_are_read_when_they_are_whole(typed: str, spaced: bool, read: list[str]) -> None:
    found = [step for step in steps(typed, spaced) if step.read is not None]
    assert [f"{step.read}{'.' if step.last else ''}" for step in found] == read


def test_every_key_is_shown() -> None:
    assert [step.shown for step in steps("a b\x7fc\n", True)] == ["a", "a ", "a b", "a ", "a c", "a c"]
    assert list(steps("", True)) == [] and list(steps("\n", True)) == [Step("", "", True)]


def test_lag_with_computing_is_that_of_the_times_when_words_were_there() -> None:
    late = Lateness()
    for units, source, elapsed in ((1, 2.0, 2.5), (1, 3.0, 3.0), (3, 4.0, 4.5)):
        late.add(units, source, elapsed)
    pace = 4 / 3
    assert late.average == pytest.approx((2 + (4 - pace)) / 2)
    assert late.average_with_computing == pytest.approx((2.5 + (4.5 - pace)) / 2)


def test_a_pipe_gives_a_line_for_each_line(root: Path) -> None:
    words = [*COMMAND, "--exp", str(root / "exp/mt"), "--rule", "le", "--d", "3"]
    result = subprocess.run(words, input="\n".join(SOURCE).encode(), capture_output=True, cwd=ROOT)
    assert result.returncode == 0 and result.stderr == b""
    assert result.stdout.decode().split("\n")[:-1] == translations(LiveTranslator(root / "exp/le"))


def test_words_leave_before_the_line_ends(root: Path) -> None:
    pack(root / "exp/waitk", root / "waitk.zip")
    words = [*COMMAND, "--exp", str(root / "waitk.zip"), "--k", "1"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin and process.stdout
        process.stdin.write(b"a cat sat on the ")
        process.stdin.flush()
        early = process.stdout.read(2)  # would wait for ever if they did not
        process.stdin.write(b"mat\n")
        process.stdin.close()
        text = (early + process.stdout.read()).decode()
    assert text == translations(LiveTranslator(root / "exp/waitk", options={"k": 1}))[0] + "\n"


class Session:
    """The command on a terminal of its own."""

    def __init__(self, *options: str) -> None:
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(self.master)
        self.process = subprocess.Popen(
            [*COMMAND, *options],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "80"},
        )
        os.close(slave)
        self.seen = ""

    def until(self, wanted: str) -> None:
        while wanted not in self.seen:
            self.seen += os.read(self.master, 4096).decode()

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        code = self.process.wait(60)
        assert termios.tcgetattr(self.master) == self.before
        return code


@pytest.fixture
def session(root: Path) -> Iterator[Session]:
    session = Session("--exp", str(root / "exp/waitk"), "--k", "1")
    yield session
    session.process.kill()
    os.close(session.master)


def test_a_terminal_shows_the_translation_grow(root: Path, session: Session) -> None:
    text = translations(LiveTranslator(root / "exp/waitk", options={"k": 1}))[0]
    first = text.split()[0]
    session.until("Ctrl-D")
    session.type("a cat sat on the ")
    session.until(f"\x1b[1m{first}")  # final, and so bold, before the sentence has ended
    session.type("mat\n")
    session.until(f"\x1b[1m{text}\x1b[22m")
    session.type("\x04")
    assert session.end() == 0
    terminal = Terminal(80)
    terminal.write(session.seen.replace("\x1b[1m", "").replace("\x1b[22m", ""))
    shown = [line.rstrip() for line in terminal.screen if line.strip()]
    assert shown[1:3] == ["en  a cat sat on the mat", f"de  {text}"] and shown[3].startswith("    lag ")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_terminal_is_as_before_whatever_ends_it(session: Session, ending: signal.Signals) -> None:
    session.until("Ctrl-D")
    session.type("a cat ")
    session.until("a cat")
    session.process.send_signal(ending)
    assert session.end() == 128 + ending
    assert "Traceback" not in session.seen


@pytest.mark.parametrize("options", [("--exp", "exp/pipeline"), ("--exp", "exp/le", "--asr", "exp/asr")])
def test_a_recording_is_translated_while_it_plays(root: Path, options: tuple[str, ...]) -> None:
    words = [*COMMAND, *options, "--wav", "talk.wav", "--fast", "--chunk", "0.5"]
    result = subprocess.run(
        words, capture_output=True, text=True, cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("\n") and "with computing" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--exp", "none"], "none: there is no such file"),
        (["--exp", "exp/mt", "--rule", "tn"], "rule tn must be trained"),
        (["--exp", "exp/mt", "--k", "2"], "rule le: unknown option 'k'; choose from d"),
        (["--exp", "exp/mt", "--wav", "talk.wav"], "has no recogniser for --wav; give one with --asr"),
        (["--exp", "exp/mt", "--asr", "exp/asr"], "--asr: it hears recordings; give one with --wav"),
        (["--exp", "exp/mt", "--asr", "exp/le", "--wav", "talk.wav"], "give a recogniser (asr)"),
        (["--exp", "exp/pipeline", "--wav", "none.wav"], "none.wav"),
        (["--exp", "exp/asr"], "asr writes asr; give a translator of text"),
    ],
)
def test_what_cannot_be_is_one_line(root: Path, capfd, monkeypatch, options: list[str], said: str) -> None:
    from espnet_ext import simultranslate

    monkeypatch.chdir(root)
    with pytest.raises(SystemExit) as ended:
        simultranslate.main(options)
    assert said in str(ended.value) and "\n" not in str(ended.value)


def test_input_that_is_no_text(root: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "--exp", str(root / "exp/le")], input=b"\xff\xfe\n", capture_output=True, cwd=ROOT
    )
    assert result.returncode == 1 and result.stderr.startswith(b"error: the input is not UTF-8 text")


def test_torch_is_not_needed_for_help() -> None:
    program = "import sys\ntry:\n import espnet_ext.simultranslate as s\n s.main(['--help'])\nexcept SystemExit: pass\n"
    result = subprocess.run([sys.executable, "-c", program + "assert 'torch' not in sys.modules"], cwd=ROOT)
    assert result.returncode == 0
