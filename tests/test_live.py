"""Texts that grow: the search tells what it has, the translator what that means, the terminal shows it in place."""

import io
import re
import signal
import subprocess
import sys
import unicodedata
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext import translate
from espnet_ext.reporting.live import Display, rows
from espnet_ext.search.beam import search
from espnet_ext.search.options import SearchOptions, WatchedOptions, watcher
from tests.support.tiny_exp import make_dump, make_system
from tests.test_runner import ROOT
from tests.test_search import END, ToyScorer
from tests.test_translate import DECODE, run, sound

RATE = 16000
SYSTEMS = ("asr", "e2e", "mt", "multitask", "pipeline", "interactive", "mutual")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("live")
    make_dump(root)
    for name in SYSTEMS:
        conf = {"model_conf": {"shared_decoder": False}} if name in ("multitask", "interactive") else {}
        parts = {"asr": "../asr", "mt": "../mt"} if name == "pipeline" else {}
        make_system(root, name, decode={**DECODE, "min_ratio": 0.2}, **conf, **parts)
    silence = np.zeros(8000, dtype=np.float32)
    soundfile.write(root / "long.wav", np.concatenate([sound(1.5), silence, sound(1.5, seed=1)]), RATE)
    (root / "lines.txt").write_text("a cat sat\non the mat\n")
    return root


@pytest.mark.parametrize("options", [{}, {"beam": 1}, {"beam": 3, "length_norm": 1.0}, {"beam": 3, "nbest": 2}])
def test_search_tells_what_it_has_and_finds_the_same(options):
    seeds, lengths = [1, 2, 3, 4, 5, 6], torch.tensor([4, 7, 5, 6, 3, 7])
    options, told = SearchOptions(**options), []
    watched = options.watched(told.append)
    found = search(ToyScorer(seeds), lengths, [END], END, watched)
    assert found == search(ToyScorer(seeds), lengths, [END], END, options)
    assert told[-1] == [nbest[0].tokens for nbest in found]
    for step, partial in enumerate(told, 1):
        assert len(partial) == len(seeds) and max(map(len, partial)) <= step
    assert len(told) > 2 and any(partial != told[-1] for partial in told)


def test_watched_options_stay_watched_and_are_no_others():
    told = []
    options = SearchOptions(beam=3, ctc_weight=0.2).watched(told.append).replace(nbest=2)
    assert isinstance(options, WatchedOptions) and (options.beam, options.nbest, options.ctc_weight) == (3, 2, 0.2)
    watcher([SearchOptions(), options])([[[1]], [[2]]])
    assert told == [[[2]]]
    assert watcher([SearchOptions(), SearchOptions()]) is None


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_shows_its_streams_as_they_grow(root, name):
    translator = translate.Translator(root / "exp" / name, longest=2.5)
    file, seen = root / ("lines.txt" if name == "mt" else "long.wav"), []
    result = translator.live(file, lambda piece: seen.append((piece, dict(piece.texts))))
    assert result.texts == translator(file).texts
    pieces = [piece for i, (piece, _) in enumerate(seen) if not i or piece is not seen[i - 1][0]]
    assert len(pieces) == 2 and all(a is b for a, b in zip(pieces, result.pieces, strict=True))
    for piece in pieces:
        steps = [texts for shown, texts in seen if shown is piece]
        assert steps[-1] == piece.texts
        for stream, text in piece.texts.items():
            lengths = [len(texts[stream]) for texts in steps]
            assert len(text) < 3 or len({n for n in lengths if 0 < n <= len(text)}) > 2, (name, stream)


def test_streams_of_interactive_grow_together(root):
    translator = translate.Translator(root / "exp/interactive", longest=2.5)
    seen = []
    translator.live(root / "long.wav", lambda piece: seen.append(dict(piece.texts)))
    unfinished = [texts for texts in seen if texts["asr"] and texts["st"] and texts not in (seen[-1],)]
    assert len({texts["asr"] for texts in unfinished}) > 3 and len({texts["st"] for texts in unfinished}) > 3


