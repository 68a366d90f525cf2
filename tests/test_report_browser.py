"""The report in a real browser, from a file and without network; needs Debian's chromium."""

import base64
import json
import re
import shutil

import numpy as np
import pytest

from espnet_ext import report, score
from espnet_ext.infra.files import read_table, write_table
from espnet_ext.reporting import clips
from tests.support.chromium import Chromium
from tests.support.fake_results import COMMON, make_fake_results

HOSTILE = '</script><img src="x" onerror="document.title=\'broken into\'">'
MUST_C = 2641  # utterances of its test set tst-COMMON


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = make_fake_results(tmp_path_factory.mktemp("page"), utterances=50)
    rows = dict(read_table(root / "exp/e2e/test/hyp.st"))
    write_table(root / "exp/e2e/test/hyp.st", {**rows, sorted(rows)[1]: HOSTILE}.items())
    return root


def choose(page, **fields: str) -> None:
    for name, value in fields.items():
        page.run(f"byId({name!r}).value = {value!r}; byId({name!r}).dispatchEvent(new Event('change'))")


def shown_ids(page) -> list[str]:
    return page.run("[...document.querySelectorAll('#list .id')].map((link) => link.textContent)")


def test_sections_are_drawn(page):
    assert page.run("document.querySelectorAll('#curves svg').length") == 5  # loss, acc, bleu, wer, learning rate
    assert page.run("document.querySelectorAll('#bars svg').length") == 4
    assert page.run("document.querySelectorAll('#histograms svg').length") == 3
    assert page.run("document.querySelectorAll('#matrix tbody tr').length") == 3
    assert page.run("document.title").endswith(": en to de")  # and so nothing was broken into
    assert page.run("document.querySelectorAll('#list img').length") == 0


def test_matrix_shows_the_comparison(page, root):
    compared = json.loads((root / "exp/significance.test.json").read_text())["streams"]["asr"]["wer"]
    choose(page, **{"matrix-metric": "asr wer"})
    cell = page.run("document.querySelector('#matrix tbody tr:nth-child(3) td:nth-child(2)').textContent")
    scores, p = compared["systems"], compared["p"]["multitask"]["asr"]
    difference = scores["multitask"]["score"] - scores["asr"]["score"]
    assert cell.startswith(f"{difference:.1f} ") and cell.endswith(f"p = {p:.3f}")


def test_pages_hold_twenty_and_turn(page, root):
    ids = list(dict(read_table(root / "data/test/text.de")))
    assert shown_ids(page) == ids[:20]
    page.run("byId('next').click()")
    assert shown_ids(page) == ids[20:40]
    page.press("]")
    assert shown_ids(page) == ids[40:] and page.run("byId('next').disabled")
    assert page.run("byId('shown').textContent") == "41 to 50 of 50 utterances"
    page.press("[")
    assert shown_ids(page) == ids[20:40]


@pytest.mark.parametrize(
    "metric, stream, name, sign, a, b",
    [("st bleu", "st", "bleu", 1, "e2e", "multitask"), ("asr wer", "asr", "wer", -1, "pipeline", "asr")],
)
def test_sorts_by_the_difference_of_two_systems(page, metric, stream, name, sign, a, b):
    choose(page, metric=metric, a=a, b=b, sort="a-b")
    group = page.run(f"report.sets[0].streams.{stream}.systems")
    gaps = [sign * (x - y) for x, y in zip(group[a]["scores"][name], group[b]["scores"][name], strict=True)]
    ids = page.run("report.sets[0].ids")
    expected = sorted(range(len(ids)), key=lambda i: -gaps[i])[:20]
    assert shown_ids(page) == [ids[i] for i in expected]
    first = group[a]["scores"][name][expected[0]] - group[b]["scores"][name][expected[0]]
    assert page.run("document.querySelector('#list .gap').textContent") == f"{a} − {b}: {first:+.1f}"
    choose(page, sort="worst")
    worst = sorted(range(len(ids)), key=lambda i: sign * group[a]["scores"][name][i])[0]
    assert shown_ids(page)[0] == ids[worst]


def test_search_finds_words_and_ids(page, root):
    texts = dict(read_table(root / "data/test/text.de"))
    page.run("byId('query').value = 'BRÜCKE'; arrange()")
    found = set(page.run("order.map((i) => current.ids[i])"))
    assert found >= {key for key, text in texts.items() if "brücke" in text.lower()} and len(found) < 50
    page.run("byId('query').value = 'spk01_00001'; arrange()")
    assert shown_ids(page) == ["spk01_00001"]
    page.run("byId('query').value = 'in no text'; arrange()")
    assert shown_ids(page) == [] and page.run("byId('shown').textContent") == "0 utterances (50 in all)"


