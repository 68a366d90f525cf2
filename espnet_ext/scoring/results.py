"""Score a test set: `scores.json` for each system, and `significance.<test_set>.json`, which compares them."""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from espnet_ext.infra.files import atomic_open, write_json
from espnet_ext.infra.languages import bleu_tokenizer, error_metric
from espnet_ext.infra.stamps import Stamp
from espnet_ext.infra.streams import STREAMS, Stream
from espnet_ext.scoring.confusion import WrongLanguage, languages_of
from espnet_ext.scoring.latency_scores import compare_latency, delays_file
from espnet_ext.scoring.metrics import STREAM_METRICS, WRONG_LANGUAGE, ErrorRate, Metric, Options, make_metric
from espnet_ext.scoring.significance import SAID, TEST, Draws, compare_systems
from espnet_ext.scoring.texts import ScoringError, read_hypotheses, read_references, reference_files
from espnet_ext.training.provenance import changed_weights

NOT_FOR_IT = "none of its tasks is decoded on this set"
TRAINED_BY = ("commit", "earlier_commits", "seed", "amp", "command")  # of run.json


@dataclass(frozen=True)
class Experiments:
    """Where the systems and the data of one recipe lie."""

    exp: Path
    data: Path
    src_lang: str
    tgt_lang: str
    tasks: Mapping[str, Stream] = field(default_factory=dict)  # what systems with tasks write, see scoring/task_results
    learners: tuple[str, ...] = ()  # the systems with tasks

    @property
    def known(self) -> dict[str, Stream]:
        """All streams that there may be, in the order in which they are shown."""
        return {**STREAMS, **self.tasks}

    def kind(self, stream: str) -> str:
        """asr, st or mt: by which metrics a stream is scored."""
        return self.known[stream].kind

    def language(self, stream: str) -> str:
        return self.known[stream].language(self.src_lang, self.tgt_lang)

    def options(self, stream: str, options: Options) -> Options:
        """With the tokenizer of the stream's language, where that is not the recipe's."""
        if self.language(stream) == self.tgt_lang or self.kind(stream) == "asr":
            return options
        return replace(options, bleu_tokenize=bleu_tokenizer(self.language(stream)))

    def result(self, system: str, test_set: str) -> Path:
        return self.exp / system / test_set

    def significance(self, test_set: str) -> Path:
        return self.exp / f"significance.{test_set}.json"

    def of_seeds(self, seeds: list[int]) -> "list[Experiments]":
        """Where the systems of each seed lie: of the first here, of seed N in seedN/."""
        return [self, *(replace(self, exp=self.exp / f"seed{seed}") for seed in seeds[1:])]

    def streams(self, system: str, test_set: str) -> list[str]:
        return [s for s in self.known if (self.result(system, test_set) / f"hyp.{s}").exists()]

    def missing(self, systems: Iterable[str], test_set: str) -> dict[str, str]:
        """What stands in the way of scoring each system that is not decoded."""
        reasons = {}
        for system in systems:
            folder = self.result(system, test_set)
            if has_nothing_to_do(folder):
                reasons[system] = NOT_FOR_IT
            elif not (self.exp / system).is_dir():
                reasons[system] = f"{self.exp / system} does not exist: train it (stage 7), then decode it"
            elif not self.streams(system, test_set):
                reasons[system] = f"{folder} has no hyp.asr, hyp.st or hyp.mt: decode it (stage 8)"
            elif not (folder / "decode.json").exists():
                reasons[system] = f"{folder}/decode.json is missing, so decoding did not finish: repeat it (stage 8)"
            elif stale := why_stale(folder):
                reasons[system] = stale
        return reasons


def has_nothing_to_do(result: Path) -> bool:
    """Whether decoding found no task for a test set."""
    path = result / "decode.json"
    return path.exists() and read_json(path).get("tasks") == {}


def why_stale(result: Path) -> str:
    """Whether a system was trained again after it was decoded, as far as decoding said by which weights."""
    path = result / "decode.json"
    changed = changed_weights(result.parent, read_json(path).get("weights", {})) if path.exists() else []
    return f"{result} was decoded with other weights than {changed[0]}: decode it again (stage 8)" if changed else ""