@dataclass
class Piece:
    texts: dict[str, str]


class Terminal(io.StringIO):
    """So much of a terminal as the display needs: a screen that wraps and a cursor that goes up."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns, self.screen, self.row, self.place = columns, [""], 0, 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for up, clear, char in re.findall(r"\x1b\[(\d+)A|(\x1b\[J)|([^\x1b])", text, re.DOTALL):
            if up:
                self.row -= int(up)
            elif clear:
                assert self.place == 0
                self.screen[self.row :] = [""]
            elif char == "\r":
                self.place = 0
            elif char == "\n":
                self.row += 1
                self.screen += [""] * (self.row + 1 - len(self.screen))
            else:
                self.put(char)
        return len(text)

    def put(self, char: str) -> None:
        width = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if self.place + width > self.columns:
            self.row, self.place = self.row + 1, 0
            self.screen.insert(self.row, "")
        self.screen[self.row] += char
        self.place += width


@pytest.mark.parametrize("columns", [7, 12, 80])
def test_a_terminal_shows_the_last_state_of_each_piece_and_nothing_else(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal(columns)
    with Display(terminal, "f.wav", {"asr": "en", "st": "zh"}) as display:
        for number in range(2):
            piece = Piece({"asr": "", "st": ""})
            for english, chinese in (
                ("a", ""),
                ("a cat sat on the mat", "一只猫"),
                ("a bat sat", "一只猫坐在垫子上面"),
                ("a cat", "猫"),
            ):
                piece.texts = {"asr": f"{english} {number}", "st": chinese}
                display.show(piece)
                display.show(piece)
    assert "".join(terminal.screen) == "f.wav" + "".join(f"en  a cat {n}zh  猫" for n in range(2))
    assert terminal.place == 0 and not terminal.screen[-1]


@pytest.mark.parametrize(
    "line, columns, count",
    [("", 5, 1), ("abcde", 5, 1), ("abcdef", 5, 2), ("猫猫", 5, 1), ("猫猫猫", 5, 2), ("é" * 5, 5, 1)],
)
def test_rows_of_a_line(line, columns, count):
    assert rows(unicodedata.normalize("NFD", line), columns) == count


def test_elsewhere_each_change_is_a_line():
    out = io.StringIO()
    with Display(out, "f.wav", {"asr": "en", "st": "de"}) as display:
        piece = Piece({"asr": "", "st": ""})
        for texts in ({"asr": "a", "st": ""}, {"asr": "a b", "st": "x"}, {"asr": "a b", "st": "x\x1b[2Jy"}):
            piece.texts = texts
            display.show(piece)
            display.show(piece)
    assert out.getvalue() == "f.wav\ten\ta\nf.wav\ten\ta b\nf.wav\tde\tx\nf.wav\tde\tx [2Jy\n"


def test_command_ends_with_the_texts_and_goes_on_after_bad_files(root, capsys):
    code, out, err = run(capsys, "--exp", root / "exp/pipeline", "--live", root / "none.wav", root / "long.wav")
    assert code == 1 and len(err) == 1 and "none.wav" in err[0]
    last = {}
    for line in out:
        file, language, text = line.split("\t")
        assert file == str(root / "long.wav")
        last[language] = text
    translator = translate.Translator(root / "exp/pipeline")
    assert last == {translator.languages[s]: text for s, text in translator(root / "long.wav").texts.items()}
    assert len(out) > 10
    code, _, err = run(capsys, "--exp", root / "exp/pipeline", "--live", "--json", root / "long.wav")
    assert code == 2 and "not allowed with argument" in err[-1]


def test_a_reader_that_has_enough_ends_it_quietly(root):
    command = [sys.executable, "-m", "espnet_ext.translate", "--exp", root / "exp/e2e", "--live", root / "long.wav"]
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    program.stdout.close()
    _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGPIPE and "Traceback" not in errors
