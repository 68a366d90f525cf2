"""A recogniser that hears a recording while it comes in; what it gives out is not taken back.

With an encoder of blocks and a CTC branch, each frame is decided when its block is complete: what CTC says then is what
it says of the whole recording. Any other recogniser transcribes all that was heard again each time; what two
transcripts in a row begin with is given out (local agreement, Liu et al. 2020).
"""

from itertools import takewhile
from typing import Any

import numpy as np
import torch

from espnet_ext.data.fbank import compute
from espnet_ext.search.ctc import best_path
from espnet_ext.search.decode_batch import SHORTEST, decode_batch
from espnet_ext.search.inputs import FRAMES, units_per_second

RATE = 16000
EDGE = 2  # frames after the input layer that may have seen the end of the recording so far


class Recogniser:
    """One recording after the other; `system` has the stream asr."""

    def __init__(self, system: Any, subwords: Any, options: Any, device: str = "cpu") -> None:
        self.system, self.subwords, self.options, self.device = system, subwords, options, device
        encoder = getattr(system, "encoder", None)
        self.is_streaming = bool(getattr(encoder, "block_size", 0)) and getattr(system, "ctc", None) is not None
        self.begin()

    def begin(self) -> None:
        """A new recording."""
        self.samples = np.zeros(0, np.float32)
        self.tokens: list[int] = []
        self.before: list[int] = []

    def hear(self, samples: np.ndarray, last: bool = False) -> str:
        """The transcript that is settled now that these samples have come in; all of it if they are the last."""
        self.samples = np.concatenate([self.samples, samples.astype(np.float32)])
        found = self.settled(last) if self.is_streaming else self.agreed(last)
        if found[: len(self.tokens)] == self.tokens:
            self.tokens = found
        return " ".join(self.subwords.decode(self.tokens).split())

    @property
    def input(self) -> np.ndarray:
        return self.samples if self.system.reads_waveforms else compute(self.samples, RATE)

    @torch.inference_mode()
    def settled(self, last: bool) -> list[int]:
        """CTC's best path over the frames whose block is complete."""
        x_1TF = torch.from_numpy(self.input)[None].to(self.device)
        encoder = self.system.encoder
        if x_1TF.size(1) < SHORTEST["speech"] * units_per_second(self.system, "speech") // FRAMES:
            return self.tokens
        memory_1TD, lengths_1 = self.system.encode(x_1TF, torch.tensor([x_1TF.size(1)], device=self.device))
        if not last:
            lengths_1 = torch.tensor([settled_frames(encoder, int(lengths_1[0]) - EDGE)], device=self.device)
        if not int(lengths_1[0]):
            return self.tokens
        memory_1TD = memory_1TD[:, : int(lengths_1[0])]
        return best_path(self.system.ctc.ctc_lo(memory_1TD), lengths_1)[0][0].tokens

    def agreed(self, last: bool) -> list[int]:
        """What this transcript and the one before begin with, or all of this one if nothing more comes."""
        x_TF = self.input
        batch = {"speech": torch.from_numpy(x_TF)[None], "speech_lengths": torch.tensor([len(x_TF)])}
        now = decode_batch(self.system, batch, {"asr": self.options}, self.device)["asr"][0][0].tokens
        before, self.before = self.before, now
        kept = len(self.tokens)
        if last:
            return now if now[:kept] == self.tokens else self.tokens + now[kept:]
        return [a for a, b in takewhile(lambda pair: pair[0] == pair[1], zip(now, before, strict=False))]


def settled_frames(encoder: Any, frames: int) -> int:
    """How many of the encoder's frames no longer change, whatever comes."""
    block, hop = encoder.block_size, encoder.hop_size
    if frames <= block:
        return 0  # it may yet be a recording of a single block, which is not cut
    complete = (frames - block) // hop + 1
    return block - hop - encoder.look_ahead + complete * hop
