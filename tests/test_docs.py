"""What the documents tell to type works: their code runs, their commands and options exist."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_ext import models
from tests.support.recipe_copy import table, write_wav
from tests.test_models import batch_of, build, read

ROOT = Path(__file__).parent.parent
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md"), *ROOT.glob("egs/*/README.md")]


def block_of(name: str, kind: str) -> str:
    """The first block of a document in this language."""
    block = re.search(rf"```{kind}\n(.*?)```", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.DOTALL)
    assert block, f"{name}: no {kind} block"
    return block[1]


def test_the_model_of_the_docs_trains_and_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block_of("adding_a_model.md", "python"), "adding_a_model.md", "exec"), names)
    example = names["Model"]
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


def test_the_model_of_the_docs_is_found_by_its_name(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "espnet_ext", tmp_path / "espnet_ext", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "espnet_ext/models/my_e2e.py").write_text(block_of("adding_a_model.md", "python"), encoding="utf-8")
    program = "from espnet_ext import models; print(models.find('my_e2e').inputs, 'my_e2e' in models.NAMES)"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "('speech',) True\n", done.stderr


def test_the_corpus_of_the_docs_is_added_by_copying(tmp_path: Path) -> None:
    """The script and the run.sh of the page, pasted as they are, on a corpus of the layout that they describe."""
    recipe, corpus = tmp_path / "egs" / "my_corpus", tmp_path / "corpus"
    for name, text in (("local/data.py", "python"), ("run.sh", "bash")):
        (recipe / name).parent.mkdir(parents=True, exist_ok=True)
        (recipe / name).write_text(block_of("adding_a_corpus.md", text), encoding="utf-8")
        (recipe / name).chmod(0o755)
    shutil.copytree(ROOT / "egs" / "mini" / "conf", recipe / "conf")
    for name in ("utils", "espnet_ext"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("train", "dev", "test"):
        keys = [f"ann_{name}{number}" for number in range(3)]
        for key in keys:
            write_wav(corpus / name / "wav" / f"{key}.wav", 0.5)
        for lang in ("en", "de"):
            lines = [f"{key} {lang} sentence {key}\n" for key in keys]
            (corpus / name / f"text.{lang}").write_text("".join(lines), encoding="utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(recipe / "run.sh"), "--corpus", "../../corpus", "--stop_stage", "2"]
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert table(recipe / "data" / "train" / "utt2spk") == {f"ann_train{number}": "ann" for number in range(3)}


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
    for target in re.findall(r"`make ([\w-]+)`|^    make ([\w-]+)", text, re.MULTILINE):
        assert re.search(rf"^{''.join(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
