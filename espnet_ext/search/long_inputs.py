"""Inputs that are longer than what systems are made for: speech is cut at its pauses, text is refused.

The memory of an encoder grows with the square of the length: ten minutes at once would take 10 GB.
"""

from typing import Any

import numpy as np

MOST_SECONDS = 120
MOST_TOKENS = 1000
SHOWN = 5  # ids in a message
FRAMES = 100  # of features in a second


def say_or_refuse(name: str, keys: list[str], lengths: np.ndarray, units_per_second: int) -> str | None:
    """What there is to say about the long ones of a set before it is decoded."""
    most = MOST_SECONDS * units_per_second if name == "speech" else MOST_TOKENS
    long = np.flatnonzero(np.asarray(lengths) > most)
    if not len(long):
        return None
    shown = " ".join(keys[i] for i in long[:SHOWN]) + (" ..." if len(long) > SHOWN else "")
    if name == "speech":
        return f"{len(long)} utterances are longer than {MOST_SECONDS} s and cut at their pauses: {shown}"
    raise ValueError(f"{len(long)} texts have over {MOST_TOKENS} tokens; write one sentence per line in {shown}")


def decode(model: Any, name: str, batch: dict[str, Any], options: dict[str, Any], units_per_second: int) -> Any:
    """As model.decode; of long speech the best of each part, one after the other."""
    lengths_B = batch[f"{name}_lengths"]
    if name != "speech" or int(lengths_B.max()) <= MOST_SECONDS * units_per_second:
        return model.decode(batch, options)
    rows: list[dict[str, list[Any]]] = []
    for row, length in zip(batch[name], lengths_B.tolist(), strict=True):
        found = []
        for first, last in parts(row[:length].cpu().numpy(), units_per_second):
            size_1 = lengths_B.new_tensor([last - first])
            found.append(model.decode({name: row[None, first:last], f"{name}_lengths": size_1}, options))
        rows.append({stream: joined([part[stream][0] for part in found]) for stream in found[0]})
    return {stream: [row[stream] for row in rows] for stream in rows[0]}


def parts(speech: np.ndarray, units_per_second: int) -> list[tuple[int, int]]:
    """Where the speech is cut, in frames of its features or in samples: nowhere if it is short enough."""
    from espnet_ext.data import pauses

    if len(speech) <= MOST_SECONDS * units_per_second:
        return [(0, len(speech))]
    if units_per_second == FRAMES:
        return pauses.cut_frames(pauses.energy_of_features(speech), MOST_SECONDS)
    times = pauses.cut(speech, units_per_second, MOST_SECONDS)
    return [(round(start * units_per_second), round(end * units_per_second)) for start, end in times]


def joined(nbests: list[list[Any]]) -> list[Any]:
    """One hypothesis: the best of each part in a row."""
    from espnet_ext.search.options import Hypothesis

    best = [nbest[0] for nbest in nbests]
    return [Hypothesis([token for part in best for token in part.tokens], sum(part.score for part in best))]