def test_marks_are_the_errors_that_were_scored(page, root):
    scores = json.loads((root / "exp/pipeline/test/scores.json").read_text())["scores"]["asr"]["wer"]
    counts = page.run(
        "(() => { const group = current.streams.asr, counts = {};"
        "group.systems.pipeline.text.forEach((text, i) => {"
        "  for (const node of marked(group.texts[0][i], text, 'asr', group))"
        "    if (node.tagName) counts[node.tagName] = (counts[node.tagName] || 0) + 1; });"
        "return counts; })()"
    )
    assert sum(counts.values()) == sum(scores[k] for k in ("substitutions", "deletions", "insertions"))
    assert counts["INS"] - counts["DEL"] == scores["insertions"] - scores["deletions"]


# fmt: off
DIFFERENCES = [
    ("a b c", "a x c", "st", {}, "a [different:x] c"),
    ("a b c", "b c d", "st", {}, "[left out:a] b c [added:d]"),
    ("Das Haus.", "Das Haus", "st", {}, "Das Haus[left out:.]"),
    ("Isn't it, Bob?", "isnt it bob", "asr", {}, "[different:isnt] [different:it] [different:bob]"),
    ("It is, Bob?", "it is bob", "asr", {"lowercase": True, "remove_punctuation": True}, "it is bob"),
    ("今天去学校", "今天学校吧", "asr", {"unit": "character"}, "今天[left out:去]学校[added:吧]"),
    ("今天去学校。", "今天去了学校。", "st", {"unit": "character"}, "今天去[added:了]学校。"),
    ("a b", "", "st", {}, "[left out:a] [left out:b]"),
]
# fmt: on


@pytest.mark.parametrize("reference, hypothesis, stream, rules, expected", DIFFERENCES)
def test_differences_of_two_texts(page, reference, hypothesis, stream, rules, expected):
    rules = {"unit": "word", "lowercase": False, "remove_punctuation": False} | rules
    arguments = ", ".join(json.dumps(value) for value in (reference, hypothesis, stream, rules))
    names = "{ INS: 'added', DEL: 'left out', MARK: 'different' }"
    shown = f"marked({arguments}).map((n) => n.tagName ? `[${{({names})[n.tagName]}}:${{n.textContent}}]` : n).join('')"
    assert page.run(shown) == expected


def test_a_long_row_of_left_out_words_is_folded(page):
    page.run(
        "document.body.append(element('p', { id: 'fold' }, ...marked('a b c d e f', 'f', 'st', { unit: 'word' })))"
    )
    unfolded = "[...byId('fold').childNodes].filter((node) => !node.classList?.contains('folded'))"
    shown = f"{unfolded}.map((node) => node.textContent).join('')"
    assert page.run(shown).split() == ["5", "left", "out", "f"]
    page.run("document.querySelector('#fold .fold').click()")
    assert page.run(shown).split() == ["5", "left", "out", "a", "b", "c", "d", "e", "f"]
    page.run("byId('fold').remove()")


def test_epochs_are_whole_and_only_trained_systems_are_among_curves(page):
    assert page.run("ticks(1, 3, 6, true)") == [1, 2, 3] and page.run("ticks(0, 1, 4)[1]") == 0.5
    names = "[...document.querySelectorAll('#training .legend button')].map((button) => button.dataset.system)"
    assert page.run(names) == ["asr", "mt", "e2e", "multitask"]
    assert "pipeline" in page.run(names.replace("#training", "#distributions"))


def test_audio_plays(page):
    played = page.run(
        "(async () => { const audio = document.querySelector('#list audio'); await audio.play();"
        "await new Promise((done) => audio.addEventListener('timeupdate', () => audio.currentTime > 0.1 && done()));"
        "return [audio.error, audio.duration, current.seconds[0]]; })()"
    )
    assert played[0] is None and played[1] == pytest.approx(played[2], abs=0.15)


def test_keyboard_finds_and_plays(page):
    page.press("j")
    page.press("j")
    page.press("k")
    page.press("j")
    assert page.run("[...byId('list').children].indexOf(document.activeElement)") == 1
    page.press("p")
    page.wait_for("!document.querySelectorAll('#list audio')[1].paused")
    page.press("/")
    assert page.run("document.activeElement.id") == "query"
    page.press("j")  # now a letter of the search
    assert page.run("byId('query').value") == "j"


def test_charts_are_read_with_the_arrow_keys_and_systems_hidden(page):
    page.run("document.querySelector('#curves svg').focus()")
    page.press("ArrowLeft")
    reading = page.run("document.querySelector('#curves output').textContent")
    assert reading.startswith("epoch 30: asr ") and "multitask (training) " in reading
    paths = page.run("document.querySelectorAll('#curves path').length")
    page.run("document.querySelector('.legend button').click()")
    assert page.run("document.querySelectorAll('#curves path').length") < paths
    assert "asr" not in page.run("document.querySelector('#curves svg').getAttribute('aria-label')")


