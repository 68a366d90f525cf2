"""Delays counted in what readers count: words, or characters where the language does not part words."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.languages import count_units, text_unit


def beginnings(subwords: Any, tokens: Sequence[int]) -> list[str]:
    """What the first n tokens say, for n = 0, 1, ..., all."""
    return [" ".join(subwords.decode(tokens[:n]).split()) for n in range(len(tokens) + 1)]


def lengths_in(subwords: Any, tokens: Sequence[int], unit: str) -> list[int]:
    """How many units the first n tokens make, for n = 0, 1, ..., all."""
    return [count_units(text, unit) for text in beginnings(subwords, tokens)]


def word_steps(subwords: Any, tokens: Sequence[int], lang: str) -> list[int]:
    """The source tokens seen at each outer step, if whole words come in; a token that is a space is the next word's."""
    texts = beginnings(subwords, tokens)
    begun = [count_units(text, text_unit(lang)) for text in texts]
    ends = [n for n in range(1, len(tokens)) if begun[n + 1] > begun[n] > 0]
    return [texts.index(texts[n]) for n in ends] + [len(tokens)]


def steps_of(length: int, size: int) -> list[int]:
    """The source tokens seen at each outer step, if `size` tokens come in at each."""
    return [*range(size, length, size), length]


def whole_at(lengths: Sequence[int], seen: Sequence[int], source: int, unit: str) -> list[int]:
    """For each unit how many source tokens had been seen when it was known to be whole; `lengths` of `lengths_in`.

    A character is whole with its token, a word with the token that begins the next one, or with the end.
    """
    found = []
    for number in range(1, lengths[-1] + 1):
        needed = number if unit == "char" else number + 1
        token = next((n for n, length in enumerate(lengths) if length >= needed), None)
        found.append(source if token is None else seen[token - 1])
    return found


def in_units(
    read: Any, written: Any, source: Sequence[int], target: Sequence[int], seen: Sequence[int], langs: tuple[str, str]
) -> dict[str, dict[str, Any]]:
    """What delays.<stream>.jsonl says of one utterance.

    `read` and `written` are the sub-words of both sides; `seen` says how many source tokens each target token had seen.
    """
    unit = text_unit(langs[1])
    begun = lengths_in(read, source, text_unit(langs[0]))  # a word counts from its first token on
    ends = whole_at(lengths_in(written, target, unit), seen, len(source), unit)
    return {
        unit: {"source": max(begun[-1], 1), "read": [max(begun[n], 1) for n in ends]},
        "subword": {"source": len(source), "read": list(seen)},
    }


def write_delays(path: Path, best: Mapping[str, Mapping[str, Any]]) -> None:
    """When each part of the best hypotheses was written, if their system says so; without a source: never."""
    timed = [line["delays"] for line in best.values() if "delays" in line]
    if not timed:
        path.unlink(missing_ok=True)  # of another system that was decoded into this folder
        return
    never = {unit: {"source": 1, "read": []} for unit in timed[0]}
    with atomic_open(path) as lines:
        for key, line in best.items():
            lines.write(json.dumps({"id": key, **line.get("delays", never)}) + "\n")