def left_out(result: Path) -> bool:
    """Whether a result of a sweep is stale, which is said; a sweep that is not asked for is not made anew."""
    stale = why_stale(result)
    if stale:
        print(f"left out: {stale}, by the same --vary", file=sys.stderr)
    return bool(stale)


def present(where: Experiments, systems: list[str], test_set: str, allow_missing: bool) -> list[str]:
    """The systems that can be scored; one that cannot is an error unless it is allowed, or has no task for the set."""
    reasons = where.missing(systems, test_set)
    for reason in (reason for reason in reasons.values() if reason != NOT_FOR_IT):
        if not allow_missing:
            raise ScoringError(f"{reason}, or leave it out with --allow_missing")
        print(f"left out: {reason}", file=sys.stderr)
    left = [system for system in systems if system not in reasons]
    if not left and set(reasons.values()) != {NOT_FOR_IT}:
        raise ScoringError(f"none of {', '.join(systems)} is decoded on {test_set}: decode first (stage 8)")
    return left


def score_test_set(where: Experiments, systems: list[str], test_set: str, options: Options) -> bool:
    """Write every system's scores.json and the comparison; returns False where nothing had changed."""
    stamp = Stamp(
        where.significance(test_set),
        _inputs(where, systems, test_set),
        systems=systems,
        options=asdict(options),
        p=TEST,
        said=SAID,
        versions=[version("sacrebleu"), version("jiwer")],
    )
    if all((where.result(s, test_set) / "scores.json").exists() for s in systems) and stamp.is_current():
        return False
    with stamp.making():
        _score_all(where, systems, test_set, options)
    return True


def _score_all(where: Experiments, systems: list[str], test_set: str, options: Options) -> None:
    comparison: dict[str, Any] = {"test_set": test_set, "options": asdict(options), "p": TEST, "streams": {}}
    scores: dict[str, dict[str, Any]] = {system: {} for system in systems}
    for stream in where.known:
        having = [s for s in systems if stream in where.streams(s, test_set)]
        if having:
            comparison["streams"][stream] = _score_stream(where, having, test_set, stream, options, scores)
    for system in systems:
        write_json(where.result(system, test_set) / "scores.json", _result(where, system, test_set, scores[system]))
    write_json(where.significance(test_set), comparison)


def _inputs(where: Experiments, systems: list[str], test_set: str) -> list[Path]:
    paths = []
    for system in systems:
        folder = where.result(system, test_set)
        paths += [folder / f"hyp.{stream}" for stream in where.streams(system, test_set)]
        paths += [delays_file(folder, stream) for stream in where.streams(system, test_set)]
        paths += [folder / "decode.json", where.exp / system / "run.json", where.exp / system / "history.jsonl"]
    for lang in dict.fromkeys((where.src_lang, where.tgt_lang, *map(where.language, where.tasks))):
        paths += reference_files(where.data / test_set, lang)
    return [path for path in paths if path.exists()]


