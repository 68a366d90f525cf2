"""Three tasks of 27 million, 0.7 million and 0.2 million examples: how fast they open, and what a worker pays."""

import argparse
import json
import multiprocessing
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch.utils.data  # noqa: F401 - before the fork, as in training

from espnet_ext.data import subwords
from espnet_ext.data.ark import INDEX, archive_name, index_rows, write_matrix
from espnet_ext.data.loader import IterFactory
from espnet_ext.data.subwords import Subwords
from espnet_ext.data.task_data import TaskFactory, open_task
from espnet_ext.data.tasks import Task, read_tasks
from espnet_ext.data.text import digest_keys
from espnet_ext.infra.stamps import Stamp
from tests.bench.text_index import memory, seconds

SIZES = {"mt": 27_000_000, "asr": 700_000, "st": 200_000}  # WMT and OpenSubtitles; TED-LIUM and the like; MuST-C
TASKS = {
    "st": {"set": "st", "reads": "speech", "src": "en", "tgt": "de"},
    "asr": {"set": "asr", "reads": "speech", "src": "en", "tgt": "en"},
    "mt": {"set": "mt", "reads": "text", "src": "en", "tgt": "de"},
}
KEY, WORDS, TOKENS = 9, 24, 8  # bytes of an id and of a line, tokens of a line: short, so that the disk is not full
FRAMES, BINS, BATCHES = 40, 6000, 50  # of an utterance, of a batch; batches that a worker reads
MIXTURES: dict[str, dict[str, Any]] = {"as they are": {}, "temperature 5": {"temperature": 5}}


def write_records(path: Path, records: np.ndarray) -> None:
    """Rows of equal length as espnet_ext.data.text keeps records, without a loop over 27 million lines."""
    records.tofile(path)
    np.arange(0, records.nbytes + 1, records.nbytes // len(records), dtype="<i8").tofile(path.with_suffix(".ends"))


def keys_of(count: int) -> np.ndarray:
    """(N, 9) bytes: u00000000, u00000001, ..."""
    digits = np.arange(count)[:, None] // 10 ** np.arange(7, -1, -1) % 10 + ord("0")
    return np.concatenate([np.full((count, 1), ord("u")), digits], axis=1).astype(np.uint8)


def write_set(dump: Path, count: int, langs: tuple[str, ...], model: Subwords, speech: bool) -> None:
    """The index and the tokens of each text, and where there is speech features that are one matrix for all."""
    random, keys_NK = np.random.default_rng(0), keys_of(count)
    names = [bytes(row).decode() for row in keys_NK] if speech else []
    dump.mkdir(parents=True)
    for lang in langs:
        folder = dump / f"text.{lang}"
        folder.mkdir()
        write_records(folder / "keys.bin", keys_NK)
        write_records(folder / "text.bin", np.full((count, WORDS), ord("a"), np.uint8))
        digest = digest_keys(names) if speech else "the same in both languages"
        (folder / "meta.json").write_text(json.dumps({"lines": count, "keys": digest, "text": lang}))
        tokens = dump / f"tokens.{lang}.{model.name}.{model.key}"
        with Stamp(tokens, [folder / "meta.json", model.folder / "model.spm"]).making():
            tokens.mkdir()
            ids = random.integers(5, model.size - 1, (count, TOKENS), dtype="<u2")
            write_records(tokens / "ids.bin", ids)
            (tokens / "meta.json").write_text(json.dumps({"dtype": "<u2", "tokens": model.size, "lines": count}))
    if speech:
        with open(dump / archive_name(0), "wb") as stream:
            place = write_matrix(stream, "u", random.normal(size=(FRAMES, 80)))
        np.save(dump / INDEX, index_rows(names, [FRAMES] * count, 0, [place] * count))


def make_factory(tasks: dict[str, Task], dump: Path, model: Subwords, mixture: dict[str, Any]) -> TaskFactory:
    factories = [
        IterFactory(open_task(task, task.sets, dump, model, None), batch_bins=BINS, seed=(1, i))
        for i, task in enumerate(tasks.values())
    ]
    return TaskFactory(tasks, factories, mixture, seed=1)


def worker(factory: TaskFactory, order: list[int], results: "multiprocessing.Queue") -> None:
    """What a loader process pays for batches from all over an epoch."""
    before = memory()
    took = seconds(lambda: [factory.epoch(1)[i] for i in order])
    results.put({name: value - before[name] for name, value in memory().items()} | {"seconds": took})


def measure(root: Path, tasks: dict[str, Task], model: Subwords, name: str) -> None:
    """A row of the table."""
    found: list[TaskFactory] = []
    opened = seconds(lambda: found.append(make_factory(tasks, root / "dump", model, MIXTURES[name])))
    (factory,) = found
    first = seconds(lambda: factory.num_batches(1))
    fork = multiprocessing.get_context("fork")
    results: multiprocessing.Queue = fork.Queue()
    order = np.random.default_rng(1).integers(factory.num_batches(1), size=BATCHES).tolist()
    process = fork.Process(target=worker, args=(factory, order, results))
    process.start()
    paid = results.get()
    process.join()
    shares = ", ".join(f"{task} {float(quota):,.0f}" for task, quota in zip(tasks, factory.mixture.quota_I))
    print(
        f"| {name} | {opened:.1f} s | {first:.1f} s | {shares} | {paid['USS']:.0f} MB | "
        f"{1000 * paid['seconds'] / BATCHES:.1f} ms |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tasks", description=__doc__)
    parser.add_argument("--smaller", type=int, default=1, help="divide all sizes by this")
    args = parser.parse_args()
    sizes = {name: size // args.smaller for name, size in SIZES.items()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "de-en").mkdir()
        subwords.train(root / "de-en", ["ab cd ef gh ij kl mn op"], ["de", "en"], None, "char")
        model, tasks = Subwords(root / "de-en"), read_tasks({"subwords": "joint", "tasks": TASKS})
        for name, size in sizes.items():
            langs = ("en",) if name == "asr" else ("de", "en")
            write_set(root / "dump" / name, size, langs, model, tasks[name].reads == "speech")
        disk = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / 1e9
        print(f"{', '.join(f'{n} {s:,}' for n, s in sizes.items())} examples, {disk:.1f} GB of indices\n")
        print(
            "| mixture | tasks opened | first epoch dealt out | batches of an epoch | a worker's own memory | a batch |"
        )
        print("|---|---|---|---|---|---|")
        for name in MIXTURES:
            measure(root, tasks, model, name)


if __name__ == "__main__":
    main()
