"""Kokoro-82M: natural English voices (af_heart, bm_george, ...), three times faster than speech on one core."""

from functools import cached_property
from typing import Any

import numpy as np

from espnet_ext.voices.files import lacking, voices_folder

RATE = 24000
LANGUAGES = {"a": "en-us", "b": "en-gb"}  # by the first letter of a voice's name
FILES = ("kokoro/kokoro.onnx", "kokoro/voices.npz")


def missing() -> str | None:
    """Why it cannot speak here."""
    return lacking(FILES, "kokoro_onnx")


class Engine:
    @cached_property
    def _kokoro(self) -> Any:
        import kokoro_onnx
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        model, voices = (str(voices_folder() / name) for name in FILES)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return kokoro_onnx.Kokoro.from_session(session, voices)

    def say(self, text: str, voice: str, speed: float) -> np.ndarray:
        """float32 samples at RATE."""
        if voice[:1] not in LANGUAGES or voice not in self._kokoro.voices:
            raise ValueError(f"Kokoro has no English voice '{voice}'; it has {' '.join(sorted(self._kokoro.voices))}")
        return self._kokoro.create(text, voice=voice, speed=speed, lang=LANGUAGES[voice[0]])[0]