def _score_stream(
    where: Experiments,
    systems: list[str],
    test_set: str,
    stream: str,
    options: Options,
    scores: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """All metrics of one stream: adds each system's scores to `scores`, returns the comparison."""
    ids, references = read_references(where.data / test_set, where.language(stream))
    hypotheses = {s: read_hypotheses(where.result(s, test_set) / f"hyp.{stream}", ids) for s in systems}
    draws, options = Draws.make(len(ids), options.samples, options.seed), where.options(stream, options)
    compared = {}
    for name, metric in metrics_of(where, stream, references, options).items():
        statistics = {system: metric.statistics(texts) for system, texts in hypotheses.items()}
        compared[name] = compare_systems(metric, statistics, draws)
        for system in systems:
            row = {**compared[name]["systems"][system], "signature": compared[name]["signature"]}
            scores[system].setdefault(stream, {})[name] = row | metric.details(statistics[system].sum(0))
    timed = with_delays(where, systems, test_set, stream)
    if timed:
        latency, rows = compare_latency(timed, stream, ids, references, draws, hypotheses)
        compared |= latency
        for system, found in rows.items():
            scores[system][stream] |= found
    for system, texts in hypotheses.items():
        scores[system][stream] |= {
            "empty_hypotheses": sum(not text.strip() for text in texts),
            "different_outputs": len(set(texts)),
            "different_references": len(set(references[0])),
        }
        if where.kind(stream) == "asr":
            unit: Literal["word", "character"] = (
                "word" if error_metric(where.language(stream)) == "wer" else "character"
            )
            errors = ErrorRate(unit, references, options)
            with atomic_open(where.result(system, test_set) / f"alignment.{stream}") as stream_out:
                stream_out.write(errors.alignment(ids, texts))
    return compared


def metrics_of(where: Experiments, stream: str, references: list[list[str]], options: Options) -> dict[str, Metric]:
    """What a stream is scored by; of a task also in which language the outputs are."""
    metrics = {name: make_metric(name, references, options) for name in STREAM_METRICS[where.kind(stream)]}
    languages = (
        languages_of(where.data, [where.exp / name for name in where.learners]) if stream in where.tasks else None
    )
    if languages:
        metrics[WRONG_LANGUAGE] = WrongLanguage(languages, where.language(stream))
    return metrics


def with_delays(where: Experiments, systems: list[str], test_set: str, stream: str) -> dict[str, Path]:
    """The results of the systems whose latency can be told."""
    found = {s: where.result(s, test_set) for s in systems if delays_file(where.result(s, test_set), stream).exists()}
    if found and is_cut_otherwise(where, test_set, stream):
        first = reference_files(where.data / test_set, where.language(stream))[0]
        remark = "has other segments than the utterances, so there is no latency: it needs a reference for each"
        print(f"{first}: {remark}", file=sys.stderr)
        return {}
    return found


def is_cut_otherwise(where: Experiments, test_set: str, stream: str) -> bool:
    """Whether a test set has references of a talk instead of one for each utterance."""
    first = reference_files(where.data / test_set, where.language(stream))[0]
    return first.name.startswith("reference.")


def _result(where: Experiments, system: str, test_set: str, scores: dict[str, Any]) -> dict[str, Any]:
    decode = read_json(where.result(system, test_set) / "decode.json")
    run_json = where.exp / system / "run.json"
    run = read_json(run_json) if run_json.exists() else {}
    if "training_seconds" not in run:  # a pipeline is not trained
        run = {}
    count, audio, took = decode["utterances"], decode.get("audio_seconds"), decode["decode_seconds"]
    return {
        "system": system,
        "test_set": test_set,
        "scores": scores,
        "utterances": count,
        "audio_seconds": audio,
        "decode_seconds": took,
        "real_time_factor": took / audio if audio else None,
        "utterances_per_second": count / took if took else None,
        "parameters": decode.get("parameters", run.get("parameters")),
        "training_seconds": run.get("training_seconds"),
        "epochs": epochs_of(where.exp / system),
        "cut": decode.get("cut", {}),
        **({"tasks": decode["tasks"]} if "tasks" in decode else {}),
        "commit": decode.get("commit"),
        "seed": decode.get("seed"),
        "trained": {key: run[key] for key in TRAINED_BY if key in run},
        "decode_options": decode.get("options", {}),
    }


def epochs_of(system: Path) -> int | None:
    """How many epochs it was trained; none of what is not trained or comes from elsewhere."""
    history = system / "history.jsonl"
    return len(history.read_text(encoding="utf-8").splitlines()) if history.exists() else None


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ScoringError(f"{path}:{error.lineno}: not JSON ({error.msg}); delete it and make it again") from error


def read_result(where: Experiments, system: str, test_set: str) -> dict[str, Any]:
    path = where.result(system, test_set) / "scores.json"
    if not path.exists():
        raise ScoringError(f"{path} does not exist: score this system first (stage 9)")
    return read_json(path)


def read_significance(where: Experiments, systems: list[str], test_set: str) -> dict[str, Any]:
    """The comparison of just these systems, as it was written when they were scored."""
    path = where.significance(test_set)
    if not path.exists():
        raise ScoringError(f"{path} does not exist: score the systems first (stage 9)")
    comparison = read_json(path)
    compared = {s for stream in comparison["streams"].values() for s in next(iter(stream.values()))["systems"]}
    lacking = [system for system in systems if system not in compared]
    if lacking:
        raise ScoringError(f"{path} does not compare {', '.join(lacking)}: score all systems together (stage 9)")
    return comparison
