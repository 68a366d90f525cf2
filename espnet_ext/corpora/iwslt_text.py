"""TED talks of IWSLT as text: `<a>-<b>/{train.tags.<a>-<b>.<l>, IWSLT<yy>.TED.<set>.<a>-<b>.<l>.xml}` for both l."""

from collections.abc import Iterator
from pathlib import Path

from espnet_ext.corpora import text_pairs
from espnet_ext.corpora.iwslt_evaluation import read_xml
from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

AGAIN = text_pairs.AGAIN
Texts = dict[str, Path]  # a file for each language


def find(corpus: Path, pattern: str, langs: tuple[str, str]) -> Texts:
    """The files of both languages; `{pair}` and `{lang}` are put into the pattern.

    Each direction has a folder of its own, and the English of a talk may differ between them: this one's comes first.
    """
    require(corpus, "give the folder that holds de-en or en-de")
    for pair in (f"{a}-{b}" for a, b in (langs, langs[::-1])):
        for folder in (corpus / pair, corpus):
            found = {lang: sorted(folder.glob(pattern.format(pair=pair, lang=lang))) for lang in langs}
            if all(found.values()):
                return {lang: paths[0] for lang, paths in found.items()}
    wanted = pattern.format(pair="-".join(langs), lang="{" + ",".join(langs) + "}")
    raise ValueError(
        f"{corpus.absolute()}: {wanted} is neither in it nor in a folder {'-'.join(langs)}; unpack it there"
    )


def training_files(corpus: Path, langs: tuple[str, str]) -> Texts:
    return find(corpus, "train.tags.{pair}.{lang}", langs)


def read_train(files: Texts) -> Iterator[Utterance]:
    """The lines that are no markup (`<url>`, `<title>` and the like), paired in their order."""
    streams = {lang: _spoken(path) for lang, path in files.items()}
    number = 0
    while True:
        found = {lang: next(stream, None) for lang, stream in streams.items()}
        if None in found.values():
            break
        number += 1
        key = f"train-{number:08d}"
        yield Utterance(key, key, {lang: str(line) for lang, line in found.items()})
    if any(line is not None for line in found.values()):
        longer = next(files[lang] for lang, line in found.items() if line is not None)
        raise ValueError(f"{longer}: has more lines that are no markup than the other language, {number}; {AGAIN}")


def _spoken(path: Path) -> Iterator[str]:
    return (line for line in read_lines(path, AGAIN) if not line.lstrip().startswith("<"))


def read_set(corpus: Path, name: str, langs: tuple[str, str]) -> list[Utterance]:
    """A development or test set, talk by talk."""
    files = find(corpus, f"IWSLT*.TED.{name}.{{pair}}.{{lang}}.xml", langs)
    talks = {lang: read_xml(path) for lang, path in files.items()}
    a, b = langs
    if talks[a].keys() != talks[b].keys():
        talk = sorted(talks[a].keys() ^ talks[b].keys())[0]
        raise ValueError(f"{files[a]} and {files[b]}: only one of them has the talk {talk}; {AGAIN}")
    utterances = []
    for talk, lines in sorted(talks[a].items()):
        if len(lines) != len(talks[b][talk]):
            shown = f"{len(lines)} segments of the talk {talk}, and {files[b]} has {len(talks[b][talk])}"
            raise ValueError(f"{files[a]}: has {shown}; they must be as many; {AGAIN}")
        for i, texts in enumerate(zip(lines, talks[b][talk], strict=True), 1):
            key = f"{name}-{talk:06d}-{i:04d}"
            utterances.append(Utterance(key, key, dict(zip(langs, texts, strict=True))))
    return utterances
