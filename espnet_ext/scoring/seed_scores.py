"""Systems trained with several seeds: mean and spread of every score, and whether two systems differ.

`exp/seeds.<test_set>.json` holds both.
"""

from collections.abc import Collection
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.infra.files import write_json
from espnet_ext.infra.stamps import Stamp
from espnet_ext.scoring.latency_metrics import Writing, make_latency_metrics, make_subword_metrics, mean_lengths
from espnet_ext.scoring.latency_scores import delays_file, read_delays
from espnet_ext.scoring.metrics import Metric, Options, sign
from espnet_ext.scoring.results import (
    Experiments,
    metrics_of,
    present,
    read_json,
    read_result,
    read_significance,
    score_test_set,
    with_delays,
)
from espnet_ext.scoring.seed_test import TEST, Trained, seed_difference
from espnet_ext.scoring.significance import Draws
from espnet_ext.scoring.texts import ScoringError, read_hypotheses, read_references

Counted = dict[str, tuple[Any, dict[str, list[np.ndarray]]]]  # each metric, and the counts of each system and seed
LEVEL = 0.05  # of the tests counted over seeds
SAID = ("p", "se", "df")  # of the difference of two means; a file of before something was added here is made again


def seeds_file(where: Experiments, test_set: str) -> Path:
    return where.exp / f"seeds.{test_set}.json"


def present_in_all(
    where: Experiments, seeds: list[int], systems: list[str], test_set: str, allow_missing: bool
) -> list[str]:
    """The systems that can be scored with every seed."""
    for place in where.of_seeds(seeds):
        systems = present(place, systems, test_set, allow_missing)
    return systems


def score_seeds(where: Experiments, seeds: list[int], systems: list[str], test_set: str, options: Options) -> None:
    """Write the comparison over seeds, after the scores of each seed but the first, which are there."""
    places = where.of_seeds(seeds)
    for place in places[1:]:
        score_test_set(place, systems, test_set, options)
    for seed, place in zip(seeds, places, strict=True):
        check_seed(place, seed, systems, test_set)
    inputs = [place.significance(test_set) for place in places]
    inputs += [p.result(s, test_set) / f"hyp.{x}" for p in places for s in systems for x in p.streams(s, test_set)]
    inputs += [
        d for p in places for s in systems for x in p.streams(s, test_set) if (d := delays(p, s, test_set, x)).exists()
    ]
    versions = [version("sacrebleu"), version("jiwer")]
    output = seeds_file(where, test_set)
    settings: dict[str, Any] = {"seeds": seeds, "systems": systems, "options": asdict(options), "p": TEST}
    stamp = Stamp(output, inputs, **settings, versions=versions, said=SAID)
    if stamp.is_current():
        return
    streams = {}
    for stream in where.known:
        having = [s for s in systems if all(stream in place.streams(s, test_set) for place in places)]
        if having:
            streams[stream] = _compare_stream(places, having, test_set, stream, options)
    with stamp.making():
        write_json(output, {"test_set": test_set, **settings, "streams": streams})


def is_shared(place: Experiments, system: str) -> bool:
    """Whether the first seed's system stands for that of another seed: run.sh --once links it."""
    return (place.exp / system).is_symlink()


def check_seed(place: Experiments, seed: int, systems: list[str], test_set: str) -> None:
    """What lies there must be of this seed, as far as it says."""
    for system in systems:
        if is_shared(place, system):
            continue
        found = read_result(place, system, test_set)["seed"]
        if found not in (None, seed):
            raise ScoringError(
                f"{place.result(system, test_set)} has seed {found}, not {seed}: the first of --seeds is in the "
                "folder of the experiments itself, seed N in its folder seedN/"
            )


