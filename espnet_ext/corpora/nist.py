"""Sets of NIST's MT evaluations, each with several references: its SGML or XML files, or `<set>.{cn,en0,en1,...}`."""

import html
import re
from collections import Counter
from pathlib import Path

from espnet_ext.corpora import text_pairs
from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance, has_text

ELEMENT = re.compile(r"<(srcset|refset)\b([^>]*)>|<doc\b([^>]*)>|<seg\b[^>]*>(.*?)</seg>", re.DOTALL | re.IGNORECASE)
Documents = dict[tuple[str, str], list[str]]  # segments by (document, who translated it)
AGAIN = "unpack the set again"


def read_set(corpus: Path, name: str, langs: tuple[str, str]) -> tuple[list[Utterance], Counter[str]]:
    """Text `<lang>` and further references `<lang>.1`, ...; and documents left out, by reason."""
    folder = corpus / name if (corpus / name).is_dir() else corpus
    require(folder, f"give the folder that holds {name}")
    plain = sorted(folder.glob(f"{name}.*"), key=lambda path: path.name)
    files = [path for path in (plain if folder == corpus else sorted(folder.iterdir())) if is_markup(path)]
    if files:
        return from_markup(files, name, langs)
    return from_lines(folder, name, langs), Counter()


def is_markup(path: Path) -> bool:
    return path.suffix.lower() in (".sgm", ".sgml", ".xml")


def from_lines(folder: Path, name: str, langs: tuple[str, str]) -> list[Utterance]:
    """The layout in which the sets are handed around: `nist02.cn` (or `.zh`) with `nist02.en0` to `nist02.en3`."""
    source = next((path for end in ("cn", langs[0]) if (path := folder / f"{name}.{end}").exists()), None)
    references = sorted(folder.glob(f"{name}.{langs[1]}[0-9]")) or sorted(folder.glob(f"{name}.{langs[1]}"))
    if source is None or not references:
        raise ValueError(
            f"{folder.absolute()}: neither SGML or XML files of {name} nor {name}.cn with {name}.{langs[1]}0, "
            f"{name}.{langs[1]}1, ... are in it; unpack them there"
        )
    texts = {langs[0]: source} | {numbered(langs[1], i): path for i, path in enumerate(references)}
    return [with_all(utterance, langs) for utterance in text_pairs.read_pairs(texts, name)]


def numbered(lang: str, reference: int) -> str:
    """The name of a reference in a data directory: text.en, text.en.1, text.en.2, ..."""
    return f"{lang}.{reference}" if reference else lang


def with_all(utterance: Utterance, langs: tuple[str, str]) -> Utterance:
    """A reference that says nothing is as the first that does: no sentence of a test set is lost for it."""
    source = langs[0]
    written = [text for name, text in utterance.texts.items() if name != source and has_text(text)]
    texts = {n: text if n == source or has_text(text) else (written or [""])[0] for n, text in utterance.texts.items()}
    return Utterance(utterance.id, utterance.speaker, texts)


def from_markup(files: list[Path], name: str, langs: tuple[str, str]) -> tuple[list[Utterance], Counter[str]]:
    """Sources and references are told apart by what the files say, whatever their names are."""
    sources: Documents = {}
    references: Documents = {}
    for path in files:
        read_markup(path, sources, references)
    if not sources or not references:
        found = ", ".join(path.name for path in files)
        raise ValueError(f"{files[0].parent}: no {'<srcset>' if not sources else '<refset>'} in {found}; {AGAIN}")
    by_document: dict[str, list[list[str]]] = {}
    for (document, _), lines in sorted(references.items()):
        by_document.setdefault(document, []).append(lines)
    wanted = max(map(len, by_document.values()))
    utterances: list[Utterance] = []
    left_out = Counter[str]()
    for (document, _), lines in sources.items():
        translated = by_document.get(document, [])
        if len(translated) < wanted:  # the part of MT06 that comes from GALE has two
            left_out[f"{len(translated)} of {wanted} references"] += 1
            continue
        for number, other in enumerate(translated):
            if len(other) != len(lines):
                found = f"{len(lines)} segments, its reference {number + 1} has {len(other)}"
                raise ValueError(f"{files[0].parent}: the document {document} has {found}; {AGAIN}")
        names = [langs[0], *(numbered(langs[1], n) for n in range(wanted))]
        for texts in zip(lines, *translated, strict=True):
            key = f"{name}-{len(utterances) + 1:08d}"
            utterances.append(with_all(Utterance(key, key, dict(zip(names, texts, strict=True))), langs))
    return utterances, left_out


def read_markup(path: Path, sources: Documents, references: Documents) -> None:
    """The segments of each document; by pattern, as SGML is no XML, and releases differ in their attributes."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error.reason}); convert it: iconv -f GB18030 -t UTF-8") from None
    target, by_set, current = sources, "", None
    for kind, attributes, document, segment in ELEMENT.findall(text):
        if kind:
            target = sources if kind.lower() == "srcset" else references
            by_set = attribute(attributes, "refid")
        elif document:
            key = attribute(document, "docid"), attribute(document, "sysid") or by_set
            if not key[0]:
                raise ValueError(f"{path}: a <doc> without docid; {AGAIN}")
            current = target.setdefault(key, [])
            if current:
                raise ValueError(f"{path}: the document {key[0]} comes twice from '{key[1]}'; {AGAIN}")
        elif current is None:
            raise ValueError(f"{path}: a <seg> before the first <doc docid=...>; {AGAIN}")
        else:
            current.append(" ".join(html.unescape(segment).split()))


def attribute(attributes: str, name: str) -> str:
    found = re.search(rf"\b{name}\s*=\s*\"([^\"]*)\"", attributes, re.IGNORECASE)
    return found[1] if found else ""
