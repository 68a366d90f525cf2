"""An index over 5 million sentence pairs: how fast it opens, what a worker pays for it, how fast lines are read."""

import argparse
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from espnet_ext.data import subwords, text
from espnet_ext.data.dataset import SpeechTextData
from espnet_ext.data.subwords import Subwords
from espnet_ext.data.text import TextIndex, TokenIndex

LANGS = ("en", "de")
LINES = 100_000  # read at random


def write_pairs(data: Path, pairs: int) -> None:
    """Lines of 20 to 90 characters, cut from running words; 60 bytes on average."""
    random = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzäöü"))
    words = np.array(["".join(random.choice(letters, random.integers(2, 11))) for _ in range(5000)], object)
    for lang in LANGS:
        with open(data / f"text.{lang}", "w", encoding="utf-8") as stream:
            for first in range(0, pairs, 100_000):
                running = " ".join(random.choice(words, 20_000))
                starts = random.integers(0, len(running) - 100, 100_000).tolist()
                lengths = random.integers(20, 91, 100_000).tolist()
                for i in range(min(100_000, pairs - first)):
                    line = running[starts[i] : starts[i] + lengths[i]].strip()
                    stream.write(f"u{first + i:08d} {line}\n")


def memory() -> dict[str, float]:
    """This process's memory in MB: PSS shares pages with those that map them too, USS has its own alone."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    parts = {name: int(size) / 1024 for name, size in re.findall(r"^(\w+): +(\d+) kB", rollup, re.MULTILINE)}
    return {
        "RSS": parts["Rss"],
        "PSS": parts["Pss"],
        "USS": parts["Private_Clean"] + parts["Private_Dirty"],
    }


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def worker(data: SpeechTextData, order: list[int], results: "multiprocessing.Queue") -> None:
    """What a loader process pays for reading examples from all over the set."""
    before = memory()
    for i in order:
        data.item(i, (1, 1))
    results.put({name: value - before[name] for name, value in memory().items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5_000_000)
    pairs = parser.parse_args().pairs
    print("| what | found | goal |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        data, dump = Path(folder, "data"), Path(folder, "dump")
        data.mkdir()
        write_pairs(data, pairs)
        made = seconds(lambda: text.main([str(data), str(dump)]))
        print(f"| text index of {pairs:,} pairs made | {made:.1f} s | |")
        subwords.SENTENCES = 20_000  # the model does not matter here
        subwords.main(
            [f"{folder}/sw", "--data", str(data), "--langs", *LANGS, "--vocab_size", "4000", "--type", "unigram"]
        )
        models = [Subwords(Path(folder, "sw", lang)) for lang in LANGS]
        made = seconds(lambda: [TokenIndex.open(TextIndex(dump / f"text.{n}"), m) for n, m in zip(LANGS, models)])
        print(f"| token ids made, once | {made:.1f} s | |")
        order = np.random.default_rng(1).integers(0, pairs, LINES).tolist()
        measure(dump, models, order)


def measure(dump: Path, models: list[Subwords], order: list[int]) -> None:
    opened = seconds(lambda: [TextIndex(dump / f"text.{lang}") for lang in LANGS])
    print(f"| text index of both languages opens in | {opened * 1000:.1f} ms | 2 s |")
    names = ("src_text", "text")
    opened = seconds(lambda: SpeechTextData(dump, *LANGS, *models, names=names).lengths)
    print(f"| training set (text, ids, lengths) opens in | {opened:.2f} s | 2 s |")
    texts = TextIndex(dump / "text.en")
    print(f"| {LINES:,} lines at random | {seconds(lambda: [texts[i] for i in order]):.2f} s | 1 s |")
    tokens = TokenIndex.open(texts, models[0])
    print(f"| token ids of {LINES:,} lines at random | {seconds(lambda: [tokens[i] for i in order]):.2f} s | |")
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        for sample in (None, 0.2):
            found: multiprocessing.Queue = context.Queue()
            dataset = SpeechTextData(dump, *LANGS, *models, names=names, sample=sample)
            process = context.Process(target=worker, args=(dataset, order, found))
            process.start()
            added = ", ".join(f"{name} {round(value):+d} MB" for name, value in found.get().items())
            process.join()
            kind = "sampling" if sample else "ids"
            print(f"| {method}ed worker, {LINES:,} pairs at random, {kind} | {added} | 100 MB |")
    print("\nRepeat with: python -m tests.bench.text_index")


if __name__ == "__main__":
    main()
