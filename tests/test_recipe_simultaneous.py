"""egs/wmt15, egs/iwslt16 and egs/nist_zh_en: every layout lands in data/, what is broken is said, all stages run."""

import json
from pathlib import Path

import pytest

from espnet_ext.corpora import nist
from espnet_ext.training.config import read_config
from tests.support.recipe_copy import ROOT, TINY, RecipeCopy, table

PAIRS = [
    ("Eine Katze saß.", "A cat sat."),
    ("Zwei Hunde & ein Hase rennen.", "Two dogs & a hare run."),
    ("Das Haus ist rot.", "The house is red."),
    ("Das Mädchen singt\u2028hier.", "The girl sings here."),
]
CHINESE = [("一只猫坐着。", "a cat sat ."), ("两只狗在跑。", "two dogs run ."), ("房子是红的。", "the house is red .")]
RECIPES = ("wmt15", "iwslt16", "nist_zh_en")


def lines(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{text}\n" for text in texts).encode())


def write_wmt15(corpus: Path) -> None:
    places = {"europarl-v7": corpus / "training", "commoncrawl": corpus, "news-commentary-v10": corpus / "training"}
    for name, folder in places.items():
        for side, lang in enumerate(("de", "en")):
            lines(folder / f"{name}.de-en.{lang}", [pair[side] for pair in PAIRS] + ["", "Ende."][side : side + 1])
    for name in ("newstest2014", "newstest2015"):
        for side, (kind, lang) in enumerate((("src", "de"), ("ref", "en"))):
            segments = [f'<seg id="{i}">{pair[side]}</seg>' for i, pair in enumerate(PAIRS, 1)]
            text = [f'<{kind}set setid="{name}" srclang="any">', '<doc docid="a">', "<p>", *segments, "</p>", "</doc>"]
            lines(corpus / "test" / f"{name}-deen-{kind}.{lang}.sgm", text)


def write_iwslt16(corpus: Path) -> None:
    folder = corpus / "de-en"
    for side, lang in enumerate(("de", "en")):
        marks = ["<url>http://a</url>", f"<title>{lang}</title>"] + ["<reviewer></reviewer>"] * side
        lines(folder / f"train.tags.de-en.{lang}", [*marks, *[f" {pair[side]} " for pair in PAIRS * 2], ""])
        for name in ("tst2013", "tst2014"):
            text = [f'<?xml version="1.0"?><{"srcset" if lang == "de" else "refset"} setid="iwslt2016-{name}">']
            for talk in (1520, 1007):
                text += [f'<doc docid="{talk}" genre="lectures">', f"<title>{lang}</title>"]
                text += [f'<seg id="{i}"> {pair[side]} </seg>' for i, pair in enumerate(PAIRS[:2], 1)] + ["</doc>"]
            lines(folder / f"IWSLT16.TED.{name}.de-en.{lang}.xml", text)


def nist_markup(folder: Path, name: str, gale: bool = False, xml: bool = False) -> None:
    """Source and references with four translators; a part that has two."""

    def document(docid: str, side: int, sysid: str = "", extra: str = "") -> list[str]:
        sysid = f' sysid="{sysid}"' if sysid else ""
        body = [f"<seg id={i}> {pair[side]}{extra} </seg>" for i, pair in enumerate(CHINESE, 1)]
        return [
            f'<doc docid="{docid}"{sysid} genre="nw">',
            "<hl>",
            body[0],
            "</hl>",
            "<p>",
            *body[1:],
            "</p>",
            "</doc>",
        ]

    documents = ["XIN1", "XIN2"] + ["GALE1"] * gale
    source = [
        f'<srcset setid="{name}" srclang="Chinese">',
        *(x for d in documents for x in document(d, 0)),
        "</srcset>",
    ]
    lines(folder / f"{name}_evlset_v0.{'xml' if xml else 'sgm'}", source)
    translators = [f"E0{i}" for i in range(1, 5)]
    if xml:  # one set of references for each translator
        for number, who in enumerate(translators):
            rows = [x for d in documents for x in document(d, 1, extra=f" {number}")]
            lines(folder / f"ref-{who}.xml", [f'<refset setid="{name}" refid="{who}">', *rows, "</refset>"])
        return
    rows = [
        x
        for d in documents
        for number, who in enumerate(translators[: 2 if d == "GALE1" else 4])
        for x in document(d, 1, who, f" {number}")
    ]
    lines(folder / f"{name}-ref.sgm", [f'<refset setid="{name}" trglang="English">', *rows, "</refset>"])


def write_nist_zh_en(corpus: Path) -> None:
    for side, lang in enumerate(("zh", "en")):
        lines(corpus / f"train.zh-en.{lang}", [pair[side] for pair in CHINESE * 4])
    for number in range(4):
        lines(
            corpus / f"nist02/nist02.en{number}", [f"{pair[1]} {number}" for pair in CHINESE[:2]] + [""] * (number == 2)
        )
        if number != 2:
            lines(corpus / f"nist02/nist02.en{number}", [f"{pair[1]} {number}" for pair in CHINESE])
    lines(corpus / "nist02/nist02.cn", [pair[0] for pair in CHINESE])
    nist_markup(corpus / "nist05", "mt05")
    nist_markup(corpus / "nist06", "mt06", gale=True)
    nist_markup(corpus / "nist08", "mt08", xml=True)


WRITERS = {"wmt15": write_wmt15, "iwslt16": write_iwslt16, "nist_zh_en": write_nist_zh_en}


@pytest.mark.parametrize("name", RECIPES)
def test_all_stages_run(tmp_path: Path, name: str) -> None:
    recipe, corpus = RecipeCopy(tmp_path, name), tmp_path / "corpus"
    WRITERS[name](corpus)
    tiny = f"{TINY} num_iters_per_epoch=2"
    result = recipe.run("--corpus", str(corpus), "--subword_type", "char", "--nj", "1", "--set", tiny)
    assert result.returncode == 0, result.stderr
    pair = "" if name == "nist_zh_en" else "de-en"
    exp = recipe.folder / "exp" / pair
    sets = (recipe.folder / "run.sh").read_text().split('--test_sets "')[1].split('"')[0].split()
    for test_set in sets:
        for system in ("waitk", "le", "tn", "sl", "rl"):
            scores = json.loads((exp / system / test_set / "scores.json").read_text())["scores"]["mt"]
            references = 4 if name == "nist_zh_en" else 1
            for metric in ("bleu", "al", "laal"):
                assert scores[metric]["signature"].startswith(f"nrefs:{references}|")
    assert (
        "| MT AL | MT LAAL | MT CW | MT length ratio |"
        in (recipe.folder / f"RESULTS{'.' * bool(pair)}{pair}.md").read_text()
    )


def test_wmt_takes_three_corpora_and_drops_what_is_empty(tmp_path: Path) -> None:
    recipe, corpus = RecipeCopy(tmp_path, "wmt15"), tmp_path / "corpus"
    write_wmt15(corpus)
    arguments = ["data", "--corpus", str(corpus), "--src_lang", "en", "--tgt_lang", "de"]
    result = recipe.prepare(*arguments)
    assert result.returncode == 0, result.stderr
    texts = table(recipe.folder / "data/train/text.en")
    assert len(texts) == 12 and next(iter(texts)) == "commoncrawl-00000001"
    assert json.loads((recipe.folder / "data/train/dropped.json").read_text())["dropped"] == {"empty text.de": 3}
    assert table(recipe.folder / "data/newstest2015/text.de")["newstest2015-00002"] == PAIRS[1][0]
    (corpus / "commoncrawl.de-en.de").unlink()
    result = recipe.prepare(*arguments)
    assert result.returncode == 1 and "commoncrawl.de-en.en: the other language is not beside it" in result.stderr


def test_iwslt_leaves_markup_out_and_pairs_the_rest(tmp_path: Path) -> None:
    recipe, corpus = RecipeCopy(tmp_path, "iwslt16"), tmp_path / "corpus"
    write_iwslt16(corpus)
    result = recipe.prepare("data", "--corpus", str(corpus), "--src_lang", "en", "--tgt_lang", "de")
    assert result.returncode == 0, result.stderr
    train = table(recipe.folder / "data/train/text.de")
    assert len(train) == 8 and train["train-00000002"] == PAIRS[1][0]
    assert next(iter(table(recipe.folder / "data/tst2014/text.en"))) == "tst2014-001007-0001"
    path = corpus / "de-en/train.tags.de-en.en"
    path.write_text(path.read_text() + "One more.\n")
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 1 and "train.tags.de-en.en: has more lines that are no markup" in result.stderr
    (corpus / "de-en/IWSLT16.TED.tst2013.de-en.en.xml").write_text('<doc docid="1520">\n<seg id="1"> a </seg>\n')
    result = recipe.prepare("data", "--corpus", str(corpus), "--sets", "tst2013")
    assert result.returncode == 1


def test_nist_has_four_references_from_every_layout(tmp_path: Path) -> None:
    recipe, corpus = RecipeCopy(tmp_path, "nist_zh_en"), tmp_path / "corpus"
    write_nist_zh_en(corpus)
    result = recipe.prepare("data", "--corpus", str(corpus))
    assert result.returncode == 0, result.stderr
    assert "nist06: 1 documents left out, with 2 of 4 references" in result.stderr
    for name, count in (("nist02", 3), ("nist05", 6), ("nist06", 6), ("nist08", 6)):
        data = recipe.folder / "data" / name
        assert len(table(data / "text.zh")) == count
        for number in range(4):
            texts = table(data / f"text.en{f'.{number}' if number else ''}")
            empty = name == "nist02" and number == 2
            assert texts[f"{name}-00000003"] == f"the house is red . {0 if empty else number}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: (f / "mt05-ref.sgm").unlink(), "no <refset> in mt05_evlset_v0.sgm"),
        (
            lambda f: (f / "mt05_evlset_v0.sgm").write_bytes("<srcset>\n<seg>一只猫坐着。</seg>".encode("gb18030")),
            "not UTF-8",
        ),
        (lambda f: (f / "mt05_evlset_v0.sgm").write_text("<srcset>\n<seg id=1> a </seg>\n"), "before the first <doc"),
        (
            lambda f: (f / "mt05_evlset_v0.sgm").write_text('<srcset><doc docid="XIN1"><seg id=1> a </seg></doc>'),
            "the document XIN1 has 1 segments, its reference 1 has 3",
        ),
        (lambda f: [path.unlink() for path in f.iterdir()], "neither SGML or XML files of nist05 nor nist05.cn"),
    ],
)
def test_nist_says_what_is_wrong(tmp_path: Path, change, said: str) -> None:
    nist_markup(tmp_path / "nist05", "mt05")
    change(tmp_path / "nist05")
    with pytest.raises(ValueError, match=said.replace("(", r"\(")):
        nist.read_set(tmp_path, "nist05", ("zh", "en"))


