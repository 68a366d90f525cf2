"""Compute the features of a data directory: compressed log-mel archives, their lengths, and their mean and variance."""

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy as np

from espnet_ext.data import read_datadir
from espnet_ext.data.ark import INDEX, archive_name
from espnet_ext.data.audio import AudioError
from espnet_ext.data.fbank import compute, window_samples
from espnet_ext.data.feature_shards import RECORDS, Record, compute_shard, is_finished
from espnet_ext.data.read_datadir import Span
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import atomic_open, read_table, write_table
from espnet_ext.infra.jobs import EXECUTORS, JobError, run_jobs
from espnet_ext.infra.stamps import Stamp

__all__ = ["compute", "make_features"]
VERSION = 1  # of the features: another number makes all of them again
PARTS = (INDEX, "feats.scp", "feats.*.ark", "utt2num_frames", "stats.npz")


def make_features(
    data: str | Path, dump: str | Path, *, rate: int = 16000, num_mel: int = 80, nj: int = 1, executor: str = "local"
) -> None:
    """Write feats.scp, feats.<shard>.ark, utt2num_frames, stats.npz and the index of a data directory to `dump`."""
    data, dump = Path(data), Path(dump)
    wanted = read_datadir.spans(data)
    if not wanted:
        print(f"{data}: text only, no features", file=sys.stderr)
        return
    prints = read_datadir.fingerprints(span.path for span in wanted)
    settings = {"rate": rate, "num_mel": num_mel, "version": VERSION}
    sources = [data / name for name in ("wav.scp", "segments") if (data / name).exists()]
    audio = read_datadir.digest(sorted(prints.items()))
    stamp = Stamp(dump / INDEX, sources, parts=PARTS, audio=audio, **settings)
    if stamp.is_current():
        return
    shards = [[wanted[i] for i in part] for part in read_datadir.split(len(wanted))]
    keys = [read_datadir.digest([settings, *((span, prints[span.path]) for span in shard)]) for shard in shards]
    with stamp.making():
        _compute_missing(data, dump, shards, keys, rate=rate, num_mel=num_mel, nj=nj, executor=executor)
        _merge(dump, len(shards), rate)
        for table in [path for name in ("wav.scp", "segments", "utt2dur") if (path := data / name).exists()]:
            write_table(dump / table.name, read_table(table))  # for systems that read waveforms


def _compute_missing(
    data: Path,
    dump: Path,
    shards: list[list[Span]],
    keys: list[str],
    *,
    rate: int,
    num_mel: int,
    nj: int,
    executor: str,
) -> None:
    """Compute the shards that are not finished."""
    missing = [number for number, key in enumerate(keys) if not is_finished(dump, number, key)]
    if len(missing) < len(shards):
        print(f"{dump}: {len(shards) - len(missing)} of {len(shards)} shards are already there", file=sys.stderr)
    durations = iter(read_datadir.seconds(data, [span for number in missing for span in shards[number]]))
    run_jobs(
        compute_shard,
        [(number, dump, keys[number], rate, num_mel, shards[number]) for number in missing],
        nj=nj,
        executor=executor,
        log_dir=dump / "log",
        description=f"features of {data.name}",
        sizes=[sum(islice(durations, len(shards[number]))) for number in missing],
        unit=" s of audio",
    )


def _merge(dump: Path, shards: int, rate: int) -> None:
    """Join what the finished shards say into the tables of the set."""
    records = [Record.load(dump, number) for number in range(shards)]
    dropped = [utterance for record in records for utterance in record.dropped]
    index = np.concatenate([record.index for record in records])
    if not len(index):
        raise SystemExit(f"{dump}: no utterance is as long as one window of {window_samples(rate)} samples")
    if dropped:
        shown = " ".join(dropped[:5]) + (" ..." if len(dropped) > 5 else "")
        print(
            f"{dump}: {len(dropped)} utterances are shorter than one window (25 ms) and dropped: {shown}",
            file=sys.stderr,
        )
    with atomic_open(dump / "feats.scp") as scp, atomic_open(dump / "utt2num_frames") as lengths:
        for name, frames, shard, offset, *_ in index.tolist():
            scp.write(f"{name.decode()} {dump / archive_name(shard)}:{offset}\n")
            lengths.write(f"{name.decode()} {frames}\n")
    with atomic_open(dump / "stats.npz", "wb") as stream:
        total, square = sum(r.sum for r in records), sum(r.sum_square for r in records)
        np.savez(stream, count=sum(r.count for r in records), sum=total, sum_square=square)
    with atomic_open(dump / INDEX, "wb") as stream:
        np.save(stream, index)
    wanted = {archive_name(number) for number in range(shards)} | {f"{number}.npz" for number in range(shards)}
    for path in [*dump.glob("feats.*.ark"), *(dump / RECORDS).glob("*.npz")]:
        if path.name not in wanted:  # of an earlier, larger set
            path.unlink()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.features", description=__doc__)
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("dump", type=Path, help="folder for the features")
    parser.add_argument("--rate", type=int, default=16000, help="sampling rate; other audio is resampled (16000)")
    parser.add_argument("--num_mel", type=int, default=80, help="mel bins (80)")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs (1)")
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where jobs run (local)")
    options = vars(parser.parse_args(arguments))
    with one_line_errors("features", JobError, AudioError):
        make_features(options.pop("data"), options.pop("dump"), **options)


if __name__ == "__main__":
    main()
