"""Decoding beside ESPnet and Hugging Face: `python -m tests.bench.decode`; 12 + 6 layers of 256, beam 5, 2 threads.

Untrained models; the number of tokens is forced. Rounds are interleaved, each figure is the median over the rounds.
"""

import argparse
import copy
import statistics
import subprocess
import sys
import time

import torch

from espnet_ext.machine import bf16
from tests.bench.train_steps import espnet_model, resident
from tests.support.bench_sizes import MEDIUM, Size
from tests.support.decode_peers import (
    BEAM,
    FRAMES,
    THREADS,
    TOKENS,
    VOCABULARY,
    Timed,
    espnet,
    espnet_search,
    hugging_face,
)

DTYPES = ("fp32", "bf16", "int8") if bf16.is_native() else ("fp32", "int8")
PEER_DTYPES = tuple(dtype for dtype in DTYPES if dtype != "int8")
UTTERANCES = 64
EQUAL_LENGTHS = [FRAMES] * UTTERANCES


def real_lengths() -> list[int]:
    """Frames as in speech corpora of cut talks: log-normal, median 4 s, most from 1 to 12 s."""
    generator = torch.Generator().manual_seed(1)
    seconds = (1.4 + 0.6 * torch.randn(UTTERANCES, generator=generator)).exp().clamp(1.0, 12.0)
    return sorted((seconds * 100).long().tolist(), reverse=True)


def features(lengths: list[int]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(n, 80, generator=generator) for n in lengths]


def make_model(
    input_layer: str, dtype: str = "fp32", scale: float = 1.0, size: Size = MEDIUM, device: str = "cpu"
) -> torch.nn.Module:
    from espnet_ext.espnet.task import STTask
    from espnet_ext.machine.precision import prepare

    torch.manual_seed(0)
    model = espnet_model(STTask, input_layer, size)
    for parameter in model.parameters():
        if parameter.dim() == 2:
            parameter.data.mul_(scale)
    return prepare(model, dtype, device)


