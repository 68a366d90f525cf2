"""Latency of the systems that wrote while their source came in: delays beside the hypotheses, compared like scores."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.languages import count_units
from espnet_ext.scoring.latency_metrics import (
    Lateness,
    Writing,
    make_latency_metrics,
    make_subword_metrics,
    mean_lengths,
    warnings,
)
from espnet_ext.scoring.significance import Draws, compare_systems
from espnet_ext.scoring.texts import ScoringError

SUBWORD = "subword"


def delays_file(result: Path, stream: str) -> Path:
    return result / f"delays.{stream}.jsonl"


def read_delays(path: Path, ids: list[str], hypotheses: list[str]) -> tuple[str, list[Writing], list[Writing]]:
    """The unit of the text, and how each utterance was written, counted in that unit and in sub-words."""
    with open(path, encoding="utf-8") as stream:
        rows = {row["id"]: row for row in map(json.loads, stream)}
    lacking = [key for key in ids if key not in rows]
    if lacking:
        raise ScoringError(
            f"{path}: {len(lacking)} utterances are missing, first {lacking[0]!r}; decode again (stage 8)"
        )
    unit = next(name for name in rows[ids[0]] if name not in ("id", SUBWORD))
    for key, text in zip(ids, hypotheses, strict=True):
        found, wanted = len(rows[key][unit]["read"]), count_units(text, unit)
        if found != wanted:
            raise ScoringError(
                f"{path}: {key} has {found} delays and its hypothesis {wanted} {unit}s; decode again (stage 8)"
            )
    in_text, in_subwords = ([Writing(**rows[key][name]) for key in ids] for name in (unit, SUBWORD))
    return unit, in_text, in_subwords


def compare_latency(
    results: dict[str, Path], stream: str, ids: list[str], references: list[list[str]], draws: Draws, hyps: Any
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Every latency metric of the systems that have delays: the comparison, and the rows of each system."""
    texts, subwords, unit = {}, {}, "word"
    rows: dict[str, dict[str, Any]] = {}
    for system, folder in results.items():
        unit, texts[system], subwords[system] = read_delays(delays_file(folder, stream), ids, hyps[system])
        found = warnings(texts[system])
        rows[system] = {"latency_warnings": found} if found else {}
        for warning in found:
            print(f"WARNING: {folder}: {warning}", file=sys.stderr)
        write_instances(folder / f"simuleval.{stream}", texts[system], hyps[system], references[0])
    in_units = make_latency_metrics(unit, mean_lengths(references, unit), len(references))
    compared = {}
    for metrics, writings in ((in_units, texts), (make_subword_metrics(len(ids)), subwords)):
        for name, metric in metrics.items():
            compared[name] = _compare(metric, writings, draws)
            for system, row in compared[name].pop("details").items():
                rows[system][name] = row
    return {name: value for name, value in compared.items() if value["systems"]}, rows


def _compare(metric: Lateness, writings: dict[str, list[Writing]], draws: Draws) -> dict[str, Any]:
    """As other metrics, of those systems for which there is such a figure at all."""
    statistics = {system: metric.statistics(rows) for system, rows in writings.items()}
    statistics = {system: counts_NK for system, counts_NK in statistics.items() if counts_NK[:, 1].any()}
    compared = compare_systems(metric, statistics, draws)
    signature = compared["signature"]
    compared["details"] = {
        system: {**row, "signature": signature, **metric.details(statistics[system].sum(0))}
        for system, row in compared["systems"].items()
    }
    return compared


def write_instances(folder: Path, writings: Sequence[Writing], hypotheses: list[str], references: list[str]) -> None:
    """SimulEval's instances.log and config.yaml: `simuleval --score-only --output FOLDER` reads them, as others do."""
    with atomic_open(folder / "instances.log") as stream:
        for index, (writing, prediction, reference) in enumerate(zip(writings, hypotheses, references, strict=True)):
            instance = {
                "index": index,
                "prediction": prediction,
                "delays": writing.read,
                "elapsed": [0] * len(writing.read),  # SimulEval's value for text
                "prediction_length": len(writing.read),
                "reference": reference,
                "source": "",
                "source_length": writing.source,
            }
            stream.write(json.dumps(instance, ensure_ascii=False) + "\n")
    with atomic_open(folder / "config.yaml") as stream:
        yaml.safe_dump({"source_type": "text", "target_type": "text"}, stream)
