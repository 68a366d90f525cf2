"""The hypotheses of one batch."""

from typing import Any

import torch

from espnet_ext.models._base import BaseModel
from espnet_ext.search import long_inputs
from espnet_ext.search.inputs import FRAMES, units_per_second
from espnet_ext.search.options import Hypothesis, SearchOptions

SHORTEST = {"speech": 10, "src_text": 1}  # frames or tokens; less holds no word and is not searched


def decode_batch(
    model: BaseModel, batch: dict[str, Any], options: dict[str, SearchOptions], device: str
) -> dict[str, Any]:
    """The hypotheses of one batch, with what is too short given empty ones without a search."""
    results = {}
    for name in (name for name in model.inputs if name in batch):  # what cannot be made from the batch is left out
        streams = {stream: value for stream, value in options.items() if model.stream(stream).reads == name}
        long_B = batch[f"{name}_lengths"] >= SHORTEST[name] * units_per_second(model, name) // FRAMES
        found = {}
        if bool(long_B.any()):
            given = {key: batch[key][long_B].to(device) for key in (name, f"{name}_lengths")}
            with torch.inference_mode():
                found = long_inputs.decode(model, name, given, streams, units_per_second(model, name))
        for stream in streams:
            rest = iter(found.get(stream, []))
            results[stream] = [next(rest) if long else [Hypothesis()] for long in long_B.tolist()]
    return results