def _compare_stream(
    places: list[Experiments], systems: list[str], test_set: str, stream: str, options: Options
) -> dict[str, Any]:
    first = places[0]
    ids, references = read_references(first.data / test_set, first.language(stream))
    texts = {
        system: [read_hypotheses(place.result(system, test_set) / f"hyp.{stream}", ids) for place in places]
        for system in systems
    }
    draws, options = Draws.make(len(ids), options.samples, options.seed), first.options(stream, options)
    counted: Counted = {}
    for name, metric in metrics_of(first, stream, references, options).items():
        statistics = {system: [metric.statistics(text) for text in each] for system, each in texts.items()}
        counted[name] = metric, statistics
    counted |= _latency(places, texts, test_set, stream, ids, references)
    once = of_one_training(texts)
    by_seed = [read_significance(place, systems, test_set)["streams"][stream] for place in places]
    compared = {}
    for name, (metric, statistics) in counted.items():
        compared[name] = compare_means(metric, statistics, draws, once)
        seeds = [seed[name] for seed in by_seed]
        compared[name]["wins"] = count_wins(seeds, list(statistics), sign(name))
    return compared


def _latency(
    places: list[Experiments],
    texts: dict[str, list[list[str]]],
    test_set: str,
    stream: str,
    ids: list[str],
    references: list[list[str]],
) -> Counted:
    """Of each figure the systems that have it with every seed."""
    timed = [set(with_delays(place, list(texts), test_set, stream)) for place in places]
    unit = "word"
    written: dict[str, list[list[list[Writing]]]] = {}
    for system, each in texts.items():
        if all(system in found for found in timed):
            written[system] = []
            for place, text in zip(places, each, strict=True):
                unit, *both = read_delays(delays(place, system, test_set, stream), ids, text)
                written[system].append(both)
    if not written:
        return {}
    in_units = make_latency_metrics(unit, mean_lengths(references, unit), len(references))
    counted: Counted = {}
    kinds = [{system: [found[kind] for found in each] for system, each in written.items()} for kind in (0, 1)]
    for metrics, writings in zip((in_units, make_subword_metrics(len(ids))), kinds, strict=True):
        for name, metric in metrics.items():
            statistics = {system: [metric.statistics(rows) for rows in each] for system, each in writings.items()}
            told = {system: each for system, each in statistics.items() if all(x_NK[:, 1].any() for x_NK in each)}
            if told:
                counted[name] = metric, told
    return counted


def delays(place: Experiments, system: str, test_set: str, stream: str) -> Path:
    return delays_file(place.result(system, test_set), stream)


def of_one_training(texts: dict[str, list[list[str]]]) -> set[str]:
    """The systems that wrote the same with every seed: those that --once links, and those made of such."""
    return {system for system, each in texts.items() if all(text == each[0] for text in each[1:])}


def compare_means(
    metric: Metric, statistics: dict[str, list[np.ndarray]], draws: Draws, once: Collection[str] = ()
) -> dict[str, Any]:
    """Mean and spread over seeds, and what tells two means apart; `statistics` are the (N, K) of each seed."""
    trained = {name: Trained.of(metric, each, draws, name in once) for name, each in statistics.items()}
    utterances = draws.counts_RN.shape[1]
    found = {a: {b: seed_difference(trained[a], trained[b], utterances) for b in trained if b != a} for a in trained}
    return {
        "signature": draws.signature(metric),
        "systems": {
            name: {"scores": s.scores_S.tolist(), "mean": s.mean, "sd": s.sd, "n": s.trainings}
            for name, s in trained.items()
        },
        **{said: {a: {b: d and getattr(d, said) for b, d in row.items()} for a, row in found.items()} for said in SAID},
    }


def count_wins(by_seed: list[dict[str, Any]], systems: list[str], sign: int) -> dict[str, dict[str, int]]:
    """In how many seeds a system beats another with p < 0.05 by the test of that seed alone."""

    def wins(seed: dict[str, Any], a: str, b: str) -> bool:
        difference = seed["systems"][a]["score"] - seed["systems"][b]["score"]
        return sign * difference > 0 and seed["p"][a][b] < LEVEL

    return {a: {b: sum(wins(seed, a, b) for seed in by_seed) for b in systems if b != a} for a in systems}


def read_seeds(where: Experiments, seeds: list[int], systems: list[str], test_set: str) -> dict[str, Any]:
    path = seeds_file(where, test_set)
    if not path.exists():
        raise ScoringError(f"{path} does not exist: score the systems with the same --seeds first (stage 9)")
    comparison = read_json(path)
    if comparison["seeds"] != seeds or set(systems) - set(comparison["systems"]):
        raise ScoringError(f"{path} has other seeds or systems: score them together with the same --seeds (stage 9)")
    return comparison
