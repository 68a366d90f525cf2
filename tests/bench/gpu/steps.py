"""The decoding step as it is, and in the ways of fixed_step.py: eager, compiled, as a CUDA graph."""

from collections.abc import Callable

import torch

from espnet_ext.nn.decoder_cache import CachedDecoder
from tests.bench.decode import make_model
from tests.bench.gpu.device import seconds_of
from tests.bench.gpu.fixed_step import FixedStep, captured
from tests.support.bench_sizes import Size
from tests.support.decode_peers import BEAM, FRAMES, TOKENS

PLACES = 64  # for tokens; a sentence has as many, seldom more


def table(sizes: dict[str, Size], device: str, budget: float, utterances: int, compiled: bool) -> list[str]:
    """Markdown: milliseconds of a step in bf16 that is the twentieth; a batch of `utterances`, beam 5."""
    lines = [f"| size | way | ms a step, {utterances} utterances | ms a step, 1 utterance |", "|---|---|---:|---:|"]
    for name, size in sizes.items():
        model = make_model("conv1d", "bf16", size=size, device=device)
        taken: dict[str, list[str]] = {}
        for count in (utterances, 1):
            for way, figure in times(model, count, device, budget, compiled).items():
                taken.setdefault(way, []).append(figure)
        lines += [f"| {name} | {way} | {' | '.join(figures)} |" for way, figures in taken.items()]
    return lines


@torch.inference_mode()
def times(model: torch.nn.Module, utterances: int, device: str, budget: float, compiled: bool) -> dict[str, str]:
    speech = torch.randn(utterances, FRAMES, 80, device=device)
    memory_BTD, lengths_B = model.encode(speech, torch.full((utterances,), FRAMES, device=device))
    tokens_BK = torch.randint(5, 50, (utterances, BEAM), device=device)
    parents_BK = torch.arange(BEAM, device=device).expand(utterances, -1)

    def search() -> None:
        """Twenty steps of the product's decoder."""
        decoder = CachedDecoder(model.decoder, memory_BTD, lengths_B)
        decoder.step(tokens_BK[:, :1])
        decoder.reorder(parents_BK * 0)
        for _ in range(TOKENS - 1):
            decoder.step(tokens_BK)
            decoder.reorder(parents_BK)

    step = FixedStep(model.decoder, memory_BTD, lengths_B, BEAM, PLACES)
    given = tokens_BK, torch.arange(utterances * BEAM, device=device), torch.tensor([TOKENS], device=device)
    ways: dict[str, Callable[[], Callable[[], object]]] = {"fixed places, eager": lambda: lambda: step(*given)}
    if device == "cuda":
        ways["fixed places, CUDA graph"] = lambda: captured(step, *given)
    if compiled:
        ways["fixed places, torch.compile"] = lambda: compile_step(step, given)
    found = {"as it is, a twentieth of 20 steps": f"{1000 * seconds_of(search, device, budget) / TOKENS:.3f}"}
    for way, make in ways.items():
        try:
            found[way] = f"{1000 * seconds_of(make(), device, budget):.3f}"
        except Exception as error:  # an experiment: what a compiler of this machine cannot do is a result
            if device == "cpu":
                raise
            found[way] = f"failed: {' '.join(str(error).split())[:80]}"
    return found


def compile_step(step: FixedStep, given: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    made = torch.compile(
        step, mode="max-autotune-no-cudagraphs" if given[0].device.type == "cpu" else "reduce-overhead"
    )
    return lambda: made(*given)
