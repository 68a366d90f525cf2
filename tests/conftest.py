"""Before any test: one thread each, since test processes share the cores, and a Ctrl-C that children can receive.

And what the tests of results and of the report's page share: each of their files makes its own `scored` or `root`.
"""

import os
import shutil
import signal

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a run in the background ignores it, and so do its children


@pytest.fixture()
def root(scored, tmp_path, monkeypatch):
    """A copy of the scored experiments that a test may change, as the folder it runs in."""
    shutil.copytree(scored, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def address(root):
    """The page of the results in `root`, made once for a file of tests."""
    from espnet_ext import report, score
    from tests.support.fake_results import COMMON

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        score.main([*COMMON, "--samples", "50"])
        report.main(COMMON)
    return (root / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from tests.support.chromium import Chromium

    with Chromium(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


@pytest.fixture()
def page(browser, address):
    """The page, freshly open; at the end it must have complained of nothing and asked for no other file."""
    browser.open("about:blank#")
    browser.events.clear()
    browser.open(address)
    yield browser
    assert browser.complaints() == []
    assert {url.partition("#")[0] for url in browser.requests()} == {address}
