"""A finished experiment without training: five systems of known quality, tones for speech."""

import json
import random
from pathlib import Path

import numpy as np
import soundfile

from espnet_ext.infra.files import write_json, write_table

SYSTEMS = {  # streams and the chance that a word is wrong
    "asr": {"asr": 0.08},
    "mt": {"mt": 0.10},
    "pipeline": {"asr": 0.08, "st": 0.20},
    "e2e": {"st": 0.30},
    "multitask": {"asr": 0.06, "st": 0.22},
}
# the arguments that score and report have in common
COMMON = ["exp", "--systems", " ".join(SYSTEMS), "--test_sets", "test", "--src_lang", "en", "--tgt_lang", "de"]
ENGLISH = """
the a small old red house river train child teacher sees reads opens under behind slowly today morning book
window garden letter winter music and with before city never again bridge light answer question
"""
GERMAN = """
das ein kleine alte rote Haus Fluss Zug Kind Lehrer sieht liest öffnet unter hinter langsam heute Morgen Buch
Fenster Garten Brief Winter Musik und mit vor Stadt nie wieder Brücke Licht Antwort Frage
"""
WORDS = {"en": ENGLISH.split(), "de": GERMAN.split()}


def sentence(lang: str, picks: list[int]) -> str:
    words = [WORDS[lang][i] for i in picks]
    return " ".join(words).capitalize() + "."


def damaged(text: str, chance: float, words: list[str], rng: random.Random) -> str:
    """Each word is dropped, doubled or replaced with the given chance."""
    kept = []
    for word in text.split():
        if rng.random() >= chance:
            kept.append(word)
            continue
        change = rng.choice(("drop", "insert", "replace", "replace"))
        kept += {"drop": [], "insert": [word, rng.choice(words)], "replace": [rng.choice(words)]}[change]
    return " ".join(kept)


def make_fake_results(
    root: Path, utterances: int = 40, audio: bool = True, seed: int = 7, seconds: float = 6.0
) -> Path:
    """Write `data/test` and `exp/<system>/test` under `root`, as the other stages would; returns `root`."""
    rng = random.Random(seed)
    ids = [f"spk{i % 7:02d}_{i:05d}" for i in range(utterances)]
    picks = {key: [rng.randrange(34) for _ in range(rng.randint(3, 28))] for key in ids}
    data = root / "data" / "test"
    references = {lang: {key: sentence(lang, picks[key]) for key in ids} for lang in WORDS}
    for lang, texts in references.items():
        write_table(data / f"text.{lang}", texts.items())
    write_table(data / "utt2spk", ((key, key[:5]) for key in ids))
    durations = {key: 0.3 * len(picks[key]) * seconds / 4.65 for key in ids}
    write_table(data / "utt2dur", ((key, f"{value:.3f}") for key, value in durations.items()))
    if audio:
        write_tones(data, durations)
    for system, streams in SYSTEMS.items():
        for stream, chance in streams.items():
            lang = "en" if stream == "asr" else "de"
            hypotheses = [(key, damaged(text, chance, WORDS[lang], rng)) for key, text in references[lang].items()]
            if system == "e2e":
                hypotheses[3] = (hypotheses[3][0], "")  # a system may be silent
            write_table(root / "exp" / system / "test" / f"hyp.{stream}", hypotheses)
        write_run(root / "exp" / system, list(streams), utterances, sum(durations.values()), rng)
    return root


def write_tones(data: Path, durations: dict[str, float]) -> None:
    """One recording per speaker with segments, as in TED talks; each word a tone with a pause after it."""
    segments, paths = [], []
    for speaker in sorted({key[:5] for key in durations}):
        pieces, begin = [], 0.0
        for key in (key for key in durations if key.startswith(speaker)):
            time = np.arange(int(durations[key] * 16000)) / 16000
            pitch = 160 + 15 * int(speaker[3:]) + 60 * np.sin(5 * time)
            envelope = np.clip(np.sin(2 * np.pi * time / 0.35), 0, 1)
            pieces.append(0.3 * envelope * np.sin(2 * np.pi * np.cumsum(pitch) / 16000))
            segments.append((key, f"{speaker} {begin:.3f} {begin + durations[key]:.3f}"))
            begin += durations[key]
        path = data / "wav" / f"{speaker}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.concatenate(pieces), 16000, subtype="PCM_16")
        paths.append((speaker, str(path)))
    write_table(data / "wav.scp", paths)
    write_table(data / "segments", segments)


def write_run(folder: Path, streams: list[str], utterances: int, audio: float, rng: random.Random) -> None:
    """decode.json, run.json and history.jsonl; the pipeline is not trained, so it has less."""
    is_text = streams == ["mt"]
    took = utterances / rng.uniform(8, 30)
    commit = "0123456789abcdef0123456789abcdef01234567"
    decode = {"utterances": utterances, "audio_seconds": None if is_text else audio, "decode_seconds": took}
    decode |= {
        "parameters": rng.randrange(5_000_000, 40_000_000),
        "options": {"beam_size": 5},
        "commit": commit,
        "seed": 1,
    }
    write_json(folder / "test" / "decode.json", decode)
    (folder / "config.yaml").write_text("model: fake\n", encoding="utf-8")
    run = {"commit": commit, "seed": 1, "earlier_commits": [], "versions": {}, "command": "python -m espnet_ext.train"}
    if folder.name == "pipeline":
        write_json(folder / "run.json", run)
        return
    write_json(folder / "run.json", run | {"parameters": decode["parameters"], "training_seconds": 4321})
    lines, pace, floor = [], rng.uniform(5, 11), rng.uniform(0.4, 0.9)
    for epoch in range(1, 31):
        loss = 4 * np.exp(-epoch / pace) + floor + rng.uniform(0, 0.05)
        train = {"loss": loss, "acc": 1 - loss / 5}
        valid = {"loss": loss * 1.08 + 0.003 * epoch, "acc": 0.98 - loss / 5}
        valid |= {"wer": 12 + 90 * np.exp(-epoch / pace)} if "asr" in streams else {}
        valid |= {"bleu": 30 * (1 - np.exp(-epoch / pace))} if streams != ["asr"] else {}
        lr = 1e-3 * min(epoch / 5, (5 / epoch) ** 0.5)
        lines.append(json.dumps({"epoch": epoch, "train": train, "valid": valid, "seconds": 140.0, "lr": lr}))
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
