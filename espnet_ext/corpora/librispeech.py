"""LibriSpeech: <set>/<speaker>/<chapter>/{<speaker>-<chapter>-<number>.flac,<speaker>-<chapter>.trans.txt}."""

from pathlib import Path

from espnet_ext.data.segment_yaml import require
from espnet_ext.data.write_datadir import Utterance
from espnet_ext.infra.lines import read_lines

TRAINING = ("train-clean-100", "train-clean-360", "train-other-500")
AGAIN = "unpack the corpus again"


def read_set(corpus: Path, name: str) -> list[Utterance]:
    """The utterances of one set; texts are in capitals, as the corpus has them."""
    place = corpus / "LibriSpeech" if (corpus / "LibriSpeech").is_dir() else corpus
    folder = require(place / name, f"give the folder that holds {name}")
    found = []
    for path in sorted(folder.glob("*/*/*.trans.txt")):
        for number, line in enumerate(read_lines(path, AGAIN), 1):
            key, _, text = line.partition(" ")
            if not key.startswith(path.name.removesuffix(".trans.txt")):
                raise ValueError(f"{path}:{number}: '{key[:40]}' is no utterance of this chapter; {AGAIN}")
            found.append(Utterance(key, key.partition("-")[0], {"en": text}, path.with_name(f"{key}.flac")))
    if not found:
        raise ValueError(f"{folder}: no <speaker>/<chapter>/*.trans.txt in it; {AGAIN}")
    return found


def training_sets(corpus: Path) -> list[str]:
    """Those parts of the training data that are there; at least one."""
    place = corpus / "LibriSpeech" if (corpus / "LibriSpeech").is_dir() else corpus
    return [name for name in TRAINING if (place / name).is_dir()] or [TRAINING[0]]
