"""Write a data directory with the utterances of another and changed copies of them."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from espnet_ext.data import effects, read_datadir
from espnet_ext.data.about import read_about, write_about
from espnet_ext.data.audio import AudioError, require_program
from espnet_ext.data.augment_shards import Made, make_shard
from espnet_ext.data.effects import Copy
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import read_table, write_table
from espnet_ext.infra.jobs import EXECUTORS, JobError, run_jobs
from espnet_ext.infra.stamps import Stamp

VERSION = 1  # of the effects: another number makes all copies again
PARTS = ("wav.scp", "segments", "utt2*", "text.*", "audio/*/shard.json")


def augment(
    data: str | Path,
    output: str | Path,
    copies: list[Copy],
    *,
    seed: int = 1,
    rate: int = 16000,
    nj: int = 1,
    executor: str = "local",
) -> None:
    """Write `output` with all utterances of `data` and their changed copies; texts and speakers follow."""
    data, output = Path(data), Path(output)
    spans = read_datadir.spans(data)
    if not spans:
        raise SystemExit(f"{data}: text only, there is no audio to augment; leave augmentation out for this set")
    prints = read_datadir.fingerprints(span.path for span in spans)
    settings = {"copies": copies, "seed": seed, "rate": rate, "version": VERSION}
    audio = read_datadir.digest(sorted(prints.items()))
    stamp = Stamp(output / "wav.scp", read_datadir.tables(data), parts=PARTS, audio=audio, **settings)
    if stamp.is_current():
        return
    if any(copy.needs_sox for copy in copies):
        require_program("sox", "tempo or echo")
    seconds = read_datadir.seconds(data, spans)
    jobs, sizes = [], []
    for copy in copies:
        for number, part in enumerate(read_datadir.split(len(spans))):
            wanted = [spans[i] for i in part]
            key = read_datadir.digest([copy, seed, rate, VERSION, *((span, prints[span.path]) for span in wanted)])
            jobs.append((output / "audio" / f"{copy.prefix}{number}", key, copy, seed, rate, wanted))
            sizes.append(sum(seconds[i] for i in part))
    log, name = output / "log", f"augment {data.name}"
    how: dict[str, Any] = {"sizes": sizes, "unit": " s of audio", "log_dir": log, "description": name}
    with stamp.making():
        made = run_jobs(make_shard, jobs, nj=nj, executor=executor, **how)
        originals = dict(zip((span.utterance for span in spans), seconds, strict=True))
        copied = [(job[2], utterance) for job, part in zip(jobs, made, strict=True) for utterance in part]
        _write_tables(data, output, originals, copied)


def _write_tables(data: Path, output: Path, originals: dict[str, float], copied: list[tuple[Copy, Made]]) -> None:
    """Write the tables of the new data directory; wav.scp comes last."""
    names = {copy.prefix + utterance: utterance for copy, (utterance, _, _) in copied}
    if clash := names.keys() & originals.keys():
        raise SystemExit(f"{data}: it already has an utterance {min(clash)}; augment the set without copies")
    durations = originals | {copy.prefix + utterance: seconds for copy, (utterance, _, seconds) in copied}
    written = {"utt2dur": [(name, f"{seconds:.6f}") for name, seconds in durations.items()]}
    for path in read_datadir.tables(data):
        if path.name.startswith("text.") or path.name == "utt2task":
            said = dict(read_table(path))
            written[path.name] = [*said.items(), *((name, said[utterance]) for name, utterance in names.items())]
    speakers = dict(read_table(data / "utt2spk"))
    spoken = [(copy.prefix + name, copy.prefix + speakers[name]) for copy, (name, _, _) in copied]
    written["utt2spk"] = [*speakers.items(), *spoken]
    if (data / "segments").exists():  # then every utterance has one
        whole = [(name, f"{name} 0 {durations[name]:.6f}") for name in names]
        written["segments"] = [*read_table(data / "segments"), *whole]
    recordings = [(copy.prefix + utterance, path) for copy, (utterance, path, _) in copied]
    written["wav.scp"] = [*read_table(data / "wav.scp"), *recordings]
    for name, rows in written.items():
        write_table(output / name, rows)
    _remove_old(output, written.keys(), {Path(path).parent.name for _, path in recordings})
    write_about(output, read_about(data).speech)


def _remove_old(output: Path, tables: Iterable[str], shards: set[str]) -> None:
    """Remove what an earlier run with other settings left."""
    for path in read_datadir.tables(output):
        if path.name not in tables:
            path.unlink()
    for folder in (output / "audio").iterdir():
        if folder.name not in shards:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.augment", description=__doc__)
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("output", type=Path, help="data directory to write")
    parser.add_argument(
        "--with",
        dest="words",
        nargs="+",
        required=True,
        metavar="EFFECT",
        help="speed:FACTOR,... (a copy for each); speed_range:LOW,HIGH, tempo:LOW,HIGH, echo (one copy with all)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the strength of each effect (1)")
    parser.add_argument("--rate", type=int, default=16000, help="sampling rate of the copies (16000)")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs (1)")
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where jobs run (local)")
    options = parser.parse_args(arguments)
    with one_line_errors("augment", AudioError, JobError, ValueError):
        copies = effects.plan(options.words)
        how = {"seed": options.seed, "rate": options.rate, "nj": options.nj, "executor": options.executor}
        augment(options.data, options.output, copies, **how)


if __name__ == "__main__":
    main()
