"""Decode a test set with a system: `python -m espnet_ext.decode exp/e2e dump/test` writes exp/e2e/test/hyp.<stream>."""

import argparse
import functools
import hashlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import atomic_open, write_json, write_table
from espnet_ext.infra.jobs import EXECUTORS, JobError, run_jobs
from espnet_ext.infra.stamps import Stamp
from espnet_ext.search import long_inputs
from espnet_ext.search.options import Hypothesis, SearchOptions
from espnet_ext.training.errors import TrainError
from espnet_ext.training.provenance import made_from, read_run, weights

if TYPE_CHECKING:
    from espnet_ext.espnet.experiment import Experiment
    from espnet_ext.models._base import BaseModel

DTYPES = ("fp32", "bf16", "int8")
ENGINES = ("own", "ctranslate2")
PARTS = ("decode.json", "hyp.*", "nbest.*.jsonl", "delays.*.jsonl")  # of a result
SHARD = 32  # utterances: a step of the progress bar, and what is lost when a job dies
BINS = {"speech": 20_000, "src_text": 2_000}  # frames or tokens of a batch


@dataclass(frozen=True)
class Settings:
    """All that a job needs to know, and all that its result depends on."""

    exp: Path
    dump: Path
    out: Path
    search: dict[str, Any]
    dtype: str
    device: str
    src_lang: str | None = None
    engine: str = "own"
    streams: tuple[str, ...] = ()  # the tasks, of a system that has some


@functools.lru_cache(maxsize=1)
def load(exp: Path, dtype: str, device: str, engine: str) -> tuple["Experiment", "BaseModel"]:
    """The experiment and its model as it decodes; kept, since a process decodes many shards."""
    import torch

    from espnet_ext.espnet.experiment import load_experiment
    from espnet_ext.machine.precision import prepare

    if device == "cuda" and torch.cuda.device_count() == 0:
        raise ValueError("device cuda: there is no GPU here; choose cpu")
    experiment = load_experiment(exp)
    if engine == "ctranslate2":
        from espnet_ext.search.ctranslate2_engine import use_ctranslate2

        return experiment, use_ctranslate2(experiment, dtype)
    return experiment, prepare(experiment.model, dtype, device)


def decode_shard(settings: Settings, path: Path, batches: list[list[int]]) -> None:
    """Decode these batches of examples into one file, which exists only when all of them are done."""
    if path.exists():
        return
    from espnet_ext.data.dataset import collate
    from espnet_ext.search.decode_batch import decode_batch
    from espnet_ext.search.inputs import open_data

    experiment, model = load(settings.exp, settings.dtype, settings.device, settings.engine)
    data = open_data(settings.dump, experiment, settings.src_lang, settings.streams)
    options = model.search_options(settings.search)
    options = {stream: options[stream] for stream in settings.streams or options}
    seconds, found = 0.0, {}
    for batch in batches:
        keys, tensors = collate([data.item(i) for i in batch])
        start = time.perf_counter()
        results = decode_batch(model, tensors, options, settings.device)
        seconds += time.perf_counter() - start
        for row, key in enumerate(keys):
            found[key] = {
                stream: [entry(h, experiment.text(stream, h.tokens)) for h in nbest[row]]
                for stream, nbest in results.items()
            }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with atomic_open(path) as stream:
        json.dump({"seconds": seconds, "peak_memory_mb": peak, "utterances": found}, stream, ensure_ascii=False)


def entry(hypothesis: Hypothesis, text: str) -> dict[str, Any]:
    """One line's worth of an n-best list; JSON has no -inf, so an impossible hypothesis has no score."""
    score = hypothesis.score if hypothesis.score > float("-inf") else None
    line: dict[str, Any] = {"text": text, "score": score, "tokens": hypothesis.tokens}
    line |= {"delays": hypothesis.delays} if hypothesis.delays else {}
    return line | ({"cut": True} if hypothesis.cut else {})


def plan(settings: Settings, data: Any, shards: int, bins: int, batch_size: int) -> list[list[list[int]]]:
    """The batches of each shard: like lengths together, longest first, dealt out in turn."""
    from espnet_ext.data.batches import make_batches

    lengths = data.lengths[:, 0]
    batches = make_batches(lengths, batch_bins=bins, max_examples=batch_size, shuffle=False)
    rows = [batch.tolist() for batch in batches]
    return [rows[i::shards] for i in range(min(shards, len(rows)))]


