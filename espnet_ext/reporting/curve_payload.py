"""What the page shows of simultaneous translation: the points of all curves, and how each wrote each sentence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import read_table
from espnet_ext.infra.languages import text_unit
from espnet_ext.scoring.curves import curves_file, read_curves
from espnet_ext.scoring.latency_scores import delays_file, read_delays
from espnet_ext.scoring.results import Experiments
from espnet_ext.scoring.texts import read_hypotheses


def curve_payload(where: Experiments, test_set: str, ids: list[str]) -> dict[str, Any]:
    """For each stream that has curves: these, the source texts, and of each point texts and delays."""
    shown = {}
    for stream, found in read_curves(where, test_set).items():
        for curve in found["curves"]:
            for point in curve["points"]:
                folder = where.result(point["experiment"], test_set)
                point["text"] = read_hypotheses(folder / f"hyp.{stream}", ids)
                _, writings, _ = read_delays(delays_file(folder, stream), ids, point["text"])
                point["read"] = [writing.read for writing in writings]
                point["scores"] = {name: _rounded(row) for name, row in point["scores"].items()}
        source = where.data / test_set / f"text.{where.src_lang}"
        texts = dict(read_table(source)) if source.exists() else {}
        sources = [texts.get(key, "") for key in ids]
        shown[stream] = {**found, "sources": sources, "source_unit": text_unit(where.src_lang)}
    return shown


def _rounded(row: dict[str, float]) -> dict[str, float]:
    return {key: round(row[key], 4) for key in ("score", "ci", "low", "high")}


def curve_inputs(where: Experiments, test_set: str) -> Iterator[Path]:
    """The files that this is made from, the texts of the test set aside."""
    yield curves_file(where, test_set)
    for stream, found in read_curves(where, test_set).items():
        for point in (point for curve in found["curves"] for point in curve["points"]):
            folder = where.result(point["experiment"], test_set)
            yield from (folder / f"hyp.{stream}", delays_file(folder, stream))
