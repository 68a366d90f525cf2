"""Tokens of any script as labels of a picture: a font that has their characters, or numbers where there is none."""

import functools

OWN = "DejaVu Sans"  # matplotlib brings it along; it has no Chinese, Japanese or Korean


def drawable(tokens: list[str]) -> tuple[list[str], list[str]]:
    """The tokens and the fonts to write them with; what no font of this system has becomes its number in the text."""
    wanted = frozenset("".join(tokens))
    family = family_with(wanted)
    if family:
        return tokens, family
    known = characters(OWN)
    return [token if known.issuperset(token) else str(i) for i, token in enumerate(tokens, 1)], [OWN]


@functools.lru_cache(maxsize=64)
def family_with(wanted: frozenset[str]) -> list[str]:
    """The fonts that have these characters together: matplotlib's own and, if need be, one of the system; or none."""
    from matplotlib.font_manager import fontManager

    missing = wanted - characters(OWN)
    if not missing:
        return [OWN]
    names = sorted({font.name for font in fontManager.ttflist}, key=lambda name: ("CJK" not in name, name))
    return next(([OWN, name] for name in names if missing <= characters(name)), [])


@functools.lru_cache(maxsize=1024)
def characters(name: str) -> frozenset[str]:
    """What a font can draw; nothing if its file cannot be read."""
    from matplotlib.font_manager import findfont
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(findfont(name)).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
