"""egs/covost2: its tables with their traps, mp3, speech of the target language, and all stages."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_ext.corpora import covost2
from espnet_ext.data.derive import read_derived, words_of
from espnet_ext.training.config import planned
from tests.support.recipe_copy import TINY, RecipeCopy, table

HEAD = "client_id\tpath\tsentence\tup_votes"
SENTENCES = [
    "A cat sat.",
    'He said "go.',
    "NA",
    "Two dogs run\\t home.",
]  # a lone quote, what is no missing value, an escape
LABELS = ["Eine Katze saß.", "Er sagte „geh“.", "null", "Zwei Hunde rennen heim."]
SPLITS = ["train", "train_covost", "dev", "test"]


def write_clip(path: Path, seconds: float = 1.0) -> None:
    draw = np.random.default_rng(len(path.name))
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * draw.normal(size=round(48_000 * seconds))
    soundfile.write(path, samples, 48_000, format="MP3", subtype="MPEG_LAYER_III")


def write_corpus(root: Path) -> Path:
    """en with 24 good lines and bad ones; de with speech of its own."""
    spoken, labelled = [HEAD], ["path\ttranslation\tsplit"]
    for i in range(24):
        name, kind = f"common_voice_en_{i}", i % 4
        write_clip(root / "en/clips" / f"{name}.mp3")
        own = f" {i}" if i >= len(SENTENCES) else ""  # no sentence twice
        spoken.append(f"{i % 3:x}{'a' * 127}\t{name}.mp3\t{SENTENCES[kind]}{own}\t2")
        labelled.append(f"{name}.mp3\t{LABELS[kind]}{own}\t{SPLITS[kind if i < 20 else 0]}")
    (root / "en/clips/common_voice_en_90.mp3").write_bytes(b"no mp3")
    spoken += [f"b\tcommon_voice_en_{n}.mp3\tBad.\t2" for n in (90, 91, 92)]
    labelled += ["common_voice_en_90.mp3\tSchlecht.\ttrain", "common_voice_en_91.mp3\tOhne Ton.\ttrain"]
    labelled += ["common_voice_en_92.mp3\t\ttrain", "common_voice_en_99.mp3\tNicht bestätigt.\ttrain"]
    labelled += ["common_voice_en_0.mp3\tDoppelt.\ttrain", "common_voice_en_1.mp3\tAnders.\tother"]
    (root / "en/validated.tsv").write_text("\n".join(spoken) + "\n", encoding="utf-8")
    (root / "en/covost_v2.en_de.tsv").write_text("\n".join(labelled) + "\n", encoding="utf-8")
    for number, name in enumerate(("train", "dev", "test")):
        rows = [HEAD]
        for i in range(6):
            clip = f"common_voice_de_{number}{i}"
            write_clip(root / "de/clips" / f"{clip}.mp3")
            rows.append(f"c{number}\t{clip}.mp3\t{LABELS[i % 4]}\t2")
        (root / f"de/{name}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("covost"))


def test_what_both_tables_have(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = covost2.read_sets(corpus, "en", "de")
    assert [len(found[name]) for name in ("train", "dev", "test")] == [10 + 4 + 4, 5, 5]
    by_id = {one.id: one for one in found["train"] + found["dev"] + found["test"]}
    assert by_id["common_voice_en_1"].texts == {"en": 'He said "go.', "de": "Er sagte „geh“."}
    assert by_id["common_voice_en_2"].texts == {"en": "NA", "de": "null"}
    assert by_id["common_voice_en_3"].texts["en"].split() == ["Two", "dogs", "run", "home."]
    said = "covost_v2.en_de.tsv: 1 of 30 left out, not in validated.tsv: common_voice_en_99.mp3"
    assert said in capsys.readouterr().err


def test_what_is_missing_is_said(corpus: Path) -> None:
    with pytest.raises(ValueError, match=r"fr: .*give --corpus the folder that holds those of the languages"):
        covost2.read_sets(corpus, "fr", "en")
    with pytest.raises(ValueError, match=r"covost_v2.en_ja.tsv: .*there is no such direction"):
        covost2.read_sets(corpus, "en", "ja")


def test_losses_are_counted(corpus: Path, tmp_path: Path) -> None:
    recipe = RecipeCopy(tmp_path, "covost2")
    result = recipe.prepare("data", "--corpus", str(corpus), "--tgt_lang", "de", "--hours", str(2.5 / 3600))
    assert result.returncode == 0, result.stderr
    summary = json.loads((recipe.folder / "data/train/dropped.json").read_text())
    assert summary["kept"] == 14 and summary["dropped"] == {
        "duplicate id": 1,
        "empty text.de": 1,
        "missing audio": 1,
        "unreadable audio": 1,
    }
    assert len(table(recipe.folder / "data/asr_train/text.de")) == 3  # the fewest that are 2.5 s long
    assert len(table(recipe.folder / "data/asr_test/text.de")) == 6
    assert json.loads((recipe.folder / "data/asr_train/about.json").read_text())["speech"] == "de"


def test_all_stages(corpus: Path, tmp_path: Path) -> None:
    recipe = RecipeCopy(tmp_path, "covost2")
    result = recipe.run("--corpus", str(corpus), "--set", TINY, "--subword_type", "char")
    assert result.returncode == 0, result.stderr[-3000:]
    results = (recipe.folder / "RESULTS.en-de.md").read_text()
    for system in ("asr", "mt", "pipeline", "e2e"):
        assert f"{system}" in results
    assert (recipe.folder / "report.en-de.html").exists()


def test_transfer_through_all_stages_and_over_hours(corpus: Path, tmp_path: Path) -> None:
    """English recognition, translation from it, German recognition from that and alone; then with less German."""
    recipe = RecipeCopy(tmp_path, "covost2")
    tiny = f"{TINY} mixture.batches=2 derived.low_30.share=0.5"
    common = ["--subword_type", "char", "--set", tiny, "--score_args", "--samples 20"]
    hours = ["--data_args", f"--hours {5.5 / 3600}"]
    systems = "high mt_strong st_human scratch from_human"
    result = recipe.run("--corpus", str(corpus), *hours, "--systems", systems, *common)
    assert result.returncode == 0, result.stderr[-3000:]
    exp, data = recipe.folder / "exp/en-de", recipe.folder / "data/en-de"
    halves = [table(data / f"{name}_part/text.en") for name in ("mt", "st")]
    assert [len(half) for half in halves] == [7, 7] and not set(halves[0].values()) & set(halves[1].values())
    assert (exp / "st_human/test/hyp.st").exists() and (exp / "from_human/asr_test/hyp.low").exists()
    results = (recipe.folder / "RESULTS.en-de.md").read_text()
    assert "| System | WER en, test | BLEU de (st), test | BLEU de (mt), test | WER de, asr_test |" in results

    vary = " ".join(f"{system}:tasks.low.set=low_30,asr_train" for system in ("scratch", "from_human"))
    result = recipe.run("--systems", "high st_human scratch from_human", "--vary", vary, *common)
    assert result.returncode == 0, result.stderr[-3000:]
    assert len(table(data / "low_30/text.de")) == 3
    page = (recipe.folder / "SWEEP-tasks.low.set.en-de.md").read_text()
    assert "## asr_test: WER de over tasks.low.set\n\n| System | low_30, 0.001 h | asr_train, 0.002 h |" in page
    assert "| <sup>a</sup> scratch | " in page and "| <sup>b</sup> from_human | " in page
    assert (recipe.folder / "SWEEP-tasks.low.set.en-de.png").exists()
    assert '<section id="sweeps"' in (recipe.folder / "report.en-de.html").read_text()


def test_pseudo_labels_are_made_of_the_other_half(tmp_path: Path) -> None:
    recipe = RecipeCopy(tmp_path, "covost2")
    changes = "tasks.st.tgt=ja tasks.mt.tgt=ja tasks.low.src=ja tasks.low.tgt=ja vocabulary.langs=[en,ja]"
    systems = "high mt_strong mt_weak st_human st_strong st_weak scratch direct from_human from_strong from_weak joint"
    result = recipe.run("--dry_run", "--corpus", "c", "--tgt_lang", "ja", "--systems", systems, "--set", changes)
    assert result.returncode == 0, result.stderr
    assert "--universal en,ja:train" in result.stdout
    for system in ("strong", "weak"):
        config = planned(recipe.folder / f"conf/st_{system}.yaml")
        assert list(read_derived(config)) == ["mt_part", "st_part", f"labels_{system}"]
        labels = read_derived(config)[f"labels_{system}"]
        words = words_of(labels, Path("data/en-de"), Path("exp/en-de"))
        assert words == ["--exp", f"exp/en-de/mt_{system}", "--language_text", "data/en-de/train"]
    told = [shlex.split(line)[-1] for line in result.stdout.splitlines() if "espnet_ext.train conf/direct" in line]
    assert told == ["tasks.low.src=ja tasks.low.tgt=ja vocabulary.langs=[en,ja]"]
