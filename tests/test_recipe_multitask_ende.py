"""egs/multitask_ende: eight corpora in their layouts become the sets of three tasks, and all stages run."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.support.recipe_copy import TINY, RecipeCopy, table, write_wav
from tests.test_corpora import write_lines, write_sgm
from tests.test_recipe_must_c import GOOD, write_set

ROWS = [(*row[:4], f"{row[4]} {i}", f"{row[5]} {i}") for i in range(2) for row in GOOD]
IWSLT = "- {{duration: {1}, offset: {0}, speaker_id: spk.{2}, wav: ted_{2}.wav}}"


def write_must_c(folder: Path) -> None:
    for name in ("train", "dev", "tst-COMMON"):
        place = write_set(folder, name, ROWS)
        for path in place.glob("txt/*.yaml"):  # a talk is in one set
            text = path.read_text().replace("ted_1.", f"ted_{len(name)}1.").replace("ted_22.", f"ted_{len(name)}22.")
            path.write_text(text)
        for talk in ("1", "22"):
            (place / "wav" / f"ted_{talk}.wav").rename(place / "wav" / f"ted_{len(name)}{talk}.wav")


def write_europarl_st(folder: Path) -> None:
    for name in ("train", "dev", "test"):
        place = folder / "en" / "de" / name
        write_lines(place / "segments.lst", f"{name}1 0.5 2.5", f"{name}1 3 9", f"{name}2 0 2")  # one past the end
        write_lines(place / "segments.en", "A first one.", "A second one.", "A third one.")
        write_lines(place / "segments.de", "Ein erstes.", "Ein zweites.", "" if name == "train" else "Ein drittes.")
        for speech in (f"{name}1", f"{name}2"):
            path = folder / "en" / "audios" / f"{speech}.m4a"
            write_wav(path.with_suffix(".wav"), 5)
            path.with_suffix(".wav").rename(path)  # read by what is in it


def write_iwslt(folder: Path) -> None:
    place = folder / "train" / "iwslt-corpus"
    rows = [(1 + 3 * i, 2.5, talk) for talk in (31, 500, 501) for i in range(3)]  # ted_31 is in the dev set of MuST-C
    write_lines(place / "parallel" / "train.yaml", *(IWSLT.format(*row) for row in rows))
    for lang in ("en", "de"):
        write_lines(place / "parallel" / f"train.{lang}", *(f"{lang} {row[2]} {row[0]}" for row in rows))
    for talk in (31, 500, 501):
        write_wav(place / "wav" / f"ted_{talk}.wav", 11)


def write_tedlium(folder: Path) -> None:
    for name in ("train", "dev", "test"):
        place = folder / "TEDLIUM_release-3" / "legacy" / name
        stm = [
            f"{name}A 1 {name}A 0.5 2 <NA> it 's one",
            f"{name}A 1 {name}A 2 3 <NA> <sil>",
            f"{name}A 1 x 3 4 two(2)",
        ]
        write_lines(place / "stm" / f"{name}A.stm", *stm)
        (place / "sph").mkdir()
        noise = np.random.default_rng(1).normal(size=5 * 16000) * 0.05
        soundfile.write(place / "sph" / f"{name}A.sph", noise, 16000, format="NIST", subtype="PCM_16")


def write_librispeech(folder: Path) -> None:
    for name in ("train-clean-100", "dev-clean", "test-clean"):
        place = folder / "LibriSpeech" / name / "84" / "12"
        write_lines(place / "84-12.trans.txt", "84-12-0000 GO ON NOW", "84-12-0001 HE'S GONE", "84-12-0002 NO AUDIO")
        for number in range(2):
            write_wav(place / f"84-12-000{number}.flac", 1.5)


def write_common_voice(folder: Path) -> None:
    for name in ("train", "dev", "test"):
        rows = [f"c\t{name}_{i}.mp3\tCommon words {i}." for i in range(2)]
        write_lines(folder / f"{name}.tsv", "client_id\tpath\tsentence", *rows)
        for i in range(2):
            path = folder / "clips" / f"{name}_{i}.mp3"
            path.parent.mkdir(exist_ok=True)
            noise = np.random.default_rng(i).normal(size=48000) * 0.05
            soundfile.write(path, noise, 48000, format="MP3")  # at 48 kHz, as they are


def write_texts(folder: Path) -> None:
    for name in ("commoncrawl", "europarl-v9", "news-commentary-v14"):
        rows = [f"{name} Satz {i}\t{name} sentence {i}" for i in range(4)]
        if name == "commoncrawl":
            for side, lang in enumerate(("de", "en")):
                write_lines(folder / "wmt" / f"{name}.de-en.{lang}", *(row.split("\t")[side] for row in rows))
        else:
            write_lines(folder / "wmt" / f"{name}.de-en.tsv.gz", *rows, "ohne")
    for name in ("newstest2013", "newstest2014"):
        write_sgm(folder / "wmt" / "dev" / f"{name}-ende-src.en.sgm", "Good news.", "A & B.")
        write_sgm(folder / "wmt" / "dev" / f"{name}-ende-ref.de.sgm", "Gute Nachrichten.", "A & B.")
    for lang, text in (("en", "Run!"), ("de", "Lauf!")):
        write_lines(folder / "opensubtitles" / f"OpenSubtitles.de-en.{lang}", text, text)
    write_lines(folder / "opensubtitles" / "OpenSubtitles.de-en.ids", *["de/2001/25/1.gz\ten/2001/25/2.gz\t1\t1"] * 2)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    write_must_c(folder / "must_c")
    write_europarl_st(folder / "europarl_st")
    write_iwslt(folder / "iwslt")
    write_tedlium(folder / "tedlium")
    write_librispeech(folder / "librispeech")
    write_common_voice(folder / "common_voice" / "en")
    write_texts(folder)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> RecipeCopy:
    return RecipeCopy(tmp_path, "multitask_ende")


def lost(folder: Path) -> dict[str, int]:
    return json.loads((folder / "dropped.json").read_text())["dropped"]


def test_corpora_become_sets_of_tasks(recipe: RecipeCopy, corpus: Path) -> None:
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data"
    sizes = {path.name: len(table(next(path.glob("text.*")))) for path in data.glob("*/")}
    assert sizes["st_train"] == 10 + 2 + 6 and sizes["asr_train"] == 2 + 2 + 2 and sizes["mt_train"] == 12 + 2
    assert sizes["st_dev"] == 10 and sizes["asr_dev"] == 2  # of the first corpus that has one
    assert sizes["must_c_tst-COMMON"] == 10 and sizes["europarl_st_test"] == 3 and sizes["newstest2014"] == 2
    assert lost(data / "st_train") == {"empty text.de": 1}
    assert lost(data / "asr_train") == {"empty text.en": 1, "missing audio": 1}
    assert lost(data / "mt_train") == {"empty text.en": 2}
    talks = {key.rpartition("_")[0] for key in table(data / "st_train" / "text.de") if key.startswith("iwslt")}
    assert talks == {"iwslt-ted_500", "iwslt-ted_501"}
    assert "3 training utterances left out: their talks are in a dev or test set" in result.stderr
    texts = table(data / "asr_train" / "text.en")
    assert texts["tedlium-trainA_00001"] == "it's one" and texts["librispeech-84-12-0001"] == "he's gone"
    assert "commonvoice-train_0" in texts
    assert not (data / "asr_train" / "text.de").exists() and not (data / "mt_train" / "wav.scp").exists()


def test_a_corpus_is_left_out_by_saying_so(recipe: RecipeCopy, corpus: Path) -> None:
    (corpus / "tedlium").rename(corpus / "ted-lium")
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert "tedlium: not there; " in result.stderr and "leave it out: --data_args '--corpora ...'" in result.stderr
    result = recipe.prepare("data", "--corpus", str(corpus), "--corpora", "must_c", "librispeech")
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data"
    assert {key.partition("-")[0] for key in table(data / "asr_train" / "text.en")} == {"librispeech"}
    assert len(table(data / "asr_dev" / "text.en")) == 2
    assert "no corpus gives mt_train (text of both languages)" in result.stderr
    assert "by --set tasks.mt=null" in result.stderr
    result = recipe.prepare("other", "--corpus", str(corpus), "--corpora", "iwslt")
    assert result.returncode == 0, result.stderr
    sizes = [len(table(recipe.folder / "other" / name / "text.de")) for name in ("st_train", "st_dev")]
    assert sizes == [6, 3]  # a whole talk


def test_all_stages_run(recipe: RecipeCopy, corpus: Path) -> None:
    """Each kind of system, tiny; each task is decoded on the test sets that have what it reads and writes."""
    systems = ("direct_st", "joint", "joint_mt", "maml_implicit")
    tests = ["--test_sets", "must_c_tst-COMMON tedlium_test newstest2014", "--systems", " ".join(systems)]
    options = ["--subword_type", "char", "--nj", "1", "--set", f"{TINY} mixture.batches=9"]
    result = recipe.run("--corpus", str(corpus), *tests, *options)
    assert result.returncode == 0, result.stderr
    results = (recipe.folder / "RESULTS.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert f"</sup> {system} |" in results
    exp = recipe.folder / "exp" / "maml_implicit"
    assert len(table(exp / "must_c_tst-COMMON" / "hyp.st")) == len(table(exp / "must_c_tst-COMMON" / "hyp.asr")) == 10
    assert (exp / "newstest2014" / "hyp.mt").exists() and not (exp / "tedlium_test" / "hyp.st").exists()


def test_recognition_data_become_translation_data(recipe: RecipeCopy, corpus: Path) -> None:
    """A changed copy of the speech beside it, each with up to two translations of each of two systems."""
    options = ["--subword_type", "char", "--nj", "1", "--test_sets", "must_c_tst-COMMON"]
    corpora = ["--corpus", str(corpus), "--data_args", "--corpora must_c librispeech wmt"]
    learned = (
        f"{TINY} max_epoch=6 encoder_conf.output_size=32 decode.max_length=40 mixture.batches=40 optim_conf.lr=0.01"
    )
    result = recipe.run(*corpora, *options, "--systems", "direct_mt direct_mt2", "--stop_stage", "7", "--set", learned)
    assert result.returncode == 0, result.stderr
    small = f"{TINY} mixture.batches=9 derived.st_synthetic.most_off=0"
    result = recipe.run("--stage", "4", *options, "--systems", "joint_synthetic", "--stop_stage", "8", "--set", small)
    assert result.returncode == 0, result.stderr
    labels = table(recipe.folder / "data" / "st_synthetic" / "text.de")
    changed = table(recipe.folder / "data" / "asr_changed" / "text.en")
    assert len(changed) == 2 * 2  # as they are, and with another speed, tempo and an echo
    assert {key.rpartition("-")[0] for key in labels} == set(changed)
    assert {key.rpartition("-")[2][0] for key in labels} == {"1", "2"}  # the system
