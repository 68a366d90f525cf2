"""The changed audio of one shard of a set: a folder that is whole or absent."""

import json
from pathlib import Path
from urllib.parse import quote

import soundfile

from espnet_ext.data.audio import AudioReader
from espnet_ext.data.effects import Copy, apply, draw
from espnet_ext.data.read_datadir import Span
from espnet_ext.infra.files import atomic_folder, write_json

RECORD = "shard.json"  # in the folder: what it was made from and what it holds
Made = tuple[str, str, float]  # id of the original, path and seconds of one changed utterance


def make_shard(folder: Path, key: str, copy: Copy, seed: int, rate: int, wanted: list[Span]) -> list[Made]:
    """Write the changed audio of some utterances to a folder, unless it is there."""
    if (folder / RECORD).exists():
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if record["key"] == key:
            return [(name, path, seconds) for name, path, seconds in record["made"]]
    made = []
    with atomic_folder(folder) as temporary, AudioReader(rate) as reader:
        for span in wanted:
            samples = reader.read(span.path, span.start, span.end)
            samples = apply(samples, rate, draw(copy, span.utterance, seed))
            name = f"{quote(span.utterance, safe='')}.flac"
            soundfile.write(temporary / name, samples, rate, subtype="PCM_16")
            made.append((span.utterance, str(folder / name), len(samples) / rate))
        write_json(temporary / RECORD, {"key": key, "made": made})
    return made
