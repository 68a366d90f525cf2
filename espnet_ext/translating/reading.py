"""A file as the pieces that a system decodes, one after the other: memory does not grow with the file."""

from collections.abc import Iterator

import numpy as np

from espnet_ext.data.audio import blocks
from espnet_ext.data.fbank import compute, window_samples
from espnet_ext.data.input_files import InputError
from espnet_ext.data.pauses import cut_stream
from espnet_ext.infra.lines import read_lines
from espnet_ext.search.long_inputs import MOST_TOKENS
from espnet_ext.translating.results import Piece

RATE = 16000
Input = tuple[Piece, np.ndarray]  # and what the system reads of it


def speech(file: str, longest: float, as_waveform: bool) -> Iterator[Input]:
    """A recording, cut at its pauses."""
    total = 0
    for start, samples in cut_stream(blocks(file, RATE), RATE, longest):
        total += len(samples)
        end = start + len(samples) / RATE
        yield Piece(round(start, 3), round(end, 3)), samples if as_waveform else compute(samples, RATE)
    if total < window_samples(RATE):
        raise InputError(f"{file}: holds {total / RATE:.3f} s of sound; at least 0.025 s are needed")


def lines(file: str, subwords: object) -> Iterator[Input]:
    """A text, line by line."""
    some = False
    for number, line in enumerate(read_lines(file, "give UTF-8 text, which this system translates"), 1):
        tokens = np.array(subwords.encode(line), dtype=np.int64)  # type: ignore[attr-defined]
        if len(tokens) > MOST_TOKENS:
            found = f"the line has {len(line.split())} words, {len(tokens)} tokens"
            raise InputError(f"{file}:{number}: {found}; at most {MOST_TOKENS} are translated: one sentence per line")
        some |= bool(line.strip())
        yield Piece(None, None), tokens
    if not some:
        raise InputError(f"{file}: holds no text")
