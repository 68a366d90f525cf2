"""Whole training epochs, ours and espnet2.bin.st_train's: loading, batching, forward, backward, update.

    python -m tests.bench.epoch [--utterances 144] [--rounds 5] [--threads 2]

The same model (12 + 6 layers of 256, FFN 2048, 4 heads, conv2d subsampling, 4000 sub-words), features, sub-words and
batch size (9,600 frames); lengths are log-normal (median 3.5 s, sigma 0.5), as those of read speech are.
Each system runs in a process of its own, and they take turns epoch by epoch, so that a busy machine slows all alike.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

SYSTEMS = ("espnet fp32", "ours fp32", "ours bf16")
FRAMES, VOCABULARY = 9600, 4000
ENCODER = {"output_size": 256, "attention_heads": 4, "linear_units": 2048, "num_blocks": 12, "input_layer": "conv2d"}
DECODER = {"attention_heads": 4, "linear_units": 2048, "num_blocks": 6}


def make_data(root: Path, utterances: int) -> None:
    """A dump directory, Kaldi files for ESPnet, and sub-words."""
    from espnet_ext.data import subwords, text
    from espnet_ext.data.ark import INDEX, archive_name, index_rows, write_matrix
    from espnet_ext.infra.files import write_table

    random = np.random.default_rng(1)
    dump = root / "dump"
    dump.mkdir()
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = np.array(["".join(random.choice(letters, random.integers(2, 9))) for _ in range(8000)])
    lengths = np.clip(np.exp(random.normal(np.log(350), 0.5, utterances)), 60, 2000).astype(int).tolist()
    ids = [f"utt{i:05d}" for i in range(utterances)]
    with open(dump / archive_name(0), "wb") as stream:
        places = [write_matrix(stream, key, random.normal(size=(n, 80))) for key, n in zip(ids, lengths)]
    np.save(dump / INDEX, index_rows(ids, lengths, 0, places))
    ark = dump / archive_name(0)
    write_table(dump / "feats.scp", [(key, f"{ark}:{place[0]}") for key, place in zip(ids, places)])
    np.savez(dump / "stats.npz", count=1000, sum=np.zeros(80), sum_square=np.full(80, 1000.0))
    write_table(root / "speech_shape", [(key, f"{n},80") for key, n in zip(ids, lengths)])
    for lang in ("en", "de"):
        # zipf's law over words, about 25 tokens in 400 frames
        texts = [" ".join(words[np.minimum(random.zipf(1.3, max(n // 30, 1)), len(words)) - 1]) for n in lengths]
        write_table(root / f"text.{lang}", list(zip(ids, texts)))
        text.build(root / f"text.{lang}", dump / f"text.{lang}")
        folder = root / "exp" / "subwords" / lang
        folder.mkdir(parents=True)
        subwords.train(folder, [*texts, *words], [lang], VOCABULARY, "unigram")


def serve(run_epoch: Any) -> None:
    """Run an epoch whenever the parent says so; answer with its time and this process's memory."""
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin, 1):
        begun, worked = time.perf_counter(), time.process_time()
        run_epoch(number)
        seconds, cpu = time.perf_counter() - begun, time.process_time() - worked
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": peak}), flush=True)


def work_espnet(root: Path) -> None:
    """ESPnet's st_train up to its Trainer, whose train_one_epoch is then called."""
    from espnet2.tasks.st import STTask
    from espnet2.train.reporter import Reporter
    from espnet2.train.trainer import Trainer

    class Served(Trainer):
        @classmethod
        def run(cls, train_iter_factory: Any, trainer_options: Any, distributed_option: Any, **parts: Any) -> None:
            reporter = Reporter()

            def run_epoch(number: int) -> None:
                reporter.set_epoch(number)
                with reporter.observe("train") as observed:
                    cls.train_one_epoch(
                        model=parts["model"],
                        optimizers=parts["optimizers"],
                        schedulers=parts["schedulers"],
                        iterator=train_iter_factory.build_iter(number),
                        reporter=observed,
                        scaler=None,
                        summary_writer=None,
                        options=trainer_options,
                        distributed_option=distributed_option,
                    )

            serve(run_epoch)

    STTask.trainer = Served
    STTask.main(cmd=espnet_arguments(root))


