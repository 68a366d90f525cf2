"""Test sentences that are in the training text too: they make a score better than the system is."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from espnet_ext.data.read_datadir import TEXTS, tables
from espnet_ext.infra.files import read_table


def find_leaks(sets: Sequence[Path], training: Sequence[Path]) -> Iterator[tuple[Path, str, int, int]]:
    """(set, language, sentences found in training, all its sentences) of each text of each set."""
    texts = {path: [plain(text) for _, text in read_table(path)] for folder in sets for path in references(folder)}
    for lang in sorted({language(path) for path in texts}):
        own = {path: lines for path, lines in texts.items() if language(path) == lang}
        wanted = {line for lines in own.values() for line in lines}
        seen = {line for folder in training for line in lines_of(folder / f"text.{lang}") if line in wanted}
        for path, lines in own.items():
            yield path.parent, lang, sum(line in seen for line in lines), len(lines)


def references(folder: Path) -> list[Path]:
    return [path for path in tables(folder) if path.name.startswith(TEXTS)]


def language(path: Path) -> str:
    return path.name.split(".")[1]


def lines_of(path: Path) -> Iterable[str]:
    return (plain(text) for _, text in read_table(path)) if path.exists() else ()


def plain(text: str) -> str:
    """Without what does not make it another sentence: case and white space."""
    return " ".join(text.casefold().split())
