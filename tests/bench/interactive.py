"""Interactive, multi-task, two-stage, end-to-end and pipeline side by side: `python -m tests.bench.interactive`.

Untrained models of the mini recipe's size and of a medium one (12 + 6 layers of 256). Training: steps with bf16 on
batches of mini's shape. Decoding: beam 5, the number of tokens is forced and equal in both streams, so the systems with
two outputs write the same amount. Rounds are interleaved; ratios are medians over the rounds, by CPU time as well, as
other work on the machine slows the clock only. The paper's figures stand beside (its Table 4).
"""

import argparse
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import torch

BEAM, FRAMES, TOKENS = 5, 300, 20
SPECIAL = [f"<{task}_{lang}>" for lang in ("de", "en") for task in ("asr", "st", "mt")]
SIZES = {  # width, feed-forward, layers of the encoder and of the decoder, heads, vocabulary
    "mini": (144, 576, 6, 3, 4, 1000),
    "medium": (256, 2048, 12, 6, 4, 4000),
}
PAPER_TRAINING = {"e2e": 4.73, "multitask": 4.41, "interactive": 4.23, "two_stage": 1.13}  # steps per second
PAPER_DECODING = {
    "multitask": 16.26,
    "interactive": 11.98,
    "two_stage": 7.44,
    "pipeline": 10.89,
}  # sentences per second
Run = Callable[[], None]
Seconds = dict[str, list[tuple[float, float]]]  # by the clock and of CPU time


def make(name: str, size: str) -> torch.nn.Module:
    from espnet_ext.espnet.task import STTask, default_config

    width, hidden, encoder, decoder, heads, vocabulary = SIZES[size]
    tokens = ["<blank>", "<unk>", *SPECIAL, *(f"t{i}" for i in range(vocabulary - 9)), "<sos/eos>"]
    layer = {"attention_heads": heads, "linear_units": hidden, "dropout_rate": 0.1, "positional_dropout_rate": 0.1}
    model_conf: dict[str, Any] = {"share_decoder_input_output_embed": True}
    if name != "mt":
        model_conf["asr_ctc_weight"] = 0.3
    config = {**default_config(), "model": name, "model_conf": model_conf, "subwords": "joint", "normalize": None}
    config |= {"token_list": tokens, "src_token_list": tokens, "src_lang": "en", "tgt_lang": "de", "specaug": None}
    conf = {**layer, "num_blocks": encoder, "output_size": width, "input_layer": "embed" if name == "mt" else "conv1d"}
    config |= {"encoder_conf": conf, "decoder_conf": {**layer, "num_blocks": decoder}}
    torch.manual_seed(0)
    return STTask.build_model(Namespace(**config))