def decode(args: argparse.Namespace, settings: Settings, stamp: Stamp) -> None:
    """Decode what is not decoded yet, of tasks those that read the same together, then write the result files."""
    from espnet_ext.search.inputs import chosen_tasks, groups

    load.cache_clear()  # the experiment may have changed since an earlier call in this process
    experiment, model = load(settings.exp, settings.dtype, settings.device, settings.engine)
    options = model.search_options(experiment.config.get("decode"))
    given = {stream: asdict(value.replace(**settings.search)) for stream, value in options.items()}
    settings = replace(settings, search=given)
    if model.inputs == ("src_text",) and not any(settings.dump.glob("text.*")):
        print(f"{settings.dump}: not decoded: it has no text, and {settings.exp.name} reads only text", file=sys.stderr)
        return
    parts = [chosen_tasks(args.tasks, experiment)] if args.tasks else groups(settings.dump, experiment)
    if not parts:
        print(f"{settings.dump}: not decoded, as {settings.exp.name} has no task for this set", file=sys.stderr)
        write_json(settings.out / "decode.json", {"utterances": 0, "tasks": {}})
        return
    found = [decode_part(args, replace(settings, streams=streams), stamp, experiment) for streams in parts]
    write_results(settings, experiment, found, args)


def decode_part(args: argparse.Namespace, settings: Settings, stamp: Stamp, experiment: "Experiment") -> "Part":
    """All shards that are not there yet of what one input gives."""
    from espnet_ext.search.inputs import FRAMES, given_inputs, open_data, units_per_second

    model = experiment.model
    data = open_data(settings.dump, experiment, settings.src_lang, settings.streams)
    shards = args.nj if args.executor == "slurm" else max(args.nj, -(-len(data) // SHARD))
    name = given_inputs(settings.dump, experiment, settings.streams)[0]
    if remark := long_inputs.say_or_refuse(name, data.keys, data.lengths[:, 0], units_per_second(model, name)):
        print(f"{settings.dump}: {remark}", file=sys.stderr)
    bins = args.batch_bins or BINS[name] * units_per_second(model, name) // FRAMES
    batches = plan(settings, data, shards, bins, args.batch_size)
    digest = hashlib.sha256(f"{stamp.key} {settings} {batches}".encode()).hexdigest()[:16]
    folder = settings.out / ".shards"
    jobs = [(settings, folder / f"{digest}.{i}.json", part) for i, part in enumerate(batches)]
    sizes = [sum(map(len, part)) for part in batches]
    run_jobs(
        decode_shard,
        jobs,
        nj=args.nj,
        executor=args.executor,
        log_dir=settings.out / ".logs",
        description=f"decode {settings.dump.name}",
        gpus_per_job=int(settings.device == "cuda"),
        sizes=sizes,
        unit="utt",
    )
    read = [json.loads(path.read_text(encoding="utf-8")) for _, path, _ in jobs]
    audio = float(data.lengths[:, 0].sum()) / units_per_second(model, name) if name == "speech" else None
    return Part(read, settings.streams, audio)


@dataclass(frozen=True)
class Part:
    """What came of one input: its shards, the tasks among them, and the seconds of its audio."""

    shards: list[dict[str, Any]]
    streams: tuple[str, ...]
    audio_seconds: float | None


def write_results(
    settings: Settings, experiment: "Experiment", parts: Sequence[Part], args: argparse.Namespace
) -> None:
    """hyp.<stream>, nbest.<stream>.jsonl and decode.json, in the order of ids whatever the shards were."""
    from espnet_ext.scoring.resegment import as_references_are_cut
    from espnet_ext.simul.delays import write_delays

    shards = [shard for part in parts for shard in part.shards]
    found: dict[str, dict[str, Any]] = {}
    for shard in shards:
        for key, value in shard["utterances"].items():
            found.setdefault(key, {}).update(value)
    keys, model = sorted(found), experiment.model
    named = [stream for part in parts for stream in part.streams]
    streams = [s for s in model.streams if s in named or (not named and (not keys or s in found[keys[0]]))]
    for stream in streams:
        lang, keys = experiment.language(stream), sorted(key for key in found if stream in found[key])
        texts = as_references_are_cut({key: found[key][stream][0]["text"] for key in keys}, settings.dump, lang)
        write_table(settings.out / f"hyp.{stream}", texts.items())
        with atomic_open(settings.out / f"nbest.{stream}.jsonl") as lines:
            for key in keys:
                lines.write(json.dumps({"id": key, "nbest": found[key][stream]}, ensure_ascii=False) + "\n")
        write_delays(settings.out / f"delays.{stream}.jsonl", {key: found[key][stream][0] for key in keys})
    empty = sum(not nbest[0]["text"] for of_all in found.values() for nbest in of_all.values())
    if empty:
        print(f"{settings.out}: {empty} hypotheses are empty", file=sys.stderr)
    summary = {
        "utterances": len(found),
        "audio_seconds": next((part.audio_seconds for part in parts if part.audio_seconds is not None), None),
        "decode_seconds": sum(shard["seconds"] for shard in shards),  # of all jobs together, without loading
        "peak_memory_mb": max((shard["peak_memory_mb"] for shard in shards), default=None),
        "empty": empty,
        "cut": {s: sum("cut" in of_all[s][0] for of_all in found.values() if s in of_all) for s in streams},
        "jobs": args.nj,
        "parameters": sum(p.numel() for p in model.parameters()),
        "options": {**settings.search, "dtype": settings.dtype, "device": settings.device, "engine": settings.engine},
        "commit": read_run(settings.exp).get("commit"),
        "seed": experiment.config.get("seed"),
        "weights": weights(settings.exp),
    }
    if model.tasks:
        tasks = {stream: model.tasks[stream] for stream in streams}
        summary["tasks"] = {name: {"kind": t.kind, "src": t.src, "tgt": t.tgt} for name, t in tasks.items()}
    write_json(settings.out / "decode.json", summary)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.decode", description=__doc__)
    parser.add_argument("exp", type=Path, help="experiment directory of this project or of ESPnet")
    parser.add_argument(
        "dump",
        type=Path,
        help="dump directory of the test set; for ESPnet's systems that read waveforms, its data directory",
    )
    parser.add_argument("--out", type=Path, help="folder to write to; default EXP/<name of DUMP>")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs")
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where jobs run (local)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    dtype_help = "number format; int8: on the CPU only; auto: bf16 if the hardware multiplies in it, otherwise fp32"
    parser.add_argument("--dtype", choices=("auto", *DTYPES), default="fp32", help=dtype_help)
    task_help = "tasks to decode, which must all read the same input; default: those whose `tests:` name this set"
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help=task_help)
    engine_help = "program that computes: this package (own), or CTranslate2, for text translation on CPUs"
    parser.add_argument("--engine", choices=ENGINES, default="own", help=engine_help)
    parser.add_argument("--batch_size", type=int, default=32, help="largest number of utterances in a batch")
    parser.add_argument("--batch_bins", type=int, help="most frames (or tokens of text) in a batch, with padding")
    parser.add_argument("--src_lang", help="source language; only needed for MT systems of ESPnet")
    search = parser.add_argument_group("search", "these override the `decode:` section of the system's configuration")
    for item in fields(SearchOptions):
        about = f"{item.metadata['help']} (default {item.default})"
        search.add_argument(f"--{item.name}", type=type(item.default), help=about)
    return parser


def chosen_dtype(args: argparse.Namespace) -> str:
    """The number format; where bf16 comes into question the machine is asked, which imports torch."""
    if args.dtype in ("fp32", "int8"):
        return args.dtype
    from espnet_ext.machine import bf16

    if remark := bf16.remark("--dtype", args.dtype, args.device, "fp32"):
        print(remark, file=sys.stderr)
    return bf16.choose(args.dtype, args.device, "fp32")


def main(arguments: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    out = args.out or args.exp / args.dump.resolve().name
    given = {item.name: getattr(args, item.name) for item in fields(SearchOptions)}
    search = {name: value for name, value in given.items() if value is not None}
    with one_line_errors("decode", ValueError, JobError, TrainError):
        SearchOptions(**search)
        if not args.dump.is_dir():
            raise FileNotFoundError(f"{args.dump}: no such dump directory; make it with stages 4 and 6")
        settings = Settings(args.exp, args.dump, out, search, chosen_dtype(args), args.device, args.src_lang)
        settings = replace(settings, engine=args.engine)
        sources, lang = made_from(args.exp, args.dump), settings.src_lang
        how = {"dtype": settings.dtype, "src_lang": lang} | ({} if args.engine == "own" else {"engine": args.engine})
        how |= {"tasks": args.tasks} if args.tasks else {}
        stamp = Stamp(out / "decode.json", sources, parts=PARTS, search=search, **how)
        if stamp.is_current():
            return
        with stamp.making():
            decode(args, settings, stamp)
        for leftover in (".shards", ".logs"):
            shutil.rmtree(out / leftover, ignore_errors=True)


if __name__ == "__main__":
    main()
