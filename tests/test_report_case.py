"""The case study: one utterance with all that was made of it, by an address of its own, and on paper."""

import base64
import json

import pytest

from espnet_ext.infra.files import read_table, write_table
from tests.support.fake_results import SYSTEMS, make_fake_results
from tests.test_report_browser import shown_ids

STRANGE = "a&b=c+%41#é"  # an id that an address has to quote


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_fake_results(tmp_path_factory.mktemp("case"), utterances=30)
    for path in [*root.glob("data/test/[tsu]*"), *root.glob("exp/*/test/hyp.*")]:
        rows = {STRANGE if key == "spk03_00010" else key: value for key, value in read_table(path)}
        write_table(path, rows.items())
    return root


def follow(page, number: int) -> str:
    """Click the link of an utterance in the list."""
    page.run(f"document.querySelectorAll('#list .id')[{number}].click()")
    page.wait_for("!byId('case').hidden")
    return page.run("byId('case-title').textContent").removesuffix(" of test")


def lines(page) -> list[list[str]]:
    return page.run(
        "[...document.querySelectorAll('#case-body .line')].map((l) => [...l.children].map((c) => c.textContent))"
    )


def visible(page) -> list[str]:
    return page.run("[...document.querySelectorAll('section')].filter((s) => s.offsetHeight).map((s) => s.id)")


def test_a_link_shows_one_utterance_and_what_every_system_made_of_it(page, root):
    key = follow(page, 4)
    assert key == sorted(dict(read_table(root / "data/test/text.en")))[4] and visible(page) == ["case"]
    shown = lines(page)
    expected = ["reference", "asr", "pipeline", "multitask", "reference", "pipeline", "e2e", "multitask", "mt"]
    assert [name for name, *_ in shown] == expected
    for line, file in ((0, "data/test/text.en"), (4, "data/test/text.de")):
        assert shown[line][1] == dict(read_table(root / file))[key]
    assert page.run("document.querySelectorAll('#case-body audio').length") == 1


def test_errors_are_counted_as_they_are_marked(page):
    for number in range(3):
        follow(page, number)
        marks = page.run(
            "[...document.querySelectorAll('#case-body .line:not(.reference)')].map((l) =>"
            "['mark', 'del', 'ins'].map((tag) => l.querySelectorAll(tag).length))"
        )
        told = [value for name, _, value in lines(page) if name != "reference"]
        for counts, value in zip(marks, told, strict=True):
            named = [f"{n} {name}" for n, name in zip(counts, ("different", "left out", "added"), strict=True) if n]
            assert value.startswith(", ".join(named) + "; " if named else "no error; ")
        page.run("history.back()")
        page.wait_for("byId('case').hidden")
    assert sum(map(sum, marks)) > 0


def test_the_list_comes_back_as_it_was(page):
    page.run("byId('query').value = 'house'; arrange()")
    before, ids = page.run("location.hash"), shown_ids(page)
    assert 1 < len(ids) < 30
    follow(page, 1)
    page.run("byId('case-close').click()")
    page.wait_for("byId('case').hidden")
    assert (page.run("location.hash"), shown_ids(page)) == (before, ids)
    assert len(visible(page)) == 6


def test_its_address_opens_it(page, address):
    follow(page, 12)
    here, shown = page.run("location.href"), lines(page)
    page.open("about:blank#")
    page.open(here)
    assert visible(page) == ["case"] and lines(page) == shown
    page.run("location.hash = '#speed'")
    page.wait_for("Math.abs(byId('speed').getBoundingClientRect().top) < 200")
    assert len(visible(page)) == 6 and len(shown_ids(page)) == 20
    page.run("location.hash = '#set=test&case=nobody'")
    page.wait_for("location.hash.includes('page=1')")
    assert len(visible(page)) == 6


def test_an_id_may_hold_any_characters(page):
    place = shown_ids(page).index(STRANGE)
    assert follow(page, place) == STRANGE and lines(page)


def test_neighbours_are_those_of_the_list(page):
    page.run("byId('sort').value = 'long'; arrange()")
    ids = shown_ids(page)
    assert follow(page, 1) == ids[1]
    page.run("byId('case-next').click()")
    page.wait_for(f"byId('case-title').textContent === {json.dumps(ids[2] + ' of test')}")
    page.press("[")
    page.press("[")
    page.wait_for(f"byId('case-title').textContent === {json.dumps(ids[0] + ' of test')}")
    assert page.run("byId('case-previous').disabled") and not page.run("byId('case-next').disabled")
    page.press("p")
    page.wait_for("!document.querySelector('#case audio').paused")


def test_a_case_that_is_shown_already_goes_on_playing(page):
    follow(page, 1)
    kept = page.run(
        "(async () => { turnCase(1); const first = document.querySelector('#case audio');"
        "await new Promise((done) => addEventListener('hashchange', () => setTimeout(done), { once: true }));"
        "return first === document.querySelector('#case audio'); })()"
    )
    assert kept


def test_on_paper_there_is_the_case_alone_with_its_marks(page):
    page.run("document.documentElement.style.colorScheme = 'dark'")
    follow(page, 4)
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run("[...document.querySelectorAll('header, nav, audio, button')].every((e) => !e.offsetHeight)")
    paper = page.run(
        "(() => { const style = getComputedStyle(document.querySelector('#case-body mark, #case-body del'));"
        "return [style.backgroundColor, style.printColorAdjust, getComputedStyle(document.body).color]; })()"
    )
    assert paper[0] != "rgba(0, 0, 0, 0)" and paper[1:] == ["exact", "rgb(27, 36, 48)"]
    printed = base64.b64decode(page.call("Page.printToPDF")["data"])
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") == 1
    page.call("Emulation.setEmulatedMedia", media="")


def test_every_system_is_there(page):
    follow(page, 0)
    assert {name for name, *_ in lines(page)} == {"reference", *SYSTEMS}
