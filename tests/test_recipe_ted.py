"""egs/ted: training data and evaluation sets of IWSLT land in data/; outputs are cut as the references are."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from espnet_ext import score
from espnet_ext.data.check import check
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.training.config import read_config
from tests.support.recipe_copy import ROOT, TINY, RecipeCopy, table, write_wav

ENTRY = "- {{duration: {1}, offset: {0}, rW: 3, uW: 0, speaker_id: spk.{3}, wav: {2}}}\n"
TEST_ENTRY = '- {{"wav": "PATH/wavs/{2}", "offset": {0}, "duration": {1}}}\n'
TALKS = {"tst2010.en.talkid767": 12, "tst2010.en.talkid8": 8}  # seconds
SEGMENTS = [  # cut by a program: other places and another number than the references, out of order
    (10.0, 2.5, "tst2010.en.talkid767.wav"),  # past the end
    (0.5, 4.0, "tst2010.en.talkid767.wav"),
    (4.5, 5.0, "tst2010.en.talkid767.wav"),
    (1.0, 6.0, "tst2010.en.talkid8.wav"),
    (0.0, 2.0, "tst2010.en.talkid999.wav"),  # not in FILE_ORDER
]
REFERENCES = {
    "en": {"767": ["Thank you.", "A &amp; B  came.", "It rained.", "<i>"], "8": ["Good morning."]},
    "de": {"767": ["Danke.", "A &amp; B kamen.", "", "<i>"], "8": ["Guten Morgen."]},
}
SENTENCES = [("A cat saw us.", "Eine Katze sah uns."), ("The mat was red.", ""), ("It is late.", "Es ist spät.")]


def write_train(corpus: Path, lang: str = "de", talks: int = 3) -> None:
    folder = corpus / "train" / "iwslt-corpus"
    rows = [(1.0 + 4 * i, 3.5, f"ted_{t}.wav", t, *SENTENCES[i % 3]) for t in range(1, talks + 1) for i in range(4)]
    rows.append((17.5, 0.1, "ted_1.wav", 1, "uh", "äh"))
    (folder / "parallel").mkdir(parents=True)
    (folder / "parallel" / "train.yaml").write_text("".join(ENTRY.format(*row) for row in rows))
    (folder / "parallel" / "train.en").write_text("".join(f"{row[4]}\n" for row in rows), encoding="utf-8")
    (folder / "parallel" / f"train.{lang}").write_text("".join(f"{row[5]}\n" for row in rows), encoding="utf-8")
    for talk in range(1, talks + 1):
        write_wav(folder / "wav" / f"ted_{talk}.wav", 18)


def as_xml(lang: str, talks: dict[str, list[str]]) -> str:
    body = "".join(
        f'<doc docid="{talk}" genre="lectures">\n<title>A talk</title>\n'
        + "".join(f'<seg id="{i}"> {text} </seg>\n' for i, text in enumerate(lines, 1))
        + "</doc>\n"
        for talk, lines in talks.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<mteval>\n<refset setid="x" trglang="{lang}">\n{body}</refset>\n'


def write_test_set(corpus: Path, lang: str = "de", order: tuple[str, ...] = tuple(TALKS)) -> Path:
    folder = corpus / "tst2010" / "IWSLT.tst2010"
    folder.mkdir(parents=True)
    stem = f"IWSLT.TED.tst2010.en-{lang}"
    (folder / f"{stem}.yaml").write_text("\n" + "".join(TEST_ENTRY.format(*row) for row in SEGMENTS))
    (folder / "FILE_ORDER").write_text("".join(f"{talk}\n" for talk in order))
    for key in ("en", lang):
        (folder / f"{stem}.{key}.xml").write_text(as_xml(key, REFERENCES["en" if key == "en" else "de"]))
    for talk, seconds in TALKS.items():
        write_wav(folder / "wavs" / f"{talk}.wav", seconds)
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> RecipeCopy:
    return RecipeCopy(tmp_path, "ted")


def prepare(recipe: RecipeCopy, corpus: Path, lang: str = "de", sets: str = "tst2010"):
    return recipe.prepare("data", "--corpus", str(corpus), "--tgt_lang", lang, "--sets", *sets.split())


def test_training_data_lose_empty_lines_and_give_whole_talks_to_dev(recipe: RecipeCopy, tmp_path: Path) -> None:
    write_train(tmp_path / "corpus")
    result = prepare(recipe, tmp_path / "corpus", sets="")
    assert result.returncode == 0, result.stderr
    parts = {name: table(recipe.folder / "data" / name / "segments") for name in ("train", "dev")}
    talks = {name: {key.rpartition("_")[0] for key in rows} for name, rows in parts.items()}
    assert len(talks["train"]) == 2 and len(talks["dev"]) == 1 and not talks["train"] & talks["dev"]
    lost = [json.loads((recipe.folder / "data" / name / "dropped.json").read_text())["dropped"] for name in parts]
    assert sum(each.get("empty text.de", 0) for each in lost) == 3
    assert sum(each.get("shorter than 0.2 s", 0) for each in lost) == 1
    assert len(parts["train"]) + len(parts["dev"]) == 9


@pytest.mark.parametrize("lang", ["de", "zh"])
def test_an_evaluation_set_holds_utterances_and_references_apart(recipe: RecipeCopy, tmp_path: Path, lang: str) -> None:
    corpus = tmp_path / "corpus" / "en-zh" if lang == "zh" else tmp_path / "corpus"  # a folder of its own for a pair
    write_train(corpus, lang)
    write_test_set(corpus, lang)
    result = prepare(recipe, tmp_path / "corpus", lang)
    assert result.returncode == 0, result.stderr
    data = recipe.folder / "data" / "tst2010"
    assert table(data / "segments") == {
        "tst2010.en.talkid767_00001": "tst2010.en.talkid767 0.500000 4.500000",
        "tst2010.en.talkid767_00002": "tst2010.en.talkid767 4.500000 9.500000",
        "tst2010.en.talkid767_00003": "tst2010.en.talkid767 10.000000 12.000000",
        "tst2010.en.talkid8_00001": "tst2010.en.talkid8 1.000000 7.000000",
    }
    assert table(data / "reference.en") == {
        "tst2010.en.talkid767_r00001": "Thank you.",
        "tst2010.en.talkid767_r00002": "A & B came.",
        "tst2010.en.talkid767_r00004": "<i>",
        "tst2010.en.talkid8_r00001": "Good morning.",
    }
    assert table(data / f"reference.{lang}").keys() == table(data / "reference.en").keys()
    assert "1 references dropped, empty in some language: tst2010.en.talkid767_r00003" in result.stderr
    assert not list(data.glob("text.*"))
    assert check(data) == []


def test_the_check_wants_references_of_every_talk(recipe: RecipeCopy, tmp_path: Path) -> None:
    write_train(tmp_path / "corpus")
    write_test_set(tmp_path / "corpus")
    prepare(recipe, tmp_path / "corpus")
    data = recipe.folder / "data" / "tst2010"
    for lang in ("en", "de"):
        lines = (data / f"reference.{lang}").read_text().splitlines(keepends=True)
        (data / f"reference.{lang}").write_text("".join(lines[:-1]))
    (data / "reference.de").write_text("".join((data / "reference.de").read_text().splitlines(keepends=True)[1:]))
    messages = [str(problem) for problem in check(data)]
    assert any("reference.de has nothing of the talk 'tst2010.en.talkid8'" in m for m in messages), messages
    assert any("tst2010.en.talkid767_r00001 is not in reference.de" in m for m in messages), messages


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("IWSLT.TED.tst2010.en-de.de.xml", '<seg id="2">', "<sag>", "has 4 in IWSLT.TED.tst2010.en-de.en.xml and 3 in"),
        (
            "IWSLT.TED.tst2010.en-de.de.xml",
            '"767"',
            '"768"',
            "no document 767 for the talk tst2010.en.talkid767; it has",
        ),
        ("IWSLT.TED.tst2010.en-de.en.xml", '"767"', '"8"', "document 8 comes twice"),
        ("FILE_ORDER", "talkid8\n", "talkid9\n", "no segment of tst2010.en.talkid9, which"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    recipe: RecipeCopy, tmp_path: Path, file: str, old: str, new: str, message: str
) -> None:
    write_train(tmp_path / "corpus")
    path = write_test_set(tmp_path / "corpus") / file
    path.write_text(path.read_text().replace(old, new, 1))
    result = prepare(recipe, tmp_path / "corpus")
    assert result.returncode == 1
    assert message in result.stderr and "Traceback" not in result.stderr


def test_a_set_that_is_not_there_is_named(recipe: RecipeCopy, tmp_path: Path) -> None:
    write_train(tmp_path / "corpus")
    result = prepare(recipe, tmp_path / "corpus", sets="tst2014")
    assert result.returncode == 1
    assert "IWSLT.tst2014: not there; leave this set out with --sets" in result.stderr


def test_all_stages_run(recipe: RecipeCopy, tmp_path: Path) -> None:
    """Tiny systems from the corpus to the table; what speech systems write has the ids of the references."""
    write_train(tmp_path / "corpus")
    write_test_set(tmp_path / "corpus")
    corpus = ["--corpus", str(tmp_path / "corpus"), "--data_args", "--sets tst2010", "--test_sets", "tst2010"]
    result = recipe.run(*corpus, "--subword_type", "char", "--nj", "1", "--set", TINY)
    assert result.returncode == 0, result.stderr
    systems = (recipe.folder / "run.sh").read_text().split('--systems "')[1].split('"')[0].split()
    results = (recipe.folder / "RESULTS.en-de.md").read_text().replace("†", "")  # the mark of epochs unlike the others
    for system in systems:
        assert f"</sup> {system} |" in results
    exp, wanted = recipe.folder / "exp/en-de", table(recipe.folder / "data/en-de/tst2010/reference.de").keys()
    for system, stream in (("asr", "asr"), ("mt", "mt"), ("e2e", "st"), ("multitask", "asr")):
        assert table(exp / system / "tst2010" / f"hyp.{stream}").keys() == wanted
    decoded = [json.loads(line) for line in (exp / "e2e/tst2010/nbest.st.jsonl").read_text().splitlines()]
    assert [line["id"] for line in decoded] == sorted(table(recipe.folder / "data/en-de/tst2010/segments"))
    said = " ".join(line["nbest"][0]["text"] for line in decoded[:3]).split()
    cut = table(exp / "e2e/tst2010/hyp.st")
    assert " ".join(text for key, text in cut.items() if "talkid767" in key).split() == said


# Table 4 of the interactive paper, in millions
PARAMETERS = {"e2e": 61.2, "multitask": 61.2, "interactive": 61.2, "two_stage": 92.7, "asr": 61.2, "mt": 61.2}


def test_sizes_are_those_of_the_paper() -> None:
    """Within 5 %, with the vocabulary of run.sh; the pipeline is asr and mt."""
    folder = ROOT / "egs" / "ted"
    size = int((folder / "run.sh").read_text().split("--joint_vocab_size ")[1].split()[0])
    tokens = ["<blank>", "<unk>", "<asr_en>", "<st_de>", *(str(i) for i in range(size - 5)), "<sos/eos>"]
    counts = {}
    for name in PARAMETERS:
        config = default_config() | read_config(folder / "conf" / f"{name}.yaml").values
        config |= {
            "token_list": tokens,
            "src_token_list": tokens,
            "src_lang": "en",
            "tgt_lang": "de",
            "normalize": None,
        }
        with torch.device("meta"):
            model = STTask.build_model(Namespace(**config))
        counts[name] = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert counts == pytest.approx(PARAMETERS, rel=0.05)
    assert counts["interactive"] == counts["multitask"] == counts["e2e"]
    assert counts["asr"] + counts["mt"] == pytest.approx(122.4, rel=0.05)


@pytest.mark.parametrize(
    ("lang", "tokenizer"), [("de", "13a"), ("fr", "13a"), ("zh", "zh"), ("ja", "ja-mecab"), ("zh-CN", "zh")]
)
def test_translations_are_scored_by_the_tokenizer_of_their_language(lang: str, tokenizer: str) -> None:
    options = ["exp", "--systems", "e2e", "--test_sets", "tst2010", "--src_lang", "en", "--tgt_lang", lang]
    assert score.parse(options).bleu_tokenize == tokenizer
    assert score.parse([*options, "--bleu_tokenize", "char"]).bleu_tokenize == "char"


def test_pairs_do_not_share_a_folder(recipe: RecipeCopy) -> None:
    printed = recipe.run("--corpus", "/talks", "--tgt_lang", "ja", "--dry_run").stdout
    assert "local/data.py data/en-ja --corpus /talks --src_lang en --tgt_lang ja" in printed
    assert "--results RESULTS.en-ja.md" in printed and "--out report.en-ja.html" in printed
    words = {word for line in printed.splitlines() if not line.startswith("#") for word in line.split()}
    used = {word for word in words if word.startswith(("data/", "dump/", "exp/"))}
    assert len(used) > 20 and all(word.split("/")[1] == "en-ja" for word in used)
