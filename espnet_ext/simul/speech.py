"""A recording translated while it plays: its recogniser feeds the two loops with whatever words it has settled."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.infra.languages import is_spaced
from espnet_ext.simul.hearing import RATE, Recogniser
from espnet_ext.simul.lateness import Lateness
from espnet_ext.simul.live import GrowingText


def load_recogniser(exp: str | Path, lang: str, device: str = "cpu") -> Recogniser:
    from espnet_ext.machine.precision import prepare
    from espnet_ext.packing.read import load

    experiment = load(exp, device)
    config, model = experiment.config, experiment.model
    if model.streams != ("asr",):
        raise ValueError(f"{exp}: {config['model']} writes {', '.join(model.streams)}; give a recogniser (asr)")
    if config["src_lang"] != lang:
        raise ValueError(f"{exp}: transcribes {config['src_lang']}, and the translator reads {lang}")
    options = model.search_options(config.get("decode"))["asr"]
    return Recogniser(prepare(model, "fp32", device), experiment.src_subwords, options, device)


class Interpreter:
    """Hears a recording in chunks of any size; `growing` is its translation so far."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.transcript = ""
        self.growing: GrowingText = live.begin()
        live.recogniser.begin()

    def hear(self, samples: np.ndarray, last: bool = False) -> None:
        """The rule is asked if whole words have come in, however many; the last word may still grow."""
        before = self.whole(False)
        self.transcript = self.live.recogniser.hear(samples, last)
        if last or self.whole(False) != before:
            self.growing.read_on(self.whole(last), last)

    def whole(self, last: bool) -> str:
        if last or not is_spaced(self.live.langs[0]):
            return self.transcript
        return self.transcript.rpartition(" ")[0]


@dataclass
class Moment:
    """What is there when a chunk has been heard and worked on."""

    transcript: str
    growing: GrowingText
    lateness: Lateness


def interpret(live: Any, samples: np.ndarray, chunk: int, real_time: bool) -> Iterator[Moment]:
    """The state after each chunk; in real time none is heard before it was said.

    A chunk is worked on when it has been said and those before it are done; so what takes too long delays all that
    follows, and what is done before the next is said delays nothing.
    """
    interpreter, lateness, begun, free = Interpreter(live), Lateness(), time.perf_counter(), 0.0
    for first in range(0, len(samples), chunk):
        part = samples[first : first + chunk]
        heard = (first + len(part)) / RATE
        if real_time:
            time.sleep(max(0.0, begun + heard - time.perf_counter()))
        started = time.perf_counter()
        interpreter.hear(part, last=first + chunk >= len(samples))
        took = time.perf_counter() - started
        free = max(free, heard) + took
        lateness.computing += took
        lateness.add(len(interpreter.growing.units), heard, free)
        yield Moment(interpreter.transcript, interpreter.growing, lateness)
