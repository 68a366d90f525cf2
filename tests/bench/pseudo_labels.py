"""Pseudo-labels by our search and by CTranslate2, on the same weights: `python -m tests.bench.pseudo_labels`.

Two processes with a thread each translate a half of the set; a figure is the median over interleaved rounds, loading
and a first batch to warm up excluded.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import read_table

RECIPES = Path(__file__).parents[2] / "egs"
TRAINED = ("multi30k/exp/en-de/mt", "mini/exp/mt")  # the first that is there
TESTED = {"multi30k": "multi30k/data/en-de/test_2016_flickr", "mini": "mini/data/test"}
PROCESSES = 2
SIZES = (32, 128)


def sentences(exp: Path, data: Path) -> tuple[Any, list[list[int]]]:
    """The system and the token ids of the set's transcripts, longest first."""
    from espnet_ext.espnet.experiment import load_experiment

    experiment = load_experiment(exp)
    texts = [text for _, text in read_table(data / f"text.{experiment.config['src_lang']}")]
    return experiment, sorted((experiment.src_subwords.encode(text) for text in texts), key=len, reverse=True)


def translate(experiment: Any, lines: list[list[int]], beam: int, size: int) -> list[list[int]]:
    import numpy as np
    import torch

    from espnet_ext.data.dataset import collate

    options = experiment.model.search_options({"beam": beam, "length_norm": 1.0})
    found = []
    for first in range(0, len(lines), size):
        rows = [("", {"src_text": np.array(line)}) for line in lines[first : first + size]]
        with torch.inference_mode():
            nbest = experiment.model.decode(collate(rows)[1], options)["mt"]
        found += [hypotheses[0].tokens for hypotheses in nbest]
    return found


def work(number: int, run: tuple[str, str, int, int], exp: Path, data: Path, ready: Any, done: Any) -> None:
    """Load, warm up, wait for the others, translate every second line, and say what was found."""
    import torch

    from espnet_ext.machine.precision import prepare
    from espnet_ext.search.ctranslate2_engine import use_ctranslate2

    torch.set_num_threads(1)
    engine, dtype, beam, size = run
    experiment, everything = sentences(exp, data)
    mine = everything[number::PROCESSES]
    experiment.model = prepare(experiment.model, dtype) if engine == "own" else use_ctranslate2(experiment, dtype)
    translate(experiment, mine[:size], beam, size)
    ready.wait()
    found = translate(experiment, mine, beam, size)
    ready.wait()
    texts = [experiment.text("mt", tokens) for tokens in found]
    done.put((number, texts))


def rate(run: tuple[str, str, int, int], exp: Path, data: Path) -> tuple[float, dict[int, list[str]]]:
    """Sentences a second, and what each process found."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(PROCESSES + 1), context.SimpleQueue()
    jobs = [context.Process(target=work, args=(i, run, exp, data, ready, done)) for i in range(PROCESSES)]
    for job in jobs:
        job.start()
    ready.wait()
    start = time.perf_counter()
    ready.wait()
    seconds = time.perf_counter() - start
    texts = dict(done.get() for _ in jobs)
    for job in jobs:
        job.join()
    return sum(map(len, texts.values())) / seconds, texts


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pseudo_labels")
    parser.add_argument("--exp", type=Path, help="a trained MT; default: that of multi30k or mini")
    parser.add_argument("--data", type=Path, help="the data directory to translate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="lines of a batch")
    args = parser.parse_args()
    exp = args.exp or next((RECIPES / name for name in TRAINED if (RECIPES / name / "model.pth").exists()), None)
    if exp is None:
        print("Not measured: no trained MT here; `make demo` trains one.")
        return
    data = args.data or RECIPES / TESTED[exp.relative_to(RECIPES).parts[0]]
    print("python -m tests.bench.pseudo_labels", *sys.argv[1:])
    runs = [
        (e, d, b, s) for b in args.beams for e in ("own", "ctranslate2") for d in ("fp32", "int8") for s in args.sizes
    ]
    speeds: dict[Any, list[float]] = {run: [] for run in runs}
    texts = {}
    for _ in range(args.rounds):
        for run in runs:
            speed, texts[run] = rate(run, exp, data)
            speeds[run].append(speed)
            print(run, f"{speed:.1f}", file=sys.stderr, flush=True)
    for beam in args.beams:
        table(beam, {run: statistics.median(speeds[run]) for run in runs if run[2] == beam}, texts)


def table(beam: int, speeds: dict[Any, float], texts: dict[Any, dict[int, list[str]]]) -> None:
    """Each engine and number format at its best batch size; how many lines equal ours in fp32."""
    best = {(e, d): max((r for r in speeds if r[:2] == (e, d)), key=speeds.__getitem__) for e, d, *_ in speeds}
    exact = [line for part in sorted(texts[best["own", "fp32"]].items()) for line in part[1]]
    print(f"\nBeam {beam}, {len(exact)} sentences, two processes with a thread each\n")
    print("| engine | lines of a batch | sentences/s | x CTranslate2, same numbers | lines as own fp32 |")
    print("|---|---|---|---|---|")
    for (engine, dtype), run in best.items():
        found = [line for part in sorted(texts[run].items()) for line in part[1]]
        same = sum(a == b for a, b in zip(found, exact, strict=True)) / len(exact)
        ratio = speeds[run] / speeds[best["ctranslate2", dtype]]
        print(f"| {engine} {dtype} | {run[3]} | {speeds[run]:.0f} | {ratio:.2f} | {same:.1%} |")


if __name__ == "__main__":
    main()
