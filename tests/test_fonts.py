"""Labels of pictures: no box in the place of a character, with or without fonts for Chinese and Japanese."""

import io
import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.figure import Figure

from espnet_ext.reporting import fonts

CHINESE = "我们去学校"


@pytest.fixture(autouse=True)
def own_fonts_only(monkeypatch):
    """A system without further fonts, and no memory of what other tests found."""
    manager = font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", [font for font in manager.ttflist if font.name.startswith("DejaVu")])
    for remembered in (fonts.family_with, fonts.characters):
        remembered.cache_clear()
    yield
    for remembered in (fonts.family_with, fonts.characters):
        remembered.cache_clear()


def make_font(path, name: str, text: str) -> None:
    """A font whose characters are all squares."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    glyphs = [".notdef", *(f"c{i}" for i in range(len(text)))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(glyphs)
    builder.setupCharacterMap({ord(char): f"c{i}" for i, char in enumerate(text)})
    builder.setupGlyf(dict.fromkeys(glyphs, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(glyphs, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": name, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    font_manager.fontManager.addfont(path)


def draw(tokens: list[str]) -> list[str]:
    """What was written; a missing character would be a warning, and so an error."""
    names, family = fonts.drawable(tokens)
    figure = Figure()
    figure.subplots().set_yticks(range(len(names)), names, family=family)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png")
    return names


def test_latin_needs_no_further_font():
    tokens = ["▁Straße", "ñ", "Ж", "(end)"]
    assert fonts.drawable(tokens) == (tokens, [fonts.OWN]) and draw(tokens) == tokens


def test_without_a_font_tokens_become_their_numbers():
    assert draw(["▁我们", "去", "A", "学校", "(end)"]) == ["1", "2", "A", "4", "(end)"]


def test_a_font_of_the_system_is_found_and_used(tmp_path):
    make_font(tmp_path / "small.ttf", "A CJK Font With Less", CHINESE[:2])
    make_font(tmp_path / "cjk.ttf", "Some CJK Font", CHINESE)
    tokens = ["▁我们", "去", "A", "学校"]
    assert fonts.drawable(tokens) == (tokens, [fonts.OWN, "Some CJK Font"]) and draw(tokens) == tokens
    assert draw(["日"]) == ["1"]


def test_a_broken_font_is_passed_over(tmp_path):
    make_font(tmp_path / "cjk.ttf", "Broken CJK", CHINESE)
    (tmp_path / "cjk.ttf").write_bytes(b"no font")
    assert draw(["去"]) == ["1"]
