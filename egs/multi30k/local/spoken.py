"""Who says which caption, and how it is heard: natural voices for validation and test, fast ones too for training."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from espnet_ext import voices
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.voices.sound import NOISES
from espnet_ext.voices.speak import Line

SIZES = {"small": 10_000, "full": 29_000}  # captions of the training set
SECONDS = 3.5  # of a caption, on average
HELD_OUT = ("af_bella", "af_nova", "am_michael", "am_onyx", "bf_emma", "bm_george")  # validation and test only
KOKORO = """af_alloy af_aoede af_heart af_jessica af_kore af_nicole af_river af_sarah af_sky am_adam am_echo am_eric
am_fenrir am_liam am_puck am_santa bf_alice bf_isabella bf_lily bm_daniel bm_fable bm_lewis"""  # for training
ACCENTS = ("en-US", "en", "en-GB-x-rp", "en-US-nyc")
VARIANTS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7")
VARIANTS_HELD_OUT = ("f5", "m7")  # for validation and test where Kokoro is not there


def chosen(count: int, size: str, seed: int) -> list[int]:
    """The numbers of the training captions that are spoken."""
    return sorted(random.Random(f"{seed} captions").sample(range(count), min(SIZES[size], count)))


def engines(count: int, natural: float, seed: int) -> list[str]:
    """The engine of each of `count` training captions: about `natural` hours of Kokoro, the rest by the fast ones."""
    most = min(round(natural * 3600 / SECONDS), count)
    rest = count - most
    names = ["kokoro"] * most + ["piper"] * (rest // 2) + ["espeak"] * (rest - rest // 2)
    random.Random(f"{seed} engines").shuffle(names)
    return names


def available(engine: str, told: set[str]) -> str:
    """The engine, or eSpeak NG where it cannot speak here, said once."""
    why = voices.find(engine).missing()
    if why is None:
        return engine
    if engine not in told:
        told.add(engine)
        print(f"eSpeak NG speaks instead of {engine}: {why}")
    return "espeak"


def line(name: str, number: int, text: str, engine: str, folder: Path, seed: int) -> Line:
    """How a caption is said. The name of its file holds a hash of all that the sound depends on."""
    draw, training = random.Random(f"{seed} {name} {number}"), name == "train"
    pitch = 1.0
    if engine == "kokoro":
        voice = draw.choice(KOKORO.split() if training else HELD_OUT)
    elif engine == "piper":
        voice, pitch = "joe", draw.uniform(0.88, 1.18)
    else:
        own = [variant for variant in VARIANTS if (variant not in VARIANTS_HELD_OUT) == training]
        voice = f"gmw/{draw.choice(ACCENTS)}+{draw.choice(own)}@{draw.randint(30, 70)}"
    said = Line(
        path="",
        text=text,
        engine=engine,
        voice=voice,
        speed=round(draw.uniform(0.9, 1.15), 3),
        pitch=round(pitch, 3),
        room=round(draw.choice((0.0, draw.uniform(0.1, 0.3))), 3),
        snr_db=round(draw.uniform(15, 30), 1),
        noise=draw.choice(sorted(NOISES)),
        seed=f"{seed} {name} {number}",
    )
    digest = hashlib.sha256(repr(said).encode()).hexdigest()[:8]
    return replace(said, path=str(folder / name / f"{name}-{number:05d}-{digest}.flac"))


def speaker(said: Line) -> str:
    """A name without spaces or signs, that begins with the engine's."""
    return f"{said.engine}-{said.voice.split('@')[0].rpartition('+')[2].rpartition('/')[2]}"


def lines_of(
    name: str, texts: Sequence[str], numbers: Sequence[int], natural: float, folder: Path, seed: int
) -> list[Line]:
    """The captions of a set with these numbers, to be said."""
    wished = engines(len(numbers), natural, seed) if name == "train" else ["kokoro"] * len(numbers)
    told: set[str] = set()
    return [
        line(name, number, texts[number], available(engine, told), folder, seed)
        for number, engine in zip(numbers, wished, strict=True)
    ]


def utterances(said: Sequence[Line], numbers: Sequence[int], texts: dict[str, list[str]]) -> list[Utterance]:
    """What the writer of data directories takes."""
    found = []
    for spoken, number in zip(said, numbers, strict=True):
        who, (set_name, _, _) = speaker(spoken), Path(spoken.path).stem.rpartition("-")[0].rpartition("-")
        key = f"{who}-{set_name}-{number + 1:05d}"
        found.append(Utterance(key, who, {lang: lines[number] for lang, lines in texts.items()}, spoken.path))
    return found
