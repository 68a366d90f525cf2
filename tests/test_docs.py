"""What the documents tell to type works: their code runs, their commands and options exist."""

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from espnet_ext import models
from espnet_ext.data.check import check
from espnet_ext.data.write_datadir import Utterance
from tests.test_models import batch_of, build, read

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("egs/*/README.md")]


def code_of(name: str) -> dict[str, Any]:
    """The names that the first Python block of a document defines."""
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL)
    assert block
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block[1], name, "exec"), names)
    return names


def test_the_model_of_the_docs_trains_and_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = code_of("adding_a_model.md")["Model"]
    monkeypatch.setattr(models, "find", lambda name: example)
    model = build("e2e", tmp_path)
    assert type(model) is example
    loss = model.train()(**read(model, model.data_names, batch_of()))[0]
    loss.backward()
    assert torch.isfinite(loss)
    options = {"st": model.search_options({})["st"].replace(beam=2, max_length=5)}
    with torch.no_grad():
        found = model.eval().decode(read(model, model.inputs, batch_of()), options)
    assert len(found["st"]) == 3


def test_the_corpus_script_of_the_docs_makes_data_that_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = tmp_path / "a.wav"
    soundfile.write(audio, np.random.default_rng(1).normal(0, 0.1, 16000), 16000)
    names = code_of("adding_a_corpus.md")
    names["read"] = lambda folder, lang: [Utterance(f"{folder.name}-1", "spk", {"en": "a b", lang: "a b"}, audio)]
    arguments = [str(tmp_path / "data"), "--corpus", str(tmp_path), "--tgt_lang", "de"]
    monkeypatch.setattr(sys, "argv", ["data.py", *arguments])
    names["main"]()
    for name in ("train", "dev", "test"):
        assert check(tmp_path / "data" / name) == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_options_of_the_docs_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for module in re.findall(r"python3? -m ((?:espnet_ext|tests)[\w.]*\w)", text):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
    table = (ROOT / "utils" / "st.sh").read_text()
    known = set(re.findall(r"^(\w+)=.* # ", table, re.MULTILINE)) | {"help"}
    for line in re.findall(r"\./run\.sh (.*)", text):
        assert set(re.findall(r"--(\w+)", re.sub(r'"[^"]*"', "", line))) <= known, line
    for target in re.findall(r"`make (\w+)`|^    make (\w+)", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
