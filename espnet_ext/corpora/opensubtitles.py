"""OpenSubtitles of OPUS: OpenSubtitles.<a>-<b>.{<a>,<b>,ids}; each line of ids names the two films of the line."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from espnet_ext.corpora import text_pairs
from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

PREFIX = "opensubtitles"


def read_corpus(corpus: Path, langs: tuple[str, str]) -> text_pairs.Pairs:
    """Every pair; the speaker is the film, since lines of one film must not come into two sets."""
    require(corpus, "give the folder of the unpacked corpus")
    places = [corpus / f"OpenSubtitles.{a}-{b}.ids" for a, b in (sorted(langs), sorted(langs)[::-1])]
    ids = next((path for path in places if path.exists()), places[0])
    require(ids, "unpack the Moses archive of the pair there")
    texts = {lang: text_pairs.find(ids.with_suffix(f".{lang}"), text_pairs.AGAIN) for lang in langs}
    return text_pairs.Pairs(PREFIX, (*texts.values(), ids), partial(_with_films, texts, ids))


def _with_films(texts: dict[str, Path], ids: Path) -> Iterator[Utterance]:
    pairs = text_pairs.read_pairs(texts, PREFIX)
    lines = read_lines(ids, text_pairs.AGAIN)
    for number, pair in enumerate(pairs, 1):
        line = next(lines, None)
        if line is None:
            raise ValueError(f"{ids} has {number - 1} lines, fewer than the texts beside it; {text_pairs.AGAIN}")
        # `en/2001/250687/3614563.xml.gz<tab>de/2001/250687/...`: the folder of a file is the film's number
        parts = line.split("\t")[0].split("/")
        if len(parts) < 3:
            raise ValueError(f"{ids}:{number}: expected `<language>/<year>/<film>/<file>`, found {line[:60]!r}")
        yield replace(pair, speaker=f"film{parts[-2]}")
