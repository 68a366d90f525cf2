"""egs/mboshi: texts come out plain, choices are made on sentences of their own, floors are what they say they are."""

import importlib.util
import json
import re
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from sacrebleu.metrics import BLEU

from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.training.check_config import check_config
from espnet_ext.training.config import read_config
from tests.support.recipe_copy import ROOT, RecipeCopy, table, write_wav

MB = ["Wa adí", "Ngá ítέi wá l' apóa", "Myeré m' ákoo", "Bísí lémbi", "Kóó láadzwá", "Asendzá adí mbvulu"]
FR = ["Il est là", "Je l' ai vu hier", "Le chat a faim .", "Nous sommes partis", "Il part", "Asenza est un imbécile"]


def write_utterance(folder: Path, key: str, mb: str, fr: str, seconds: float = 1.0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for end, text in (("mb", mb), ("fr", fr), ("mb.cleaned", mb.lower()), ("fr.cleaned", fr.lower())):
        (folder / f"{key}.{end}").write_text(f"{text}\n", encoding="utf-8")
    write_wav(folder / f"{key}.wav", seconds)
    return folder / f"{key}.wav"


def truncate(path: Path, keep: float) -> None:
    """As 78 files of the corpus are: the header claims more samples than there are."""
    data = path.read_bytes()
    path.write_bytes(data[: 44 + int((len(data) - 44) * keep) // 2 * 2])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """30 training utterances, of which 10 say what another one says, and 3 to test on."""
    train, dev = (tmp_path / "corpus" / "full_corpus_newsplit" / name for name in ("train", "dev"))
    for i in range(20):
        write_utterance(train, f"{('abiayi', 'martial')[i % 2]}_2015_{i:02d}", f"{MB[i % 6]} {i}", f"{FR[i % 6]} {i}")
    for i in range(10):
        write_utterance(train, f"kouarata_2016_{i:02d}", f"{MB[i % 6]} {i}", f"{FR[i % 6].lower()} {i}.")
    truncate(write_utterance(dev, "abiayi_2017_01", "Wa adí 1", "J&apos; ai dit: &quot;oui&quot;,mais non ."), 0.6)
    write_utterance(dev, "abiayi_2017_02", "Bísí", "il est là, 0")  # occurs in train, but for case and comma
    write_utterance(dev, "martial_2017_03", "l' apóa", "Parce qu 'il  a 3,5 francs")
    return tmp_path / "corpus"


def test_what_lands_in_the_data_directories(tmp_path: Path, corpus: Path) -> None:
    recipe = RecipeCopy(tmp_path, "mboshi")
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data"
    french = {name: table(data / name / "text.fr") for name in ("train", "tune", "dev", "dev_unseen")}
    assert french["dev"] == {
        "abiayi_2017_01": 'J\'ai dit: "oui", mais non.',
        "abiayi_2017_02": "il est là, 0",
        "martial_2017_03": "Parce qu'il a 3,5 francs",
    }
    assert list(french["dev_unseen"]) == ["abiayi_2017_01", "martial_2017_03"]
    assert table(data / "dev" / "text.mb")["martial_2017_03"] == "l' apóa"  # Mboshi is written so
    assert table(data / "dev" / "utt2spk")["martial_2017_03"] == "martial"
    assert len(french["train"]) == 27 and len(french["tune"]) == 3
    assert all(int(key[-2:]) >= 10 for key in french["tune"])  # the others are said twice
    assert json.loads((data / "dev" / "dropped.json").read_text())["clipped"] == {"truncated audio": 1}
    assert table(data / "dev" / "segments")["abiayi_2017_01"] == "abiayi_2017_01 0.000000 0.600000"
    again = recipe.prepare("other", "--corpus", str(corpus))
    assert again.returncode == 0
    assert table(recipe.folder / "other" / "tune" / "text.fr") == french["tune"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda train: (train / "abiayi_2015_00.fr").unlink(), "abiayi_2015_00.fr: not there"),
        (lambda train: [path.unlink() for path in train.glob("*.wav")], "train: no *.wav in it; clone the corpus"),
        (lambda train: train.rename(train.parent / "training"), "train: not there; "),
    ],
)
def test_what_breaks_the_layout_is_refused(tmp_path: Path, corpus: Path, spoil, message: str) -> None:
    spoil(corpus / "full_corpus_newsplit" / "train")
    result = RecipeCopy(tmp_path, "mboshi").prepare("data", "--corpus", str(corpus))
    assert result.returncode == 1
    assert message in result.stderr and "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def floors():
    spec = importlib.util.spec_from_file_location("mboshi_floors", ROOT / "egs" / "mboshi" / "local" / "floors.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mboshi_floors"] = module
    spec.loader.exec_module(module)
    return module


def test_no_sentence_is_a_better_constant(floors) -> None:
    random = np.random.default_rng(1)
    sentences = [" ".join(random.choice(list("abcd"), random.integers(3, 9))) for _ in range(60)]
    sentences += sentences[:20]
    scores = {s: BLEU().corpus_score([s] * len(sentences), [sentences]).score for s in sentences}
    assert scores[floors.best_constant(sentences)] == pytest.approx(max(scores.values()))


def test_the_nearest_transcript_is_found(floors) -> None:
    known = ["a b c d e f", "a b", "x y z"]
    assert floors.nearest(["a b c", "z", "x z"], known).tolist() == [1, 2, 2]


def test_floors_are_written(tmp_path: Path, corpus: Path) -> None:
    recipe = RecipeCopy(tmp_path, "mboshi")
    recipe.prepare("data", "--corpus", str(corpus))
    result = recipe.prepare("data", "--out", "FLOORS.md", script="floors.py")
    assert result.returncode == 0, result.stderr
    page = (recipe.folder / "FLOORS.md").read_text()
    assert page.count("| dev (3) |") == 2 and page.count("| dev_unseen (2) |") == 2
    assert "* bleu: `nrefs:1|bs:1000|seed:12345|case:mixed" in page


def test_systems_stand_beside_the_floors(tmp_path: Path, corpus: Path) -> None:
    recipe = RecipeCopy(tmp_path, "mboshi")
    recipe.prepare("data", "--corpus", str(corpus))
    for name, stream in (("e2e", "st"), ("mt", "mt")):
        (recipe.folder / "exp" / name / "dev").mkdir(parents=True)
        shutil.copy(recipe.folder / "data/dev/text.fr", recipe.folder / "exp" / name / "dev" / f"hyp.{stream}")
    given = ["data", "--test_sets", "dev", "--systems", "e2e", "mt"]
    result = recipe.prepare(*given, script="floors.py")
    assert result.returncode == 0, result.stderr
    assert re.search(r"^\| dev \(3\) \| e2e \| 100.00 \| 100.00 \| 0.\d+ \| 0.\d+ \|$", result.stdout, re.M)
    assert "| mt of the correct transcript | 100.00 |" in result.stdout
    result = recipe.prepare(*given, "e3e", script="floors.py")
    assert result.returncode == 1
    assert "floors.py: " in result.stderr and "exp/e3e/dev/hyp" in result.stderr and "Traceback" not in result.stderr


SYSTEMS = sorted(path for path in (ROOT / "egs" / "mboshi" / "conf").glob("*.yaml") if path.stem != "base")


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda path: path.stem)
def test_every_configuration_builds(path: Path) -> None:
    given = read_config(path)
    check_config(given)
    tokens = ["<blank>", "<unk>", "<asr_mb>", "<st_fr>", "<mt_fr>", "a", "<sos/eos>"]
    config = default_config() | given.values | {"token_list": tokens, "src_token_list": tokens, "normalize": None}
    if config["model"] == "pipeline":
        assert (path.parent / "asr.yaml").exists() and (path.parent / "mt.yaml").exists()
        return
    with torch.device("meta"):
        model = STTask.build_model(Namespace(**config | {"src_lang": "mb", "tgt_lang": "fr"}))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert 1e6 < count < 12e6, f"{count} parameters do not train within hours on a CPU"