def test_address_brings_the_same_view_back(page, address):
    choose(page, metric="asr cer", a="multitask", b="asr", sort="b-a")
    page.run("turnTo(1)")
    here, ids = page.run("location.href"), shown_ids(page)
    page.open("about:blank#")
    page.open(here)
    assert shown_ids(page) == ids and page.run("[byId('a').value, byId('sort').value]") == ["multitask", "b-a"]
    page.open("about:blank#")
    page.open(f"{address}#speed")
    page.wait_for("Math.abs(byId('speed').getBoundingClientRect().top) < 200")
    page.events.clear()
    page.run("location.reload()")
    page.wait_for(f"document.readyState === 'complete' && location.href.startsWith({address!r})")


def test_attention_pictures_are_shown(page):
    picture = "data:image/svg+xml;base64," + base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"/>').decode()
    page.run(f"current.attention = {{ [current.ids[1]]: {{ e2e: '{picture}' }} }}; turnTo(0)")
    assert page.run("document.querySelectorAll('.attention summary').length") == 1
    page.run("document.querySelector('.attention summary').click()")
    page.wait_for("document.querySelector('#list li:nth-child(2) .attention img').complete")
    assert page.run("document.querySelector('.attention img').naturalWidth") > 0


def test_light_and_dark_and_narrow(page):
    def background() -> str:
        return page.run("getComputedStyle(document.body).backgroundColor")

    bright = background()
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = background()
    page.run("byId('theme').click()")
    assert bright != dark and background() == bright
    page.call("Emulation.setEmulatedMedia", features=[])
    for width in (1280, 420):
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        assert page.run("document.documentElement.scrollWidth") <= width
    page.call("Emulation.clearDeviceMetricsOverride")


def test_controls_have_names_and_the_first_headings_are_in_order(page):
    nameless = (
        "[...document.querySelectorAll('input, select')].filter((box) => !box.labels.length).map((box) => box.id)"
    )
    assert page.run(nameless) == []
    assert page.run("[...document.querySelectorAll('svg[role=img]')].every((one) => one.getAttribute('aria-label'))")
    assert page.run("[...document.querySelectorAll('h1, h2')].map((h) => h.tagName).join(' ')") == "H1" + " H2" * 8


def test_picture_is_not_blank(page, tmp_path):
    from matplotlib.image import imread

    page.picture(tmp_path / "page.png", height=2400)
    pixels = (imread(tmp_path / "page.png")[..., :3] * 255).astype("uint8")
    assert len({tuple(pixel) for pixel in pixels[::7, ::7].reshape(-1, 3)}) > 50
    page.call("Emulation.clearDeviceMetricsOverride")


def test_the_whole_of_must_c_stays_usable(browser, tmp_path, monkeypatch):
    """2,641 utterances with a clip of six seconds each: the page opens, sorts and searches."""
    root = make_fake_results(tmp_path / "large", utterances=MUST_C, audio=False)
    ids = list(dict(read_table(root / "data/test/text.en")))
    write_table(root / "data/test/wav.scp", [("talk", "talk.wav")])
    write_table(root / "data/test/segments", ((key, "talk 0 6") for key in ids))
    shutil.rmtree(root / "exp/mt")  # three systems are enough: scoring them takes most of the time
    shutil.rmtree(root / "exp/pipeline")
    clip = page_clip()  # encoding each would take a minute; size and number are what matters here
    monkeypatch.setattr(clips, "encoded_clips", lambda folder, wanted: ((key, clip) for key in wanted))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        arguments = [*COMMON, "--allow_missing"]
        score.main([*arguments, "--samples", "20"])
        report.main(arguments)
    size = (root / "report.html").stat().st_size
    browser.events.clear()
    browser.open((root / "report.html").as_uri())
    timed = "(() => { const begin = performance.now(); %s; return Math.round(performance.now() - begin); })()"
    loaded = browser.run("Math.round(performance.now())")
    times = {
        "sort": browser.run(timed % "byId('sort').value = 'a-b'; arrange()"),
        "search": browser.run(timed % "byId('query').value = 'haus'; arrange()"),
        "turn": browser.run(timed % "turnTo(9)"),
    }
    print(f"{MUST_C} utterances: {size / 1e6:.1f} MB, opened after {loaded} ms, then {times} ms")
    assert 30e6 < size < 60e6
    assert browser.run("byId('list').children.length") == 20 and browser.run("order.length") > 200
    browser.run("byId('query').value = ''; byId('sort').value = 'id'; arrange(); turnTo(1000)")
    assert shown_ids(browser)[-1] == ids[-1]
    assert browser.run("document.querySelector('#list li:last-child audio').src.length") > 15000
    assert browser.complaints() == [] and browser.requests() == [(root / "report.html").as_uri()]


def page_clip() -> str:
    """Six seconds of sound as they are on the page."""
    time = np.arange(6 * 16000) / 16000
    noise = np.random.default_rng(1).normal(0, 0.02, len(time))
    return base64.b64encode(clips.encode(0.3 * np.sin(2 * np.pi * 220 * time) + noise)).decode()


def test_without_chromium_the_message_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=re.escape("apt-get install -y --no-install-recommends chromium")):
        Chromium(tmp_path)