def ours(model: torch.nn.Module, speech: list[torch.Tensor], size: int, device: str = "cpu") -> Timed:
    """`size` utterances at a time."""
    from espnet_ext.data.dataset import collate

    def run() -> int:
        for start in range(0, len(speech), size):
            part = speech[start : start + size]
            _, batch = collate([("", {"speech": x.numpy()}) for x in part])
            ratio = (TOKENS + 0.5) / (FRAMES // 4 - 1)
            options = model.search_options({"beam": BEAM, "min_ratio": ratio, "max_ratio": ratio})
            with torch.inference_mode():
                model.decode({name: value.to(device) for name, value in batch.items()}, options)
        return len(speech)

    return run


def matrix_products(dtype: str, slice_size: int = 4, batch: int = 32) -> Timed:
    """Only the linear layers of what `ours` computes at equal lengths: no search can be faster with these kernels."""
    from espnet_ext.machine.int8_linear import quantised
    from espnet_ext.machine.onednn_linear import pack_linear_layers

    number = torch.bfloat16 if dtype == "bf16" else torch.float32
    memory, width, hidden = FRAMES // 4 - 1, 256, 2048
    layers, inputs = [], []

    def add(count: int, rows: int, n_in: int, n_out: int) -> None:
        layer = torch.nn.Sequential(torch.nn.Linear(n_in, n_out)).to(number)
        if dtype != "int8":
            pack_linear_layers(layer)
        else:
            layer = quantised(layer)
        layers.append((count, layer))
        inputs.append(torch.randn(rows, n_in, dtype=number))

    slices = batch // slice_size
    add(12 * slices * 4, slice_size * memory, width, width)
    add(12 * slices, slice_size * memory, width, hidden)
    add(12 * slices, slice_size * memory, hidden, width)
    add(6, batch * memory, width, 2 * width)
    rows = batch * BEAM
    add(6 * TOKENS, rows, width, 3 * width)
    add(6 * TOKENS * 3, rows, width, width)
    add(6 * TOKENS, rows, width, hidden)
    add(6 * TOKENS, rows, hidden, width)
    add(TOKENS, rows, width, VOCABULARY)

    def run() -> int:
        with torch.inference_mode():
            for (count, layer), x in zip(layers, inputs):
                for _ in range(count):
                    layer(x)
        return batch

    return run


def measure(runs: dict[str, Timed], rounds: int) -> dict[str, tuple[float, float]]:
    """Utterances per second and per second of CPU time, the medians of interleaved rounds after one to warm up."""
    speeds: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            done = run()
            if number:
                speeds[name].append((done / (time.perf_counter() - wall), done / (time.process_time() - cpu)))
    return {name: tuple(map(statistics.median, zip(*values))) for name, values in speeds.items()}  # type: ignore[misc]


def table(title: str, speeds: dict[str, tuple[float, float]], columns: dict[str, str]) -> None:
    """Markdown: each run's speed, and its ratio to the runs that `columns` names, by time (and by CPU time)."""
    print(f"\n{title}\n\n| run | utterances/s | per CPU second | {' | '.join(f'x {name}' for name in columns)} |")
    print("|---" * (len(columns) + 3) + "|")
    for name, (wall, cpu) in speeds.items():
        ratios = [f"{wall / speeds[base][0]:.2f} ({cpu / speeds[base][1]:.2f})" for base in columns.values()]
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {' | '.join(ratios)} |")


def identity(utterances: int) -> None:
    """How often the 1-best equals ESPnet's on the same parameters, in fp32."""
    model = make_model("conv2d", scale=1.5)  # or every hypothesis would be about as probable as any other
    search, encoder = espnet_search(model)
    speech = features((real_lengths() * 2)[:utterances])
    ratio = (TOKENS + 0.5) / (FRAMES // 4 - 1)
    options = model.search_options({"beam": BEAM, "max_ratio": ratio})
    same = 0
    for x_TF in speech:
        with torch.inference_mode():
            batch = {"speech": x_TF[None], "speech_lengths": torch.tensor([len(x_TF)])}
            found = model.decode(batch, options)["st"][0][0].tokens
            memory = encoder(x_TF[None], torch.tensor([len(x_TF)]))[0][0]
            best = search(x=memory, maxlenratio=ratio)[0].yseq.tolist()
        same += found == [token for token in best if token != VOCABULARY - 1]
    print(f"\n1-best equal to ESPnet's in fp32: {same} of {len(speech)}")


def peak_memory() -> None:
    """Of a process that decodes one batch, or eight: it should not grow."""
    print("\n| utterances of 3 s | batch | peak memory, MB |\n|---|---|---|")
    for count, size in ((32, 32), (256, 32), (8, 8)):
        command = [sys.executable, "-m", "tests.bench.decode", "--peak", str(count), str(size)]
        output = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
        print(f"| {count} | {size} | {output.split()[-1]} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decode", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", nargs="+", default=["espnet", "equal", "real", "one", "memory"])
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--threads", type=int, default=THREADS)
    parser.add_argument("--peak", type=int, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peak:
        ours(make_model("conv2d"), features([FRAMES] * args.peak[0]), args.peak[1])()
        print(int(resident("VmHWM")) // 1024)  # getrusage's peak would be this process's, which it outlives
        return
    print("python -m tests.bench.decode", *sys.argv[1:])
    if "espnet" in args.parts:
        speech, exact = features(EQUAL_LENGTHS)[:32], make_model("conv2d")
        runs = {"ESPnet fp32": espnet(exact, speech[:4])}
        runs["ESPnet fp32, least = most tokens"] = espnet(exact, speech[:2], TOKENS + 0.5)
        runs |= {f"ours {d}, batch 32": ours(make_model("conv2d", d), speech, 32) for d in DTYPES}
        runs["ours fp32, batch 1"] = ours(exact, speech[:6], 1)
        title = "Same checkpoint as ESPnet (conv2d input), 3 s, 20 tokens"
        table(title, measure(runs, args.rounds), {name: name for name in list(runs)[:2]})
        identity(100)
    smaller = [size // 2 for size in args.batch_sizes]  # padding makes large unequal batches slow in Hugging Face's
    for part, lengths, sizes in (
        ("equal", EQUAL_LENGTHS, args.batch_sizes),
        ("real", real_lengths(), smaller),
    ):
        if part in args.parts:
            compare(part, features(lengths), sizes, args.rounds)
    if "one" in args.parts:
        speech = features(EQUAL_LENGTHS)[:6]
        runs = {f"Hugging Face {d}": hugging_face(d, speech, 1) for d in PEER_DTYPES}
        runs |= {f"ours {d}": ours(make_model("conv1d", d), speech, 1) for d in DTYPES}
        columns = {f"HF {d}": f"Hugging Face {d}" for d in PEER_DTYPES}
        table("Batch 1, conv1d input, 3 s, 20 tokens", measure(runs, args.rounds), columns)
    if "memory" in args.parts:
        peak_memory()


def compare(part: str, speech: list[torch.Tensor], sizes: list[int], rounds: int) -> None:
    """Ours and Hugging Face's, each at its best batch size."""
    runs: dict[str, Timed] = {}
    models = {dtype: make_model("conv1d", dtype) for dtype in DTYPES}
    for size in sizes:
        runs |= {f"Hugging Face {d}, batch {size}": hugging_face(d, speech, size) for d in PEER_DTYPES}
        runs |= {f"ours {d}, batch {size}": ours(copy.copy(models[d]), speech, size) for d in DTYPES}
    if part == "equal":
        runs |= {f"linear layers alone {d}": matrix_products(d) for d in DTYPES}
    speeds = measure(runs, rounds)
    best = {
        d: max((n for n in speeds if n.startswith(f"Hugging Face {d}")), key=speeds.__getitem__) for d in PEER_DTYPES
    }
    table(f"conv1d input, {part} lengths", speeds, {f"best HF {d}": name for d, name in best.items()})


if __name__ == "__main__":
    main()
