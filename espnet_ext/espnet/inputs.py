"""What systems of ESPnet's read that a dump directory does not hold: waveforms, and text in ESPnet's tokens."""

from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data import read_datadir
from espnet_ext.data.audio import AudioReader
from espnet_ext.data.text import TextIndex

RATE = 16000


class Waveforms:
    """The utterances of a data directory as samples of 16 kHz, for systems with a frontend of their own."""

    def __init__(self, data: str | Path) -> None:
        if not (Path(data) / "wav.scp").exists():
            raise FileNotFoundError(f"{data}: no wav.scp; this system reads waveforms, so give it a data directory")
        self.spans = read_datadir.spans(data)
        self.keys = [span.utterance for span in self.spans]
        seconds = read_datadir.seconds(data, self.spans)
        self.lengths = np.array([[round(RATE * s)] for s in seconds], np.int64)
        self._reader = AudioReader(RATE)

    def item(self, i: int) -> tuple[str, dict[str, np.ndarray]]:
        span = self.spans[i]
        return span.utterance, {"speech": self._reader.read(span.path, span.start, span.end)}

    def __len__(self) -> int:
        return len(self.spans)


class Sentences:
    """The lines of a text index under any tokenizer that has `encode`."""

    def __init__(self, dump: str | Path, lang: str | None, subwords: Any) -> None:
        if lang is None:
            raise ValueError("ESPnet's configuration does not say which language this system reads; give --src_lang")
        index = TextIndex(Path(dump) / f"text.{lang}")
        self.keys = [index.key(i) for i in range(len(index))]
        self._tokens = [np.asarray(subwords.encode(index[i]), np.int64) for i in range(len(index))]
        self.lengths = np.array([[len(tokens)] for tokens in self._tokens], np.int64).reshape(-1, 1)

    def item(self, i: int) -> tuple[str, dict[str, np.ndarray]]:
        return self.keys[i], {"src_text": self._tokens[i]}

    def __len__(self) -> int:
        return len(self._tokens)