@pytest.mark.parametrize(
    ("name", "width", "heads", "batch", "trajectories", "vocabulary"),
    [
        ("wmt15", 2048, 8, 16, 10, "40000"),
        ("iwslt16", 1024, 4, 8, 5, "24000"),
        ("nist_zh_en", 2048, 8, 16, 10, "30000"),
    ],
)
def test_settings_are_those_of_the_paper(name, width, heads, batch, trajectories, vocabulary) -> None:
    folder = ROOT / "egs" / name
    mt, tn = (read_config(folder / "conf" / f"{system}.yaml").values for system in ("mt", "tn"))
    assert (mt["encoder_conf"]["linear_units"], mt["decoder_conf"]["attention_heads"]) == (width, heads)
    assert (mt["encoder_conf"]["output_size"], mt["encoder_conf"]["num_blocks"]) == (512, 6)
    assert (tn["max_batch_size"], tn["model_conf"]["trajectories"], tn["model_conf"]["alpha"]) == (
        batch,
        trajectories,
        0.04,
    )
    assert tn["num_iters_per_epoch"] * tn["max_epoch"] == 30_000
    assert f"--vocab_size {vocabulary} " in (folder / "run.sh").read_text()
    assert mt["subwords"] == tn["subwords"] == ("separate" if name == "nist_zh_en" else "joint")
