"""Changes of speed, tempo and echo, drawn for each utterance from its id and a seed."""

import hashlib
import subprocess
from dataclasses import dataclass

import numpy as np

from espnet_ext.data.audio import require_program, resample

ECHO_DELAY, ECHO_DECAY = (20.0, 200.0), (0.05, 0.2)  # milliseconds, share of the loudness
ECHO_GAINS = ("0.8", "0.9")  # of what comes in and goes out, so that the sum stays below full scale
Range = tuple[float, float]


@dataclass(frozen=True)
class Copy:
    """One changed copy of a set: the prefix of its ids, and the ranges its effects are drawn from."""

    prefix: str
    speed: Range | None = None  # pitch changes too
    tempo: Range | None = None  # pitch stays
    echo_delay: Range | None = None
    echo_decay: Range | None = None

    @property
    def needs_sox(self) -> bool:
        return self.tempo is not None or self.echo_delay is not None


def plan(words: list[str]) -> list[Copy]:
    """The copies that words such as speed:0.9,1.1 tempo:0.85,1.3 echo stand for.

    Each factor of `speed` makes a copy of its own; speed_range, tempo and echo together make one copy.
    """
    copies: list[Copy] = []
    ranges: dict[str, Range] = {}
    for word in words:
        name, _, values = word.partition(":")
        numbers = _factors(word, values)
        if name == "speed" and numbers:
            copies += [Copy(f"sp{factor:g}-", speed=(factor, factor)) for factor in numbers]
        elif name in ("speed_range", "tempo") and len(numbers) == 2 and numbers[0] <= numbers[1]:
            ranges[name.removesuffix("_range")] = (numbers[0], numbers[1])
        elif word == "echo":
            ranges |= {"echo_delay": ECHO_DELAY, "echo_decay": ECHO_DECAY}
        else:
            known = "speed:FACTOR,..., speed_range:LOW,HIGH, tempo:LOW,HIGH or echo"
            raise ValueError(f"unknown augmentation '{word}'; choose from {known}")
    if ranges:
        copies.append(Copy("aug-", **ranges))
    if len({copy.prefix for copy in copies}) < len(copies):
        raise ValueError(f"'{' '.join(words)}' asks for the same copy twice; leave one out")
    return copies


def _factors(word: str, values: str) -> list[float]:
    try:
        numbers = [float(value) for value in values.split(",") if values]
    except ValueError as error:
        raise ValueError(f"augmentation '{word}': {values} is not a list of numbers such as 0.9,1.1") from error
    if not all(0.1 <= number <= 10 for number in numbers):
        raise ValueError(f"augmentation '{word}': factors must lie between 0.1 and 10")
    return numbers


def draw(copy: Copy, utterance: str, seed: int) -> dict[str, float]:
    """The strength of each effect for one utterance; depends on nothing but its id, the copy and the seed."""
    source = hashlib.sha256(f"{seed} {copy.prefix} {utterance}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(source[:8], "little"))
    strengths = {}
    for name in ("speed", "tempo", "echo_delay", "echo_decay"):
        share = random.random()  # drawn even if unused: an effect that is added leaves the others as they were
        if (limits := getattr(copy, name)) is not None:
            strengths[name] = limits[0] + share * (limits[1] - limits[0])
    return strengths


def apply(samples: np.ndarray, rate: int, strengths: dict[str, float]) -> np.ndarray:
    """The samples after the effects, as float32 within [-1, 1]."""
    if "speed" in strengths:
        samples = resample(samples, rate * strengths["speed"], rate)
    effects = ["tempo", "-s", f"{strengths['tempo']:.6f}"] if "tempo" in strengths else []
    if "echo_delay" in strengths:
        effects += ["echo", *ECHO_GAINS, f"{strengths['echo_delay']:.3f}", f"{strengths['echo_decay']:.4f}"]
    if effects:
        samples = _through_sox(samples, rate, effects)
    return np.clip(samples, -1.0, 1.0 - 2.0**-15)


def _through_sox(samples: np.ndarray, rate: int, effects: list[str]) -> np.ndarray:
    raw = ["-t", "f32", "-r", str(rate), "-c", "1", "-"]
    command = [require_program("sox", "tempo or echo"), "-V1", "-D", *raw, *raw, *effects]
    done = subprocess.run(command, input=np.ascontiguousarray(samples, "<f4").tobytes(), capture_output=True)
    if done.returncode:
        raise RuntimeError(f"sox {' '.join(effects)} failed: {done.stderr.decode(errors='replace').strip()}")
    return np.frombuffer(done.stdout, "<f4")
