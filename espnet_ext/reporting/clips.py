"""The audio of a test set as small MP3 clips, which every browser plays."""

import base64
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from espnet_ext.data.audio import AudioError, AudioReader
from espnet_ext.data.read_datadir import Span, spans, split

RATE = 16000
# MP3 of 16 kHz has 8 to 160 kbit/s; libsndfile puts them on a scale from 1 to 0. This is 16 kbit/s: 2 kB a second.
SMALL = (160 - 16) / (160 - 8)


def encode(samples: np.ndarray) -> bytes:
    """An MP3 file of mono samples at 16 kHz."""
    import soundfile

    buffer = io.BytesIO()
    kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "compression_level": SMALL, "bitrate_mode": "AVERAGE"}
    soundfile.write(buffer, samples, RATE, **kind)
    return buffer.getvalue()


def encoded_clips(folder: Path, ids: list[str]) -> Iterator[tuple[str, str]]:
    """(utterance, base64 of its MP3) of these utterances, as they lie in their recordings."""
    wanted = set(ids)
    chosen = [span for span in spans(folder) if span.utterance in wanted]
    parts = [[chosen[i] for i in part] for part in split(len(chosen), least=25)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # libsndfile works outside of the interpreter's lock
        for pairs in pool.map(_encode_part, parts):
            yield from pairs


def _encode_part(part: list[Span]) -> list[tuple[str, str]]:
    pairs = []
    with AudioReader(RATE) as reader:
        for span in part:
            try:
                samples = reader.read(span.path, span.start, span.end, clip=True)
            except AudioError as error:
                raise AudioError(error.kind, error.path, f"{span.utterance}: {error.found}", error.remedy) from error
            pairs.append((span.utterance, base64.b64encode(encode(samples)).decode("ascii")))
    return pairs
