"""Systems over the values of an option on the report's page, in a real browser; needs Debian's chromium."""

import pytest

from espnet_ext import report, score
from tests.support.chromium import Chromium
from tests.support.fake_sweeps import KEY, SYSTEMS, make_fake_sweeps

COMMON = ["exp", "--systems", SYSTEMS, "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de"]
CHART = "[...document.querySelectorAll('#sweep-charts figure')].at(-1)"  # of KEY


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = make_fake_sweeps(tmp_path_factory.mktemp("page"), utterances=24)
    with pytest.MonkeyPatch.context() as patch, Chromium(tmp_path_factory.mktemp("profile")) as browser:
        patch.chdir(root)
        score.main([*COMMON, "--samples", "150"])
        report.main(COMMON)
        browser.open(f"file://{root}/report.html")
        yield browser
        assert browser.complaints() == []


def test_a_chart_has_a_curve_for_each_system_over_a_log_axis(page):
    assert page.run(f"{CHART}.querySelector('figcaption').textContent") == f"WER de over {KEY}"
    assert page.run(f"{CHART}.querySelectorAll('.series').length") == 3
    names = page.run(f"[...{CHART}.querySelectorAll('.point')].map((mark) => mark.dataset.point)")
    assert [name.partition(" ")[0] for name in names] == ["scratch"] * 3 + ["direct"] * 3 + ["joint"] * 2
    x = page.run(f"[...{CHART}.querySelectorAll('.point')].slice(0, 3).map((mark) => Number(mark.getAttribute('cx')))")
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(0.5315, abs=0.001), "0.05, 0.17 and 0.5 hours"


def test_pointing_tells_score_gain_and_whom_it_beats(page):
    page.run(f"{CHART}.querySelector('[data-point=\"direct {KEY}=a_tenth\"]').dispatchEvent(new Event('pointerenter'))")
    chart = page.run("current.sweeps.at(-1)")
    point = chart["curves"][1]["points"][0]
    said = page.run(f"{CHART}.querySelector('output').textContent")
    assert said.startswith(
        f"direct, a_tenth, 0.05 h WER de {point['told']['score']:.2f} ± {point['told']['ci']:.2f} (95 %"
    )
    assert f"+{point['gain']:.1f} % against scratch. Better than scratch, joint (p < 0.05)." in said
    assert said.endswith(chart["signature"])


def test_the_legend_hides_a_system(page):
    button = "document.querySelector('#sweeps .legend [data-system=direct]')"
    page.run(f"{button}.click()")
    assert page.run(f"{CHART}.querySelectorAll('.series').length") == 2
    page.run(f"{button}.click()")
    assert page.run(f"{CHART}.querySelectorAll('.series').length") == 3


def test_a_test_set_without_sweeps_hides_the_section(page):
    assert page.run("byId('sweeps').offsetHeight")
    page.run("swept = current.sweeps; current.sweeps = []; drawSweeps()")
    assert not page.run("byId('sweeps').offsetHeight")
    page.run("current.sweeps = swept; drawSweeps()")
