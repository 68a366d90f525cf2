"""The loops of simultaneous translation against a plain one, sentence by sentence: the same outputs, side by side.

    python -m tests.bench.simultaneous_loops [--exp EXP --source TEXT]

The plain loop is that of tests/test_simultaneous.py: for every token it computes encoder and decoder from nothing.
`reuse` is the paper's ablation; its other kinds write other words. The translator is that of multi30k if it is trained
here, otherwise an untrained one of its size on made-up sentences of 12 to 20 sub-words.
"""

import argparse
import statistics
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from espnet_ext.machine.precision import prepare
from espnet_ext.simul import rules
from espnet_ext.simul.delays import steps_of
from espnet_ext.simul.loop import REUSE, Loops, Writing
from espnet_ext.simul.prefixes import Prefixes
from tests import test_simultaneous as plain

POLICIES: dict[str, dict[str, int]] = {"waitk": {"k": 3}, "le": {"d": 4}}
BATCH, VOCABULARY = 32, 4000
RECIPE = Path(__file__).parents[2] / "egs/multi30k"


def made_up(sentences: int) -> tuple[Any, list[list[int]]]:
    from espnet_ext.espnet.task import STTask, default_config

    tokens = ["<blank>", "<unk>", "<mt_de>", "<mt_en>", *(f"t{i}" for i in range(VOCABULARY - 5)), "<sos/eos>"]
    layer = {"attention_heads": 4, "linear_units": 768, "num_blocks": 3}
    config = {**default_config(), "model": "mt", "subwords": "joint", "src_lang": "en", "tgt_lang": "de"}
    config |= {"token_list": tokens, "src_token_list": tokens, "normalize": None, "specaug": None}
    config |= {"encoder_conf": {**layer, "output_size": 192, "input_layer": "embed"}, "decoder_conf": layer}
    torch.manual_seed(0)
    sizes = torch.randint(12, 21, (sentences,)).tolist()
    texts = [torch.randint(10, VOCABULARY - 1, (size,)).tolist() for size in sizes]
    return STTask.build_model(Namespace(**config)), texts


def trained(folder: Path, source: Path, sentences: int) -> tuple[Any, list[list[int]]]:
    from espnet_ext.espnet.experiment import load_experiment
    from espnet_ext.infra.files import read_table

    experiment = load_experiment(folder)
    texts = [text for _, text in read_table(source)][:sentences]
    return experiment.model, [experiment.src_subwords.encode(text) for text in texts]


@torch.inference_mode()
def batched(translator: Any, rule: Any, texts: list[list[int]], size: int, reuse: str) -> list[Writing]:
    found: list[Writing] = []
    for start in range(0, len(texts), size):
        prefixes = Prefixes(translator, torch.device("cpu"), reuse == "encoder")
        for text in texts[start : start + size]:
            prefixes.add(text, steps_of(len(text), 1))
        loops = Loops(translator, rule, prefixes, plain.longest, reuse)
        loops.begin(range(len(prefixes.sources)))
        found += loops.run()
    return found


@torch.inference_mode()
def one_by_one(translator: Any, rule: Any, texts: list[list[int]]) -> list[Writing]:
    return [plain.plainly(translator, rule, text, steps_of(len(text), 1)) for text in texts]


def measured(translator: Any, name: str, texts: list[list[int]], rounds: int) -> None:
    """A row for the plain loop, then one for each kind of reuse and size of batch; rounds are interleaved."""
    rule = rules.make(name, POLICIES[name])
    runs: dict[str, Any] = {"sentence by sentence": lambda: one_by_one(translator, rule, texts)}
    for reuse, size in [("none", 1), *((reuse, BATCH) for reuse in REUSE)]:
        runs[f"batch {size}, reuse {reuse}"] = lambda s=size, r=reuse: batched(translator, rule, texts, s, r)
    seconds: dict[str, list[tuple[float, float]]] = {run: [] for run in runs}
    written: dict[str, list[Writing]] = {}
    for _ in range(rounds):
        for run, start in runs.items():
            clock, cpu = time.perf_counter(), time.process_time()
            written[run] = start()
            seconds[run].append((time.perf_counter() - clock, time.process_time() - cpu))
    first, *_ = runs
    for run, rows in seconds.items():
        took = [statistics.median(column) for column in zip(*rows, strict=True)]
        ratios = [statistics.median(a[i] / b[i] for a, b in zip(seconds[first], rows, strict=True)) for i in range(2)]
        equal = sum(map(plain.same, written[first], written[run]))
        cells = f"{len(texts) / took[0]:.1f} | {len(texts) / took[1]:.1f} | {ratios[0]:.1f} ({ratios[1]:.1f})"
        print(f"| {name} | {run} | {cells} | {equal} of {len(texts)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.simultaneous_loops", description=__doc__)
    parser.add_argument("--exp", type=Path, default=RECIPE / "exp/en-de/mt", help="experiment of a translator")
    parser.add_argument("--source", type=Path, default=RECIPE / "data/en-de/val/text.en", help="what it translates")
    parser.add_argument("--sentences", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    is_trained = (args.exp / "model.pth").exists()
    if is_trained:
        model, texts = trained(args.exp, args.source, args.sentences)
    else:
        model, texts = made_up(args.sentences)
    translator = prepare(model)
    print(f"{len(texts)} sentences, {'trained' if is_trained else 'untrained'} translator, one sub-word at a time\n")
    print("| rule | loop | sentences/s | per CPU second | x sentence by sentence | same words and delays |")
    print("|---|---|---:|---:|---:|---:|")
    for name in POLICIES:
        measured(translator, name, texts, args.rounds)


if __name__ == "__main__":
    main()
