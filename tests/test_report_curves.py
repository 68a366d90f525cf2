"""Quality over lag on the report's page, in a real browser; needs Debian's chromium."""

import json

import pytest

from espnet_ext import report, score
from tests.support.chromium import Chromium
from tests.support.fake_curves import SYSTEMS, make_fake_curves

COMMON = ["exp", "--systems", SYSTEMS, "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_fake_curves(tmp_path_factory.mktemp("page"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main([*COMMON, "--samples", "50"])
        report.main(COMMON)
    return root


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def page(root, browser):
    browser.open("about:blank#")
    browser.events.clear()
    browser.open(f"file://{root}/report.html")
    yield browser
    assert browser.complaints() == []


def mark(name: str) -> str:
    return f"document.querySelector(`#latency [data-point='{name}']`)"


def test_figures_have_a_point_for_every_setting(page):
    titles = page.run("[...document.querySelectorAll('#latency figcaption')].map((one) => one.textContent)")
    assert titles == [
        *("BLEU over AL", "BLEU over consecutive wait", "Length ratio over AL", "BLEU over AL, per cent of greedy"),
        "Share of sentences by initial delay",
    ]
    marks = "document.querySelector('#latency-charts svg').querySelectorAll('.point')"
    names = page.run(f"[...{marks}].map((x) => x.dataset.point)")
    assert set(names) == {"greedy", "tn", *(f"waitk k={k}" for k in (1, 3, 9)), *(f"le d={d}" for d in (0, 4, 10))}
    page.run("byId('lag').value = 'dal'; byId('lag').dispatchEvent(new Event('change'))")
    assert page.run("document.querySelector('#latency figcaption').textContent") == "BLEU over DAL"
    page.run("document.querySelector('#latency .legend [data-system=waitk]').click()")
    assert page.run(f"{mark('waitk k=1')} === null") and page.run(f"{mark('le d=0')} !== null")


def test_pointing_tells_policy_figures_and_signature(page, root):
    compared = json.loads((root / "exp/curves.test.json").read_text())["streams"]["mt"]
    tn = next(curve for curve in compared["curves"] if curve["name"] == "tn")["points"][0]
    page.run(f"{mark('tn')}.dispatchEvent(new Event('pointerenter'))")
    said = page.run("document.querySelector('#latency output').textContent")
    assert said.startswith(f"tn BLEU {tn['scores']['bleu']['score']:.2f} ± {tn['scores']['bleu']['ci']:.2f}, AL ")
    assert f"+{tn['against']['al']['bleu']['waitk k']['difference']:.1f} waitk k (p = 0.039)" in said
    assert compared["signatures"]["bleu"] in said and compared["signatures"]["al"] in said


def test_a_click_shows_how_a_sentence_was_written(page, root):
    page.run(f"{mark('waitk k=1')}.dispatchEvent(new Event('click'))")
    assert page.run("chosen.lines.map(({ point }) => point.name)") == ["waitk k=1", "greedy", "le d=0", "tn"]
    page.run("turnSentence(4)")
    key, text = page.run("current.ids[4]"), page.run("chosen.point.text[4]").split()
    rows = [json.loads(line) for line in (root / "exp/sweep/waitk-k/k=1/test/delays.mt.jsonl").read_text().splitlines()]
    read = next(row["word"]["read"] for row in rows if row["id"] == key)
    cells = page.run("[...document.querySelectorAll('#stairs tr.first td')].map((cell) => cell.textContent)")
    assert cells == [" ".join(w for w, d in zip(text, read, strict=True) if d == i + 1) for i in range(len(cells))]
    path = page.run("document.querySelector('#stairs path.first').getAttribute('d')")
    assert path.count("v") == len(read) and path.startswith("M8 6H34v15")
    page.run("byId('stairs-next').click()")
    assert page.run("byId('stairs-id').textContent") == page.run("current.ids[5]")


def test_a_case_shows_the_stairs_too(page):
    page.run("location.hash = caseAddress(2)")
    page.wait_for("document.querySelector('#case-body svg.stairs') !== null")


def test_a_recipe_without_lag_has_no_such_section(page):
    page.run("current.curves = {}; chosen = null; drawLatency(); showCase(current.ids[2]); showCase('nobody')")
    assert page.run("byId('results').offsetHeight") and not page.run("byId('latency').offsetHeight")
