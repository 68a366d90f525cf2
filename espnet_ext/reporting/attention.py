"""Cross-attention of single utterances as pictures: what every token of the output looked at, layer by layer.

B batch (here 1), H heads, L output positions, S places looked at, E width of a head.
"""

import io
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from espnet_ext.data.dataset import SpeechTextData, collate
from espnet_ext.espnet.experiment import Experiment, load_experiment
from espnet_ext.infra.streams import STREAMS
from espnet_ext.nn.attention import Attention
from espnet_ext.reporting.fonts import drawable
from espnet_ext.scoring.texts import ScoringError
from espnet_ext.search.inputs import units_per_second

Recorded = list[tuple[str, torch.Tensor]]  # (name of the attention, its weights (L, S), the mean over heads)


def attention_pictures(exp: Path, system: str, test_set: str, dump: Path, utterances: list[str]) -> dict[str, bytes]:
    """A PNG for each of these utterances; where there is none, a line says why."""
    experiment = load_experiment(exp / system)
    if experiment.model.composed_of or experiment.model.tasks:
        why = "has tasks" if experiment.model.tasks else f"is made of {' and '.join(experiment.model.composed_of)}"
        print(f"{exp / system}: {why}, so its attention is not drawn", file=sys.stderr)
        return {}
    data = SpeechTextData(
        dump / test_set,
        experiment.config.get("src_lang"),
        experiment.config.get("tgt_lang"),
        experiment.src_subwords,
        experiment.tgt_subwords,
        names=experiment.model.data_names,
        waveforms=experiment.model.reads_waveforms,
    )
    place = {key: i for i, key in enumerate(data.keys)}
    streams = experiment.model.streams_from(experiment.model.inputs[:1])  # of two peers the one that reads speech
    outputs = {s: _tokens(exp / system / test_set / f"nbest.{s}.jsonl") for s in streams}
    pictures = {}
    for utterance in utterances:
        if utterance not in place:
            raise ScoringError(f"{dump / test_set}: no utterance {utterance!r} to show the attention of")
        tokens = {stream: found[utterance] for stream, found in outputs.items()}
        if all(tokens.values()):
            batch = _batch(data, place[utterance], tokens)
            pictures[utterance] = _draw(experiment, batch, tokens, record(experiment.model, batch))
        else:
            print(f"{exp / system}: wrote nothing for {utterance}, so no attention is drawn", file=sys.stderr)
    return pictures


def _tokens(path: Path) -> dict[str, list[int]]:
    with open(path, encoding="utf-8") as lines:
        rows = map(json.loads, lines)
        return {row["id"]: row["nbest"][0]["tokens"] for row in rows}


def _batch(data: SpeechTextData, index: int, tokens: dict[str, list[int]]) -> dict[str, torch.Tensor]:
    """The utterance with the system's own output in the place of the reference."""
    _, batch = collate([data.item(index)])
    for stream, ids in tokens.items():
        name = STREAMS[stream].writes
        batch[name] = torch.tensor([ids])
        batch[f"{name}_lengths"] = torch.tensor([len(ids)])
    return batch


def record(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> Recorded:
    """The weights of every source attention, in the order in which the forward pass came by."""
    found: Recorded = []
    with _recording(model, found), torch.inference_mode():
        model(**batch)
    return found


@contextmanager
def _recording(model: torch.nn.Module, found: Recorded) -> Iterator[None]:
    watched = {n: m for n, m in model.named_modules() if isinstance(m, Attention) and n.endswith("src_attn")}

    def watch(name: str) -> Any:
        def attend(q_BHLE: torch.Tensor, k_BHSE: torch.Tensor, v_BHSE: torch.Tensor, mask: Any, causal: bool) -> Any:
            scores_BHLS = q_BHLE @ k_BHSE.transpose(-2, -1) / math.sqrt(q_BHLE.size(-1))
            if mask is not None:
                scores_BHLS = scores_BHLS.masked_fill(~mask, -math.inf)
            weights_BHLS = scores_BHLS.softmax(-1)
            found.append((name, weights_BHLS[0].mean(0)))
            return weights_BHLS @ v_BHSE

        return attend

    for name, module in watched.items():
        module.attend = watch(name)  # type: ignore[method-assign] # SDPA does not give its weights away
    try:
        yield
    finally:
        for module in watched.values():
            del module.attend


def by_stream(model: Any, recorded: Recorded, tokens: dict[str, list[int]]) -> dict[str, list[torch.Tensor]]:
    """The layers of the decoder that writes each stream; one that writes both has them one after the other, padded."""
    names = {module: name for name, module in model.named_modules()}
    decoders = {stream: f"{names[decoder]}." for stream, decoder in model.writers().items()}
    layers: dict[str, list[torch.Tensor]] = {}
    first_pass = dict(reversed(recorded))  # of a decoder that two peers share: the peer that hears comes first
    for name in dict(recorded):
        written = [stream for stream in tokens if name.startswith(decoders.get(stream, "-"))]
        for stream, part_LS in zip(written, first_pass[name].chunk(max(1, len(written))), strict=False):
            layers.setdefault(stream, []).append(part_LS[: len(tokens[stream]) + 1])  # the end token is one more
    return {stream: layers[stream] for stream in tokens if stream in layers}


def _draw(
    experiment: Experiment, batch: dict[str, torch.Tensor], tokens: dict[str, list[int]], recorded: Recorded
) -> bytes:
    from matplotlib.figure import Figure

    shown = by_stream(experiment.model, recorded, tokens)
    columns = max(map(len, shown.values()))
    heights = [1.2 + 0.17 * (len(tokens[stream]) + 1) for stream in shown]
    figure = Figure(figsize=(1.5 + 2.6 * columns, sum(heights)), dpi=80, layout="constrained")
    grid = figure.subplots(len(shown), columns, squeeze=False, height_ratios=heights)
    for row, (stream, layers) in zip(grid, shown.items(), strict=True):
        subwords = STREAMS[stream].of(experiment.src_subwords, experiment.tgt_subwords)
        names, family = drawable([subwords.tokens[i] for i in tokens[stream]] + ["(end)"])
        for number, (axes, weights_LS) in enumerate(zip(row, layers, strict=False), 1):
            axes.imshow(weights_LS.numpy(), aspect="auto", cmap="magma_r", vmin=0, interpolation="nearest")
            axes.set_title(f"{stream.upper()}, layer {number}", fontsize=9)
            axes.set_yticks(range(len(names)), names if number == 1 else [], fontsize=7, family=family)
            _label_source(axes, experiment, batch, weights_LS.size(1))
        for axes in row[len(layers) :]:
            axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _label_source(axes: Any, experiment: Experiment, batch: dict[str, torch.Tensor], places: int) -> None:
    """Seconds under speech, sub-words under text."""
    if "speech" in experiment.model.inputs:
        seconds = batch["speech"].size(1) / units_per_second(experiment.model, "speech")
        step = max(1, round(seconds / 4))
        marks = range(0, int(seconds) + 1, step)
        axes.set_xticks([mark / seconds * places - 0.5 for mark in marks], [f"{mark} s" for mark in marks], fontsize=7)
    else:
        names, family = drawable([experiment.src_subwords.tokens[i] for i in batch["src_text"][0].tolist()])
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7, family=family)
