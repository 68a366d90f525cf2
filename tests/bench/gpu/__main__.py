"""Training and decoding on a GPU beside Hugging Face's: `python -m tests.bench.gpu` writes docs/benchmarks_gpu.md.

`--device cpu` is a rehearsal at a tiny size that writes nothing.
"""

import argparse
import datetime
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from espnet_ext.infra.files import atomic_open
from espnet_ext.training.provenance import commit
from tests.bench.gpu import decoding, device, steps, training
from tests.support.bench_sizes import MEDIUM, Size

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks_gpu.md"
SIZES = {
    "mini, 6 + 3 layers of 144": Size(6, 3, 144, 4, 576, 1000, 64),
    "medium, 12 + 6 of 256": MEDIUM,
    "interactive paper, 6 + 6 of 512": Size(6, 6, 512, 8, 2048, 8000, 64),
    "mutual paper, 12 + 6 of 512": Size(12, 6, 512, 8, 2048, 8000, 64),
}
TINY = {"tiny": Size(1, 1, 32, 2, 64, 50, 2, 64, 5)}
HEADER = """# Benchmarks on a GPU

Made by `make bench-gpu`. Peers are Hugging Face's Speech2Text models of the same sizes, with torch's attention kernels
(`sdpa`, which their layers take though transformers does not offer it for this model); all are untrained. Operations
are those of the matrix products, counted by torch; the peak is that of dense products in bf16.
"""


def sections(args: argparse.Namespace) -> dict[str, Callable[[], list[str]]]:
    sizes, place, budget, utterances = SIZES, args.device, args.seconds, 64
    if args.device == "cpu":
        sizes, utterances = TINY, 2
        torch.set_num_threads(1)
    middle = dict(list(sizes.items())[-3:-1] or sizes)
    return {
        "Training steps": lambda: training.table(sizes, place, budget),
        "Beam search, one batch": lambda: decoding.table(sizes, place, budget, utterances),
        "A step of the decoder": lambda: steps.table(middle, place, budget, utterances, args.compile),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each measurement")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="torch.compile; takes a minute")
    args = parser.parse_args()
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit(f"--device cuda: torch {torch.__version__} finds no GPU here; rehearse with --device cpu")
    if args.compile is None:
        args.compile = args.device == "cuda"
    found = f"{device.name_of(args.device)}, torch {torch.__version__}, commit {commit()}, {datetime.date.today()}"
    parts = [f"{HEADER}\n{found}.\n"]
    print(parts[0], flush=True)
    for title, make in sections(args).items():
        parts.append("\n".join([f"## {title}", "", *make(), ""]))
        print(parts[-1], flush=True)
        if args.device == "cuda":  # also what came before something fails
            with atomic_open(PAGE) as stream:
                stream.write("\n".join(parts))


if __name__ == "__main__":
    main()