def batch(utterances: int, frames: int, tokens: tuple[int, int], vocabulary: int) -> dict[str, torch.Tensor]:
    """Lengths vary by a third, as in a batch of like lengths."""
    generator = torch.Generator().manual_seed(1)

    def sizes(longest: int) -> torch.Tensor:
        lengths = torch.randint(longest * 3 // 4, longest + 1, (utterances,), generator=generator)
        lengths[0] = longest
        return lengths

    found = {"speech": torch.randn(utterances, frames, 80, generator=generator), "speech_lengths": sizes(frames)}
    for name, longest in zip(("src_text", "text"), tokens, strict=True):
        lengths, text = sizes(longest), torch.randint(10, vocabulary - 1, (utterances, longest), generator=generator)
        found |= {name: text.masked_fill(torch.arange(longest) >= lengths[:, None], -1), f"{name}_lengths": lengths}
    return found


def training(name: str, size: str) -> Run:
    """A step on each of three batches, as the recipes take it."""
    model = make(name, size).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    shapes = ((20, 300, (20, 24)), (24, 250, (16, 16)), (16, 380, (28, 20)))
    batches = [batch(*shape, SIZES[size][-1]) for shape in shapes]

    def run() -> None:
        for given in batches:
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(**given)[0]
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()

    return run


def options(model: Any, stream: str, frames: int, **more: Any) -> Any:
    """A search for exactly TOKENS tokens."""
    ratio = (TOKENS + 0.5) / frames
    return model.search_options({"beam": BEAM, "min_ratio": ratio, "max_ratio": ratio, "max_extra": 0, **more})[stream]


def decoding(name: str, size: str, utterances: int) -> Run:
    """Both outputs of a batch of equal lengths."""
    from espnet_ext.machine.precision import prepare

    name, _, pairing = name.partition(" ")
    given = batch(utterances, FRAMES, (TOKENS, TOKENS), SIZES[size][-1])
    given["speech_lengths"] = torch.full((utterances,), FRAMES)
    speech = {key: given[key] for key in ("speech", "speech_lengths")}
    asr, mt = (prepare(make(part, size)) for part in (("asr", "mt") if name == "pipeline" else (name, "mt")))
    with torch.inference_mode():
        frames = int(asr.encode(speech["speech"][:1], speech["speech_lengths"][:1])[1])
    more = {"pairing": pairing} if pairing else {}
    searched = {stream: options(asr, stream, frames, **more) for stream in asr.streams}
    translated = options(mt, "mt", TOKENS + 1)

    @torch.inference_mode()
    def run() -> None:
        found = asr.decode(speech, searched)
        if name == "pipeline":
            source = torch.tensor([nbest[0].tokens for nbest in found["asr"]])
            lengths = torch.full((len(source),), source.size(1))
            found["st"] = mt.decode({"src_text": source, "src_text_lengths": lengths}, {"mt": translated})["mt"]
        assert all(len(nbest[0].tokens) == TOKENS for stream in ("asr", "st") for nbest in found[stream])

    return run


def measure(runs: dict[str, Run], rounds: int) -> Seconds:
    """Of interleaved rounds, after one to warm up."""
    seconds: Seconds = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if number:
                seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return seconds


def table(title: str, unit: str, amount: int, seconds: Seconds, bases: list[str], paper: dict[str, float]) -> None:
    """Speeds, and ratios to the `bases`: by the clock (by CPU time), the paper's."""
    print(f"\n{title}\n")
    print(f"| system | {unit}/s | per CPU second |" + "".join(f" x {base} | paper |" for base in bases))
    print("|---|---:|---:|" + "---:|---:|" * len(bases))
    for name, rows in seconds.items():
        speeds = [amount / statistics.median(column) for column in zip(*rows, strict=True)]
        cells = [f"{speeds[0]:.1f}", f"{speeds[1]:.1f}"]
        for base in bases:
            ratios = [
                statistics.median(b[i] / a[i] for a, b in zip(rows, seconds[base], strict=True)) for i in range(2)
            ]
            cells.append(f"{ratios[0]:.2f} ({ratios[1]:.2f})")
            known = paper.get(name.split()[0]), paper.get(base)
            cells.append(f"{known[0] / known[1]:.2f}" if known[0] and known[1] else "")
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.interactive", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--parts", nargs="+", default=["training", "decoding"], choices=["training", "decoding"])
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    from espnet_ext.machine.process import keep_freed_memory

    keep_freed_memory()  # as our training does
    for size in args.sizes:
        if "training" in args.parts:
            runs = {name: training(name, size) for name in PAPER_TRAINING}
            title = f"Training, {size} size, bf16, steps"
            table(title, "steps", 3, measure(runs, args.rounds), ["multitask"], PAPER_TRAINING)
        for number in args.batch_sizes if "decoding" in args.parts else ():
            names = ["multitask", "interactive rank", "interactive sum", "two_stage", "pipeline"]
            runs = {name: decoding(name, size, number) for name in names}
            title = f"Decoding, {size} size, both outputs, batch {number}, beam {BEAM}, {TOKENS} tokens each"
            bases = ["multitask", "pipeline"]
            table(title, "utterances", number, measure(runs, args.rounds), bases, PAPER_DECODING)


if __name__ == "__main__":
    main()
