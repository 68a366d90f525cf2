"""Parallel text: `<name>.<a>-<b>.<language>` for each language, plain or .gz, line by line; or `<name>.<a>-<b>.tsv`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

AGAIN = "unpack the corpus again, or convert the file"


@dataclass(frozen=True)
class Pairs:
    """A corpus of pairs: its files, and its utterances, which are read anew each time."""

    prefix: str
    paths: tuple[Path, ...]
    read: Callable[[], Iterator[Utterance]]

    def __iter__(self) -> Iterator[Utterance]:
        return self.read()


def together(corpora: Iterable[Pairs]) -> Pairs:
    """Several corpora as one, in the order of their ids."""
    parts = sorted(corpora, key=lambda pairs: pairs.prefix.encode())
    paths = tuple(path for pairs in parts for path in pairs.paths)
    return Pairs(parts[0].prefix, paths, lambda: chain.from_iterable(parts))


def find(path: Path, remedy: str) -> Path:
    """The file, or the one of that name with .gz."""
    return found if (found := _there(path)) else require(path, remedy)


def _there(path: Path) -> Path | None:
    packed = path.with_name(f"{path.name}.gz")
    return path if path.exists() else packed if packed.exists() else None


def read_corpus(corpus: Path, names: Sequence[str], langs: tuple[str, str]) -> Pairs:
    """The pairs of the first of `names` found in the folder or a folder of it, in either order of languages."""
    require(corpus, "give the folder of the unpacked corpus")
    stems = [f"{name}.{a}-{b}" for name in names for a, b in (langs, langs[::-1])]
    for folder in (corpus, *sorted(path for path in corpus.iterdir() if path.is_dir())):
        for stem in stems:
            texts = {lang: path for lang in langs if (path := _there(folder / f"{stem}.{lang}"))}
            prefix = stem.partition(".")[0]
            if len(texts) == len(langs):
                return Pairs(prefix, tuple(texts.values()), partial(read_pairs, texts, prefix))
            if texts:
                raise ValueError(f"{next(iter(texts.values()))}: the other language is not beside it; {AGAIN}")
            if table := _there(folder / f"{stem}.tsv"):
                return Pairs(prefix, (table,), partial(read_tsv, table, stem.rpartition(".")[2].split("-"), prefix))
    shown = " nor ".join(f"{stem}.{{{','.join(langs)}}}" for stem in stems)
    raise ValueError(f"{corpus.absolute()}: neither {shown} is in it or in a folder of it; unpack it there")


def read_pairs(texts: Mapping[str, Path], prefix: str) -> Iterator[Utterance]:
    """Each line with its translation, as `<prefix>-<number of the line>`; one at a time, since there are millions."""
    streams = {lang: read_lines(path, AGAIN) for lang, path in texts.items()}
    number = 0
    while True:
        found = {lang: next(stream, None) for lang, stream in streams.items()}
        if None in found.values():
            break
        number += 1
        yield _pair(prefix, number, found)  # type: ignore[arg-type]
    if any(line is not None for line in found.values()):
        counts = {lang: number + (found[lang] is not None) + sum(1 for _ in stream) for lang, stream in streams.items()}
        shown = " and ".join(f"{texts[lang]} has {count} lines" for lang, count in counts.items())
        raise ValueError(f"{shown}; line i of one is the translation of line i of the other, so {AGAIN}")


def read_tsv(path: Path, langs: Sequence[str], prefix: str) -> Iterator[Utterance]:
    """A column for each language; a line that lacks one has an empty text, which the writer drops and counts."""
    for number, line in enumerate(read_lines(path, AGAIN), 1):
        columns = [*line.split("\t"), *[""] * len(langs)]
        yield _pair(prefix, number, dict(zip(langs, columns, strict=False)))


def _pair(prefix: str, number: int, texts: dict[str, str]) -> Utterance:
    key = f"{prefix}-{number:08d}"
    return Utterance(key, key, texts)