def espnet_arguments(root: Path) -> list[str]:
    """st_train's command line for this data and model."""
    given: dict[str, Any] = {
        "output_dir": root / "espnet",
        "input_size": 80,
        "batch_type": "numel",
        "batch_bins": FRAMES * 80,
        "optim": "adamw",
        "optim_conf": ["lr=0.0001"],
        "encoder": "transformer",
        "encoder_conf": [f"{k}={v}" for k, v in ENCODER.items()],
        "decoder": "transformer",
        "decoder_conf": [f"{k}={v}" for k, v in DECODER.items()],
        "model_conf": ["asr_weight=0.0", "mt_weight=0.0", "mtlalpha=0.0", "lsm_weight=0.1", "report_bleu=false"],
        "normalize": "global_mvn",
        "normalize_conf": [f"stats_file={root}/dump/stats.npz"],
        "num_att_plot": 0,
        "use_tensorboard": "false",
        "log_level": "ERROR",
    }
    for prefix, lang in (("src_", "en"), ("", "de")):
        folder = root / "exp" / "subwords" / lang
        given |= {f"{prefix}token_type": "bpe", f"{prefix}bpemodel": folder / "model.spm"}
        given[f"{prefix}token_list"] = folder / "tokens.txt"
    command = [
        word for k, v in given.items() for x in (v if isinstance(v, list) else [v]) for word in (f"--{k}", str(x))
    ]
    for phase in ("train", "valid"):
        for path, kind in (
            ("dump/feats.scp", "speech,kaldi_ark"),
            ("text.de", "text,text"),
            ("text.en", "src_text,text"),
        ):
            command += [f"--{phase}_data_path_and_name_and_type", f"{root}/{path},{kind}"]
        command += [f"--{phase}_shape_file", f"{root}/speech_shape"]
    return command


def work_ours(root: Path, amp: str) -> None:
    """Our task up to its loop, whose train_epoch is then called."""
    from espnet_ext.espnet.task import STTask
    from espnet_ext.training.checkpoint import Position
    from espnet_ext.training.trainer import Loop, Trainer

    class Served(Trainer):
        @classmethod
        def run(cls, train_iter_factory: Any, trainer_options: Any, **parts: Any) -> None:
            learn = parts["model"], parts["optimizers"], parts["schedulers"]
            loop = Loop(*learn, train_iter_factory, parts["valid_iter_factory"], trainer_options)

            def run_epoch(number: int) -> None:
                loop.position = Position(epoch=number)
                loop.train_epoch()

            serve(run_epoch)

    STTask.trainer = Served
    parser = STTask.get_parser()
    subwords = root / "exp" / "subwords"
    parser.set_defaults(
        output_dir=str(root / "exp"),
        model="e2e",
        model_conf={"lsm_weight": 0.1},
        train_dump=str(root / "dump"),
        valid_dump=str(root / "dump"),
        src_lang="en",
        tgt_lang="de",
        src_token_list=str(subwords / "en" / "tokens.txt"),
        token_list=str(subwords / "de" / "tokens.txt"),
        batch_bins=FRAMES,
        optim="adamw",
        optim_conf={"lr": 1e-4},
        encoder="transformer",
        encoder_conf=ENCODER,
        decoder="transformer",
        decoder_conf=DECODER,
        normalize="global_mvn",
        normalize_conf={"stats_file": f"{root}/dump/stats.npz"},
        use_tensorboard=False,
        amp=amp,
    )
    STTask.main(args=parser.parse_args([]))


class Worker:
    """A system in a process of its own."""

    def __init__(self, system: str, root: Path, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        command = [sys.executable, "-m", "tests.bench.epoch", "--work", system, "--root", str(root)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        self.read("ready")

    def read(self, start: str) -> str:
        """The next line that starts so; libraries print others."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line
        raise RuntimeError(f"{self.process.args} ended")

    def epoch(self) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.read("{"))


def measure(utterances: int, rounds: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_data(root, utterances)
        workers = {system: Worker(system, root, threads) for system in SYSTEMS}
        for worker in workers.values():  # warm up
            worker.epoch()
        found: dict[str, list[dict[str, float]]] = {system: [] for system in SYSTEMS}
        for _ in range(rounds):
            for system, worker in workers.items():
                found[system].append(worker.epoch())
                print(system, found[system][-1], file=sys.stderr, flush=True)
        for worker in workers.values():
            worker.process.kill()
    command = f"python -m tests.bench.epoch --utterances {utterances} --rounds {rounds} --threads {threads}"
    print(f"\n{utterances} utterances an epoch, median (range) of {rounds}, {threads} threads: `{command}`\n")
    print("| system | s / epoch | utterances/s | to espnet fp32 | CPU s | peak memory, GB |\n|---|---|---|---|---|---|")
    for system, epochs in found.items():
        seconds = [epoch["seconds"] for epoch in epochs]
        ratios = [a["seconds"] / b["seconds"] for a, b in zip(found[SYSTEMS[0]], epochs)]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})"
        ratio = f"{statistics.median(ratios):.2f} x ({min(ratios):.2f}-{max(ratios):.2f})"
        speed = utterances / statistics.median(seconds)
        cpu = statistics.median(epoch["cpu"] for epoch in epochs)
        print(f"| {system} | {spread} | {speed:.1f} | {ratio} | {cpu:.1f} | {epochs[-1]['memory']:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=144)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--work", choices=SYSTEMS, help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is None:
        measure(options.utterances, options.rounds, options.threads)
    elif options.work == "espnet fp32":
        work_espnet(options.root)
    else:
        work_ours(options.root, "bf16" if options.work.endswith("bf16") else "none")


if __name__ == "__main__":
    main()
