"""Evaluation sets of IWSLT: recordings cut by a program, references cut by translators."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet_ext.data import segment_yaml, write_datadir

AGAIN = "unpack the corpus again"
ELEMENT = re.compile(r"<doc\b[^>]*\bdocid=\"([^\"]*)\"|<seg\b[^>]*>(.*?)</seg>", re.DOTALL)


@dataclass
class EvaluationSet:
    """Utterances without texts, and the references of each language by `<talk>_r<number>`."""

    utterances: list[write_datadir.Utterance]
    references: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)  # references that say nothing in some language


def read_evaluation_set(folder: Path, stem: str, langs: Sequence[str]) -> EvaluationSet:
    """`folder` holds <stem>.yaml, <stem>.<lang>.xml, wavs/ and FILE_ORDER, which says which talks belong to the set."""
    segments_file = segment_yaml.require(folder / f"{stem}.yaml", AGAIN)
    order_file = segment_yaml.require(folder / "FILE_ORDER", AGAIN)
    order = [
        Path(line.strip()).name.removesuffix(".wav") for line in segment_yaml.read_lines(order_file) if line.strip()
    ]
    segments = [s for s in segment_yaml.read_segments(segments_file) if Path(s.wav).stem in set(order)]
    silent = set(order) - {Path(s.wav).stem for s in segments}
    if silent:
        raise ValueError(
            f"{segments_file}: no segment of {', '.join(sorted(silent))}, which {order_file} names; {AGAIN}"
        )
    keys = segment_yaml.utterance_ids(segments)
    found = EvaluationSet(
        [segment_yaml.as_utterance(k, s, {}, folder / "wavs") for k, s in zip(keys, segments, strict=True)]
    )
    files = {lang: segment_yaml.require(folder / f"{stem}.{lang}.xml", AGAIN) for lang in langs}
    documents = {lang: read_xml(path) for lang, path in files.items()}
    for talk in order:
        _add_references(found, talk, documents, files)
    return found


def read_xml(path: Path) -> dict[int, list[str]]:
    """The segments of each talk by its number; read by pattern, since not every release is valid XML."""
    documents: dict[int, list[str]] = {}
    current = None
    for docid, text in ELEMENT.findall(path.read_text(encoding="utf-8")):
        if docid:
            current = documents.setdefault(number_of(docid, path), [])
            if current:
                raise ValueError(f"{path}: document {docid} comes twice; {AGAIN}")
        elif current is None:
            raise ValueError(f"{path}: a <seg> before the first <doc docid=...>; {AGAIN}")
        else:
            current.append(" ".join(html.unescape(text).split()))
    return documents


def number_of(name: str, where: Path) -> int:
    """767 of `767`, `talkid767` and `tst2010.en.talkid767`."""
    digits = re.search(r"(\d+)\s*$", name)
    if digits is None:
        raise ValueError(f"{where}: the talk '{name}' has no number at its end; {AGAIN}")
    return int(digits[1])


def _add_references(
    found: EvaluationSet, talk: str, documents: dict[str, dict[int, list[str]]], files: dict[str, Path]
) -> None:
    """The references of one talk, which must run line by line in all languages."""
    number = number_of(talk, next(iter(files.values())))
    lines: dict[str, list[str]] = {}
    for lang, path in files.items():
        if number not in documents[lang]:
            have = " ".join(map(str, sorted(documents[lang])))
            raise ValueError(f"{path}: no document {number} for the talk {talk}; it has {have}; {AGAIN}")
        lines[lang] = documents[lang][number]
    counts = {lang: len(rows) for lang, rows in lines.items()}
    if len(set(counts.values())) > 1:
        shown = " and ".join(f"{count} in {files[lang].name}" for lang, count in counts.items())
        raise ValueError(f"{files[min(files)].parent}: talk {talk} has {shown} segments; they must be as many; {AGAIN}")
    for i, rows in enumerate(zip(*lines.values(), strict=True), 1):
        key = f"{talk}_r{i:05d}"
        if not all(write_datadir.has_text(row) for row in rows):
            found.empty.append(key)
            continue
        for lang, row in zip(lines, rows, strict=True):
            found.references.setdefault(lang, []).append((key, row))
