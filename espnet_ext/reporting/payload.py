"""What the page shows, as one JSON value: comparisons, histories, texts and the scores of every utterance."""

import math
import sys
from pathlib import Path
from typing import Any

from espnet_ext.data.read_datadir import seconds, spans, tables
from espnet_ext.infra.languages import error_metric
from espnet_ext.reporting.curve_payload import curve_inputs, curve_payload
from espnet_ext.reporting.sweep_comparison import comparison_payload
from espnet_ext.scoring.metrics import UNSPACED_TOKENIZERS, Options, make_metric
from espnet_ext.scoring.results import Experiments, read_result, read_significance
from espnet_ext.scoring.sweeps import sweeps_file
from espnet_ext.scoring.texts import read_hypotheses, read_references
from espnet_ext.training.history import read_history

SENTENCE_METRICS = {"asr": ("wer", "cer"), "st": ("bleu", "chrf"), "mt": ("bleu", "chrf")}
SPEED = ("parameters", "training_seconds", "utterances_per_second", "real_time_factor")
TITLES = {"asr": "Transcript ({})", "st": "Translation of the speech ({})", "mt": "Translation of the transcript ({})"}


def build_payload(where: Experiments, systems: dict[str, list[str]], max_audio: int) -> dict[str, Any]:
    """`systems` are those of each test set; at most `max_audio` utterances of a set have their audio on the page."""
    names = list(dict.fromkeys(name for each in systems.values() for name in each))
    return {
        "systems": names,
        "history": {system: _history(where.exp / system / "history.jsonl") for system in names},
        "sets": [_test_set(where, each, test_set, max_audio) for test_set, each in systems.items()],
    }


def page_inputs(where: Experiments, systems: dict[str, list[str]]) -> list[Path]:
    """The files that the page is made from, audio aside."""
    paths: list[Path] = []
    for test_set, names in systems.items():
        paths += [where.significance(test_set), *tables(where.data / test_set), *curve_inputs(where, test_set)]
        paths.append(sweeps_file(where, test_set))
        for system in names:
            folder = where.result(system, test_set)
            paths += [folder / "scores.json", where.exp / system / "history.jsonl"]
            paths += [folder / f"hyp.{stream}" for stream in where.streams(system, test_set)]
    return [path for path in paths if path.exists()]


def _history(path: Path) -> list[dict[str, Any]]:
    """The epochs of a system; none for one that is not trained."""
    entries = read_history(path) if path.exists() else []
    return [
        {"epoch": e["epoch"], "lr": e.get("lr")} | {key: _finite(e.get(key, {})) for key in ("train", "valid")}
        for e in entries
    ]


def _finite(values: dict[str, Any]) -> dict[str, float]:
    """Numbers that a chart can show: a loss may have been NaN, which JSON does not know."""
    return {k: round(float(v), 6) for k, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}


def _test_set(where: Experiments, systems: list[str], test_set: str, max_audio: int) -> dict[str, Any]:
    folder = where.data / test_set
    comparison = read_significance(where, systems, test_set)
    options = Options(**comparison["options"])
    present = {s for system in systems for s in where.streams(system, test_set)}
    ids_of = {s: read_references(folder, where.language(s))[0] for s in comparison["streams"] if s in present}
    first, ids = next(iter(ids_of.items()))
    alike = [name for name, own in ids_of.items() if own == ids]
    for name in (name for name in ids_of if name not in alike):
        print(f"{folder}: the page has {first} by utterance, not {name}, which is cut otherwise", file=sys.stderr)
    streams = {name: _stream(where, systems, test_set, name, options) for name in alike}
    known = set(ids)
    audio = [span for span in spans(folder) if span.utterance in known]  # none where references are cut otherwise
    lengths = dict(zip((s.utterance for s in audio), seconds(folder, audio), strict=True))
    return {
        "name": test_set,
        "compare": _selected({s: comparison["streams"][s] for s in streams}, systems),
        "speed": {s: {key: read_result(where, s, test_set)[key] for key in SPEED} for s in systems},
        "ids": ids,
        "seconds": [round(lengths[key], 2) for key in ids] if audio else None,
        "audio": min(max_audio, len(ids)) if audio else 0,
        "streams": streams,
        "curves": curve_payload(where, test_set, ids),
        "sweeps": comparison_payload(where, test_set),
    }


def _selected(comparison: dict[str, Any], systems: list[str]) -> dict[str, Any]:
    """The comparison with just these systems, and what the page needs of it."""
    return {
        stream: {
            name: {
                "systems": {s: {"score": metric["systems"][s]["score"]} for s in systems if s in metric["systems"]},
                "p": {s: metric["p"][s] for s in systems if s in metric["p"]},
            }
            for name, metric in metrics.items()
        }
        for stream, metrics in comparison.items()
    }


def _stream(where: Experiments, systems: list[str], test_set: str, stream: str, options: Options) -> dict[str, Any]:
    """References, outputs and sentence scores of one stream, and the rules by which words are compared."""
    lang = where.language(stream)
    ids, references = read_references(where.data / test_set, lang)
    kind, options = where.kind(stream), where.options(stream, options)
    unspaced = error_metric(lang) == "cer" if kind == "asr" else options.bleu_tokenize in UNSPACED_TOKENIZERS
    metrics = {name: make_metric(name, references, options) for name in SENTENCE_METRICS[kind]}
    shown = {}
    for system in systems:
        if stream in where.streams(system, test_set):
            texts = read_hypotheses(where.result(system, test_set) / f"hyp.{stream}", ids)
            scores = {name: metric.sentence_scores(metric.statistics(texts)) for name, metric in metrics.items()}
            shown[system] = {"text": texts, "scores": {k: [round(v, 1) for v in vs] for k, vs in scores.items()}}
    return {
        "title": TITLES[kind].format(lang) + (f", {stream}" if stream in where.tasks else ""),
        "kind": kind,
        "texts": references,
        "systems": shown,
        "unit": "character" if unspaced else "word",
        "lowercase": options.lowercase,
        "remove_punctuation": options.remove_punctuation,
    }
