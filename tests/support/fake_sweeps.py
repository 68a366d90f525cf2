"""Finished sweeps of recognisers over how much speech they learned from, without a recogniser."""

import random
from pathlib import Path

from espnet_ext.infra.files import read_table, write_json, write_table
from tests.support.fake_results import WORDS, damaged, make_fake_results, write_run

KEY = "tasks.de.set"
SYSTEMS = "scratch direct joint"
HOURS = {"all": 0.5, "a_third": 0.17, "a_tenth": 0.05}
CHANCES = {  # that a word is wrong; `all` is in exp/ itself, and `joint` has no a_third
    "scratch": {"all": 0.3, "a_third": 0.5, "a_tenth": 0.7},
    "direct": {"all": 0.25, "a_third": 0.25, "a_tenth": 0.3},
    "joint": {"all": 0.3, "a_tenth": 0.5},
}
OTHER = {"direct": ["0", "0.1"], "scratch": ["0.1", "0.3"]}  # a sweep over a number, where they share one value


def make_fake_sweeps(root: Path, seeds: tuple[int, ...] = (1,), utterances: int = 30) -> Path:
    """`data/test` with German text, `exp/<system>` and `exp/sweep/<system>-<key>`, each also of further seeds."""
    make_fake_results(root, utterances, audio=False)
    for name, hours in HOURS.items():
        about = {"reads": "speech", "speech": "de", "texts": ["de"], "utterances": 10, "hours": hours}
        write_json(root / "data" / name / "about.json", about)
    for seed in seeds:
        place = "" if seed == seeds[0] else f"seed{seed}/"
        for system, chances in CHANCES.items():
            base = root / "exp" / place / system
            write_system(root, base, chances["all"], seed)
            sweep = root / "exp/sweep" / f"{system}-{KEY}" / place
            sweep.mkdir(parents=True, exist_ok=True)
            (sweep / f"{KEY}=all").symlink_to(base)
            for value in [value for value in chances if value != "all"]:
                write_system(root, sweep / f"{KEY}={value}", chances[value], seed)
            for number in OTHER.get(system, []):
                write_system(root, root / f"exp/sweep/{system}-lsm_weight/{place}lsm_weight={number}", 0.3, seed)
    return root


def write_system(root: Path, folder: Path, chance: float, seed: int) -> None:
    """What training and decoding leave of a recogniser."""
    rng = random.Random(f"{folder.relative_to(root)} {chance} {seed}")
    texts = dict(read_table(root / "data/test/text.de"))
    write_table(folder / "test/hyp.de", [(key, damaged(text, chance, WORDS["de"], rng)) for key, text in texts.items()])
    write_run(folder, ["de"], len(texts), 100.0, rng)
    decode = {"utterances": len(texts), "audio_seconds": 100.0, "decode_seconds": 2.0, "seed": seed}
    write_json(folder / "test/decode.json", decode | {"tasks": {"de": {"kind": "asr", "src": "de", "tgt": "de"}}})
