"""Finished sweeps of simultaneous systems, without a translator: who lags more is better."""

import json
import os
import random
from pathlib import Path

from espnet_ext.infra.files import atomic_open, read_table, write_table
from tests.support.fake_results import WORDS, damaged, make_fake_results, write_run

SYSTEMS = "mt greedy waitk le tn"
LAGS = {  # words that a policy stays behind, and how good it is at that
    "greedy": (99, 1.0),
    "tn": (3, 0.9),
    "waitk": (3, 0.5),
    "sweep/waitk-k/k=1": (1, 0.2),
    "sweep/waitk-k/k=9": (9, 0.9),
    "sweep/le-d/d=0": (1, 0.1),
    "sweep/le-d/d=10": (10, 0.8),
    "le": (4, 0.5),
}


def make_fake_curves(root: Path, utterances: int = 30) -> Path:
    """`make_fake_results` and simultaneous systems in `exp/`; `waitk` and `le` are also in their sweeps."""
    make_fake_results(root, utterances, audio=False)
    (root / "data/test/utt2dur").unlink()
    sources, references = (dict(read_table(root / f"data/test/text.{lang}")) for lang in ("en", "de"))
    rng = random.Random(3)
    for name, (behind, good) in LAGS.items():
        folder = root / "exp" / name
        texts = {key: damaged(text, 0.35 * (1 - good), WORDS["de"], rng) for key, text in references.items()}
        write_table(folder / "test/hyp.mt", texts.items())
        with atomic_open(folder / "test/delays.mt.jsonl") as lines:
            for key, text in texts.items():
                size = len(sources[key].split())
                read = [min(behind + i, size) for i in range(len(text.split()))]
                row = {"source": size, "read": read}
                lines.write(json.dumps({"id": key, "word": row, "subword": row}) + "\n")
        write_run(folder, ["mt"], utterances, 1.0, rng)
    os.symlink("../../waitk", root / "exp/sweep/waitk-k/k=3")
    os.symlink("../../le", root / "exp/sweep/le-d/d=4")
    os.unlink(root / "exp/waitk/history.jsonl")
    return root
