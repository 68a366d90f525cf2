"""Simultaneous translation: a plain loop, SimulEval with our agent, ours alone and in batches, with the same outputs.

    python -m tests.bench.simultaneous [--sentences 64] [--rounds 2]

An untrained translator of multi30k's size (3 + 3 layers of 192, 4,000 sub-words), sentences of 8 to 16 words, a word at
a time; a translation is as long as its source. The plain loop computes encoder and decoder from nothing for every
token. Rounds are interleaved, one thread; medians by the clock and by CPU time. Loading and scoring are not counted.
"""

import argparse
import contextlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml

from espnet_ext.data import subwords
from espnet_ext.espnet.experiment import load_experiment
from espnet_ext.espnet.task import STTask, default_config
from tests.test_simultaneous import plainly

RULES: dict[str, dict[str, int]] = {"waitk": {"k": 3}, "le": {"d": 2}}
LAYER = {"attention_heads": 4, "linear_units": 768, "num_blocks": 3}
BATCH = 64
LONGEST = {"max_ratio": 1.0, "max_extra": 0}
Texts = list[str]


def make_translator(root: Path, words: list[str]) -> None:
    folder = root / "subwords" / "de-en"
    folder.mkdir(parents=True)
    subwords.train(folder, words, ["de", "en"], 4000, "bpe")
    tokens = subwords.Subwords(folder).tokens
    config = {**default_config(), "model": "mt", "src_lang": "en", "tgt_lang": "de", "subwords": "joint"}
    config |= {"token_list": tokens, "src_token_list": tokens, "specaug": None, "normalize": None, "seed": 1}
    config |= {"encoder": "transformer", "encoder_conf": {**LAYER, "output_size": 192, "input_layer": "embed"}}
    config |= {"decoder_conf": LAYER, "decode": LONGEST, "output_dir": str(root / "mt")}
    torch.manual_seed(0)
    model = STTask.build_model(Namespace(**config))
    model.decoder.output_layer.bias.data[-1] = -100.0  # it ends at the limit of length
    subwords.Subwords(folder).copy_to(root / "mt" / "subwords")
    torch.save(model.state_dict(), root / "mt" / "model.pth")
    (root / "mt" / "config.yaml").write_text(yaml.safe_dump(config))


def make_rule(root: Path, name: str) -> Path:
    exp = root / name
    exp.mkdir()
    config = yaml.safe_load((root / "mt" / "config.yaml").read_text())
    conf = {"rule": name, "step": "word", **RULES[name]}
    config |= {"model": "simultaneous", "mt": "../mt", "model_conf": conf, "output_dir": str(exp)}
    (exp / "config.yaml").write_text(yaml.safe_dump(config))
    return exp


def by_plain_loop(exp: Path, lines: Texts) -> Callable[[], Texts]:
    experiment = load_experiment(exp)
    model: Any = experiment.model
    options = model.search_options(LONGEST)["mt"]

    def run() -> Texts:
        found = []
        for line in lines:
            source = experiment.src_subwords.encode(line)
            writing = plainly(model.mt, model.rule, source, model.steps(source), lambda n: options.longest(n + 1))
            found.append(experiment.text("mt", writing.tokens))
        return found

    return run


def by_ours(exp: Path, lines: Texts, size: int) -> Callable[[], Texts]:
    experiment = load_experiment(exp)
    model: Any = experiment.model
    options = model.search_options(LONGEST)

    def run() -> Texts:
        found = []
        for first in range(0, len(lines), size):
            tokens = [torch.tensor(experiment.src_subwords.encode(line)) for line in lines[first : first + size]]
            batch = {
                "src_text": torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=-1),
                "src_text_lengths": torch.tensor([len(row) for row in tokens]),
            }
            found += [experiment.text("mt", nbest[0].tokens) for nbest in model.decode(batch, options)["mt"]]
        return found

    return run


def by_simuleval(exp: Path, root: Path) -> Callable[[], Texts]:
    from simuleval.evaluator import build_evaluator
    from simuleval.utils.agent import build_system_args

    out = root / f"out_{exp.name}"
    files = ["--source", str(root / "source"), "--target", str(root / "source"), "--output", str(out)]
    agent = ["--agent-class", "espnet_ext.simul.agent.TextAgent", "--exp", str(exp)]
    sys.argv = ["simuleval", *agent, *files, "--no-progress-bar", "--no-scoring"]
    system, args = build_system_args()

    def run() -> Texts:
        with contextlib.redirect_stdout(io.StringIO()):
            build_evaluator(args)(system)
        return [json.loads(line)["prediction"] for line in (out / "instances.log").read_text().splitlines()]

    return run


def measure(runs: dict[str, Callable[[], Texts]], rounds: int) -> dict[str, tuple[float, float]]:
    """Seconds of each by the clock and of CPU time; all must write the same."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    with torch.inference_mode():
        for _ in range(rounds):
            texts = {}
            for name, run in runs.items():
                clock, cpu = time.perf_counter(), time.process_time()
                texts[name] = run()
                taken[name].append((time.perf_counter() - clock, time.process_time() - cpu))
            if len(set(map(tuple, texts.values()))) > 1:
                sys.exit(f"the outputs differ: {[name for name in texts if texts[name] != texts['plain loop']]}")
    return {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in taken.items()}  # type: ignore[misc]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    random.seed(0)
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(3000)]
    lines = [" ".join(random.choices(words, k=random.randint(8, 16))) for _ in range(args.sentences)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "source").write_text("".join(f"{line}\n" for line in lines))
        make_translator(root, words)
        print(f"python -m tests.bench.simultaneous --sentences {args.sentences} --rounds {args.rounds}")
        for name, options in RULES.items():
            exp = make_rule(root, name)
            runs = {
                "plain loop": by_plain_loop(exp, lines),
                "SimulEval, our agent": by_simuleval(exp, root),
                "ours, one at a time": by_ours(exp, lines, 1),
                f"ours, batches of {BATCH}": by_ours(exp, lines, BATCH),
            }
            seconds = measure(runs, args.rounds)
            print(f"\n{name} {options}, the same {args.sentences} translations\n")
            print("| run | sentences/s | per CPU second | x plain loop | x SimulEval |\n|---|---:|---:|---:|---:|")
            for run, (clock, cpu) in seconds.items():
                ratios = [seconds[peer][0] / clock for peer in ("plain loop", "SimulEval, our agent")]
                speed = f"{args.sentences / clock:.1f} | {args.sentences / cpu:.1f}"
                print(f"| {run} | {speed} | {ratios[0]:.1f} | {ratios[1]:.1f} |")


if __name__ == "__main__":
    main()
