"""Write a data directory for local/data.py: drop or clip what real corpora hold, and count it by reason."""

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from espnet_ext.data.about import write_about
from espnet_ext.data.audio import AudioError
from espnet_ext.data.audio_scan import Finding, scan
from espnet_ext.data.read_datadir import digest, fingerprints, spans, tables
from espnet_ext.infra.files import read_table, write_json, write_table
from espnet_ext.infra.stamps import Stamp

SHORTEST = 0.025  # seconds: one window of the features
INVISIBLE = "\ufeff\u200b\u200e\u200f"  # marks without width at the ends of texts
UNSEEN = {"Cc", "Cf", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs"}  # controls, marks and spaces by Unicode
BLANK = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a symbol by Unicode, of which nothing is seen
EXAMPLES = 10
OUTSIDE = "segment outside its recording"


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of a corpus: what was said, in which languages, and where its audio lies (None: text only)."""

    id: str
    speaker: str
    texts: dict[str, str]
    audio: str | Path | None = None
    start: float | None = None  # seconds; None: the beginning and the end of the file
    end: float | None = None
    task: str | None = None


@dataclass
class Losses:
    """What was dropped or clipped: the number and the first ids for each reason."""

    dropped: Counter[str] = field(default_factory=Counter)
    clipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def count(self, kind: Counter[str], reason: str, utterance: str) -> None:
        kind[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(utterance)


def read_utterances(folder: str | Path) -> list[Utterance]:
    """The lines of a checked data directory, in the order of ids."""
    audio = {span.utterance: (span.path, span.start, span.end) for span in spans(folder)}
    found = {path.name: dict(read_table(path)) for path in tables(folder)}
    texts = {name.removeprefix("text."): table for name, table in found.items() if name.startswith("text.")}
    if not texts:
        raise ValueError(f"{folder}: no text.<lang>; give a set with transcripts")
    speakers, tasks = found.get("utt2spk", {}), found.get("utt2task", {})
    lines = []
    for key in next(iter(texts.values())):
        said = {lang: table[key] for lang, table in texts.items()}
        path, start, end = audio.get(key, (None, None, None))
        lines.append(Utterance(key, speakers.get(key, key), said, path, start, end, tasks.get(key)))
    return lines


def update_data_dir(
    folder: str | Path,
    utterances: Iterable[Utterance],
    *,
    nj: int = 1,
    shortest: float = SHORTEST,
    speech: str | None = None,
) -> None:
    """`write_data_dir`, unless the directory was made from just these utterances and audio files."""
    everything = list(utterances)
    audio = fingerprints(str(utterance.audio) for utterance in everything if utterance.audio is not None)
    made_from = {"utterances": digest(everything), "audio": digest(sorted(audio.items())), "shortest": shortest}
    stamp = Stamp(folder, [], parts=(), **made_from)  # no parts: what a user mends in a table stays so
    if not stamp.is_current():
        with stamp.making():
            write_data_dir(folder, everything, nj=nj, shortest=shortest, speech=speech)


def write_data_dir(
    folder: str | Path,
    utterances: Iterable[Utterance],
    *,
    nj: int = 1,
    shortest: float = SHORTEST,
    speech: str | None = None,
) -> dict[str, Any]:
    """Write wav.scp, segments, utt2spk, text.<lang>, utt2dur and utt2task; what was lost goes to dropped.json.

    `speech` is the language that is spoken: about.json says it beside what the tables hold.

    Lines with an empty text or with audio that is missing, unreadable, empty, outside its recording or shorter than
    `shortest` seconds are dropped; segments that run past the audio, and files whose header claims too much, are
    clipped to what is there.
    """
    folder, losses = Path(folder), Losses()
    everything = list(utterances)
    _refuse_mistakes(folder, everything)
    kept = _with_text(everything, losses)
    durations: dict[str, float] = {}
    if everything[0].audio is not None:
        paths = (str(utterance.audio) for utterance in kept)
        found = scan(paths, nj=nj, log_dir=folder / "log", description=f"audio of {folder.name}")
        kept = [
            fitted for utterance in kept if (fitted := _fit(utterance, found[str(utterance.audio)], shortest, losses))
        ]
        durations = {
            utterance.id: found[str(utterance.audio)].seconds  # type: ignore[union-attr]
            if utterance.start is None or utterance.end is None
            else utterance.end - utterance.start
            for utterance in kept
        }
    if not kept:
        raise ValueError(f"{folder}: all {len(everything)} utterances were dropped: {dict(losses.dropped)}")
    _write(folder, kept, durations)
    return summarise(folder, losses, len(everything), len(kept), sum(durations.values()) / 3600, speech)


def summarise(
    folder: Path, losses: Losses, utterances: int, kept: int, hours: float = 0.0, speech: str | None = None
) -> dict[str, Any]:
    """Say what was lost, and write it beside what the directory holds."""
    summary = {
        "utterances": utterances,
        "kept": kept,
        "hours": round(hours, 3),
        "dropped": dict(losses.dropped),
        "clipped": dict(losses.clipped),
        "examples": losses.examples,
    }
    write_json(folder / "dropped.json", summary)
    write_about(folder, speech)
    _say(folder, summary)
    return summary


def _refuse_mistakes(folder: Path, utterances: list[Utterance]) -> None:
    """Refuse what is wrong with the recipe rather than with its corpus."""
    if not utterances:
        raise ValueError(f"{folder}: the corpus gave no utterance; check its path")
    first = utterances[0]
    for utterance in utterances:
        if not utterance.id or not utterance.speaker or len((utterance.id + "-" + utterance.speaker).split()) != 1:
            raise ValueError(
                f"{folder}: id '{utterance.id}' or speaker '{utterance.speaker}' is empty or holds a space"
            )
        if utterance.texts.keys() != first.texts.keys():
            raise ValueError(
                f"{folder}: {utterance.id} has texts {[*utterance.texts]}, {first.id} has {[*first.texts]}"
            )
        if (utterance.audio is None) != (first.audio is None) or (utterance.task is None) != (first.task is None):
            raise ValueError(
                f"{folder}: {utterance.id} and {first.id} do not both have audio, or a task; write two sets"
            )


def _with_text(utterances: list[Utterance], losses: Losses) -> list[Utterance]:
    """Utterances with text in every language on one line, each id once."""
    kept, seen = [], set()
    for utterance in utterances:
        cleaned = clean(utterance, losses)
        if cleaned is None:
            continue
        if utterance.id in seen:
            losses.count(losses.dropped, "duplicate id", utterance.id)
        else:
            seen.add(utterance.id)
            kept.append(cleaned)
    return kept


def clean(utterance: Utterance, losses: Losses) -> Utterance | None:
    """The utterance with each text on one line; None if one of them says nothing."""
    texts = {lang: " ".join(text.strip(INVISIBLE).split()) for lang, text in utterance.texts.items()}
    empty = [lang for lang, text in texts.items() if not has_text(text)]
    if empty:
        losses.count(losses.dropped, f"empty text.{empty[0]}", utterance.id)
    return None if empty else replace(utterance, texts=texts)


def has_text(text: str) -> bool:
    """Whether there is anything to see: a letter, digit or sign, not only spaces, controls, marks and the like."""
    return any(unicodedata.category(char) not in UNSEEN and char not in BLANK for char in text)


def _fit(utterance: Utterance, found: Finding, shortest: float, losses: Losses) -> Utterance | None:
    """The utterance within the audio that is there, or None if none of it is."""
    if isinstance(found, AudioError):
        losses.count(losses.dropped, found.kind, utterance.id)
        return None
    if not found.frames:
        losses.count(losses.dropped, "zero-length audio", utterance.id)
        return None
    whole = utterance.start is None and utterance.end is None
    wanted_start, wanted_end = utterance.start or 0.0, found.seconds if utterance.end is None else utterance.end
    start, end = max(wanted_start, 0.0), min(wanted_end, found.seconds)
    if end - start < shortest:
        outside = wanted_end - wanted_start >= shortest
        losses.count(losses.dropped, OUTSIDE if outside else f"shorter than {shortest} s", utterance.id)
        return None
    if whole and found.is_cut:
        losses.count(losses.clipped, "truncated audio", utterance.id)
    elif whole:
        return utterance
    elif wanted_start < 0 or round(wanted_end * found.rate) > found.frames:
        losses.count(losses.clipped, OUTSIDE, utterance.id)
    return replace(utterance, start=start, end=end)


def _write(folder: Path, utterances: list[Utterance], durations: dict[str, float]) -> None:
    """Write the tables, and remove those that an earlier run had and this one has not."""
    tables: dict[str, list[tuple[str, str]]] = {"utt2spk": [(u.id, u.speaker) for u in utterances]}
    for lang in utterances[0].texts:
        tables[f"text.{lang}"] = [(u.id, u.texts[lang]) for u in utterances]
    if utterances[0].task is not None:
        tables["utt2task"] = [(u.id, str(u.task)) for u in utterances]
    if durations:
        tables["utt2dur"] = [(key, f"{value:.6f}") for key, value in durations.items()]
        tables |= _audio_tables(utterances, durations)
    for name, rows in tables.items():
        write_table(folder / name, rows)
    for path in [*folder.glob("text.*"), *(folder / name for name in ("wav.scp", "segments", "utt2dur", "utt2task"))]:
        if path.name not in tables:
            path.unlink(missing_ok=True)


def _audio_tables(utterances: list[Utterance], durations: dict[str, float]) -> dict[str, list[tuple[str, str]]]:
    """wav.scp, and segments where any utterance is a part of its file."""
    if all(utterance.end is None for utterance in utterances):
        return {"wav.scp": [(u.id, str(u.audio)) for u in utterances]}
    names = _recording_names({str(utterance.audio) for utterance in utterances})
    rows = []
    for u in utterances:
        start = u.start or 0.0
        rows.append((u.id, f"{names[str(u.audio)]} {start:.6f} {start + durations[u.id]:.6f}"))
    return {"wav.scp": [(name, path) for path, name in names.items()], "segments": rows}


def _recording_names(paths: set[str]) -> dict[str, str]:
    """A name for each file: its stem, or all of its path where two files have the same stem."""
    stems = Counter(Path(path).stem for path in paths)
    return {
        path: "_".join((Path(path).stem if stems[Path(path).stem] == 1 else path.replace("/", "-")).split())
        for path in sorted(paths)
    }


def _say(folder: Path, summary: dict[str, Any]) -> None:
    print(f"{folder}: {summary['kept']} of {summary['utterances']} utterances, {summary['hours']} h", file=sys.stderr)
    for what in ("dropped", "clipped"):
        for reason, number in summary[what].items():
            shown = " ".join(summary["examples"][reason][:3])
            print(f"{folder}: {number} {what}, {reason}: {shown}{' ...' if number > 3 else ''}", file=sys.stderr)
