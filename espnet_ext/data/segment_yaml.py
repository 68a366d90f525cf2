"""Corpora of talks: a yaml of segments whose entry i belongs to line i of each text (MuST-C, iwslt-corpus)."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra import lines as text_lines

# `- {duration: 3.5, offset: 16.08, speaker_id: spk.1, wav: ted_1.wav}`; keys and values may be quoted
FLOW_MAPPING = re.compile(r"-\s*\{(.*)\}\s*")
FLOW_PAIR = re.compile(r"""\s*["']?(\w+)["']?\s*:\s*(?:"([^"\\]*)"|'([^']*)'|([^\s,"'\[\]{}#&*!|>%@`]+))\s*(?:,|$)""")
NEEDED = ("wav", "offset", "duration")


@dataclass(frozen=True, slots=True)
class Segment:
    """Where one line of the texts is spoken: a file, and the part of it in seconds."""

    wav: str
    offset: float
    duration: float
    speaker: str


def read_segments(path: Path) -> list[Segment]:
    """The entries of a segment yaml in the order of the file, read by key, since releases differ in their keys."""
    text = path.read_text(encoding="utf-8")
    entries = _flow_mappings(text)
    if entries is None:
        entries = _any_yaml(path, text)
    return [_segment(path, number, entry) for number, entry in enumerate(entries, 1)]


def _flow_mappings(text: str) -> list[dict[str, Any]] | None:
    """The entries if each is a flow mapping of plain values on its own line, which yaml would take minutes to read."""
    entries = []
    for line in text.split("\n"):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        mapping = FLOW_MAPPING.fullmatch(line)
        if mapping is None:
            return None
        entry, place = {}, 0
        while place < len(mapping[1]):
            pair = FLOW_PAIR.match(mapping[1], place)
            if pair is None:
                return None
            entry[pair[1]] = next(value for value in pair.groups()[1:] if value is not None)
            place = pair.end()
        entries.append(entry)
    return entries


def _any_yaml(path: Path, text: str) -> list[Any]:
    import yaml

    try:
        entries = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML ({error}); unpack the corpus again") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list of segments, found {type(entries).__name__}")
    return entries


def _segment(path: Path, number: int, entry: Any) -> Segment:
    where = f"{path}: segment {number}"
    missing = [key for key in NEEDED if not isinstance(entry, dict) or key not in entry]
    if missing:
        raise ValueError(f"{where} has no {', '.join(missing)}: {str(entry)[:100]}; unpack the corpus again")
    times = {}
    for key in ("offset", "duration"):
        try:
            times[key] = float(entry[key])
        except (TypeError, ValueError):
            times[key] = math.nan
        if not math.isfinite(times[key]):
            raise ValueError(f"{where}: its {key} is {entry[key]!r}, not a number of seconds; unpack the corpus again")
    wav = str(entry["wav"]).rpartition("/")[2]
    speaker = str(entry.get("speaker_id") or Path(wav).stem)
    return Segment(wav, times["offset"], times["duration"], "_".join(speaker.split()))


def read_lines(path: Path) -> list[str]:
    """The lines of a corpus's text."""
    return list(text_lines.read_lines(path, "unpack the corpus again, or convert the file"))


def read_utterances(segments_yaml: Path, texts: Mapping[str, Path], audio: Path) -> list[Utterance]:
    """The utterances of a set whose yaml and texts run line by line; `audio` is the folder of the talks."""
    segments = read_segments(segments_yaml)
    lines = {lang: read_lines(path) for lang, path in texts.items()}
    for lang, path in texts.items():
        if len(lines[lang]) != len(segments):
            raise ValueError(
                f"{path} has {len(lines[lang])} lines and {segments_yaml} has {len(segments)} segments; "
                "line i of one belongs to segment i of the other, so unpack the corpus again"
            )
    return [
        as_utterance(key, segments[i], {lang: lines[lang][i] for lang in lines}, audio)
        for i, key in enumerate(utterance_ids(segments))
    ]


def utterance_ids(segments: Iterable[Segment]) -> list[str]:
    """`<talk>_<number>` for each segment; numbers count a talk's segments by time (as a number, not as text)."""
    segments = list(segments)
    order = sorted(range(len(segments)), key=lambda i: (segments[i].wav, segments[i].offset, i))
    ids, counts = [""] * len(segments), dict[str, int]()
    for i in order:
        talk = segments[i].wav
        counts[talk] = counts.get(talk, 0) + 1
        ids[i] = f"{Path(talk).stem}_{counts[talk]:05d}"
    return ids


def as_utterance(key: str, segment: Segment, texts: dict[str, str], audio: Path) -> Utterance:
    end = segment.offset + segment.duration
    return Utterance(key, segment.speaker, texts, audio / segment.wav, segment.offset, end)


def require(path: Path, remedy: str) -> Path:
    """The path, if it is there."""
    if not path.exists():
        beside = sorted(p.name for p in path.parent.iterdir())[:8] if path.parent.is_dir() else []
        shown = f"; {path.parent} holds {' '.join(beside)}" if beside else ""
        raise ValueError(f"{path.absolute()}: not there{shown}; {remedy}")
    return path
