"""Development and test sets of WMT: `<set>-<ab>-src.<a>.sgm` with `<set>-<ab>-ref.<b>.sgm`, or `<set>.<language>`."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

from espnet_ext.corpora import text_pairs
from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

SEGMENT = re.compile(r"<seg\b[^>]*>(.*?)</seg>", re.IGNORECASE)


def read_set(corpus: Path, name: str, langs: tuple[str, str]) -> list[Utterance]:
    """One set, from whichever form and direction of it lies in the folder, its `dev` or its `test`."""
    folders = [corpus, *(path for path in (corpus / "dev", corpus / "test") if path.is_dir())]
    for folder in folders:
        plain = {lang: folder / f"{name}.{lang}" for lang in langs}
        if all(path.exists() for path in plain.values()):
            return list(text_pairs.read_pairs(plain, name))
        for a, b in (langs, langs[::-1]):
            files = {a: folder / f"{name}-{a}{b}-src.{a}.sgm", b: folder / f"{name}-{a}{b}-ref.{b}.sgm"}
            if all(path.exists() for path in files.values()):
                return _as_pairs({lang: files[lang] for lang in langs}, name)
    a, b = langs
    wanted = f"{name}-{a}{b}-src.{a}.sgm and -ref.{b}.sgm, the same for {b}{a}, or {name}.{a} and {name}.{b}"
    require(corpus, f"give the folder that holds {name}")
    raise ValueError(f"{corpus.absolute()}: {name} is not in it, its dev or its test as {wanted}; unpack it there")


def read_sgm(path: Path) -> list[str]:
    """The segments in the order of the file; by pattern, as sgm is no XML (a bare `&`), and holds one a line."""
    return list(_segments(path))


def _segments(path: Path) -> Iterator[str]:
    for line in read_lines(path, text_pairs.AGAIN):
        for text in SEGMENT.findall(line):
            yield " ".join(html.unescape(text).split())


def _as_pairs(files: dict[str, Path], name: str) -> list[Utterance]:
    texts = {lang: read_sgm(path) for lang, path in files.items()}
    counts = {lang: len(lines) for lang, lines in texts.items()}
    if len(set(counts.values())) > 1 or not all(counts.values()):
        shown = " and ".join(f"{files[lang]} has {count}" for lang, count in counts.items())
        raise ValueError(f"{shown} segments; they must be as many, and more than none; unpack them again")
    keys = [f"{name}-{number:05d}" for number in range(1, min(counts.values()) + 1)]
    return [Utterance(key, key, {lang: texts[lang][i] for lang in texts}) for i, key in enumerate(keys)]