SMALLER = {
    r"output_size: \d+": "output_size: 8",
    r"linear_units: \d+": "linear_units: 8",
    r"attention_heads: \d+": "attention_heads: 2",
    r"num_blocks: \d+": "num_blocks: 1",
    r"warmup_steps: \d+": "warmup_steps: 2",
}


def test_all_stages_run(tmp_path: Path, corpus: Path) -> None:
    """Every system of the recipe, tiny, on both test sets; text peers have sizes of their own, so the files change."""
    recipe = RecipeCopy(tmp_path, "mboshi")
    for path in (recipe.folder / "conf").glob("*.yaml"):
        text = path.read_text()
        for pattern, small in SMALLER.items():
            text = re.sub(pattern, small, text)
        path.write_text(text)
    changes = "max_epoch=1 batch_bins=3000 amp=none greedy_every=0 use_tensorboard=false decode.beam=1"
    options = [
        "--subword_type",
        "char",
        "--nj",
        "1",
        "--augment",
        "speed:1.1",
        "--set",
        f"{changes} decode.max_length=8",
    ]
    result = recipe.run("--corpus", str(corpus), *options)
    assert result.returncode == 0, result.stderr
    systems = (recipe.folder / "run.sh").read_text().split('--systems "')[1].split('"')[0].split()
    results = (recipe.folder / "RESULTS.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert results.count(f"</sup> {system} |") == 2
    assert len(table(recipe.folder / "exp/interactive/dev_unseen/hyp.st")) == 2
    assert (recipe.folder / "report.html").exists()
