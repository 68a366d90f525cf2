"""A dump directory of noise and untrained systems on it, for tests that decode."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
import yaml

from espnet_ext.data import subwords, text
from espnet_ext.data.ark import INDEX, archive_name, index_rows, write_matrix
from espnet_ext.espnet.task import STTask, default_config
from espnet_ext.infra.files import write_table

LENGTHS = [40, 1, 61, 3, 88, 52, 40, 120, 33, 75]  # frames; two hold no word
WORDS = {
    "en": ["a", "cat", "sat", "on", "the", "mat", "and", "saw", "a", "bat"],
    "de": ["eine", "katze", "sah", "den", "hut", "und", "biss"],
}
SMALL = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2}


def make_dump(root: Path) -> Path:
    """Features, texts and character vocabularies of ten utterances; returns dump/test."""
    random = np.random.default_rng(0)
    dump, data = root / "dump" / "test", root / "data" / "test"
    dump.mkdir(parents=True)
    ids = [f"utt{i}" for i in range(len(LENGTHS))]
    places = []
    with open(dump / archive_name(0), "wb") as stream:
        for key, frames in zip(ids, LENGTHS):
            places.append(write_matrix(stream, key, random.normal(size=(frames, 80))))
    np.save(dump / INDEX, index_rows(ids, LENGTHS, 0, places))
    for lang, words in WORDS.items():
        lines = [" ".join(random.choice(words, i % 4)) for i in range(len(ids))]
        write_table(data / f"text.{lang}", zip(ids, lines))
        text.build(data / f"text.{lang}", dump / f"text.{lang}")
        folder = root / "dump" / "subwords" / lang
        folder.mkdir(parents=True)
        subwords.train(folder, words, [lang], None, "char")
    return dump


def make_system(root: Path, name: str, **config: object) -> Path:
    """exp/<name> as training leaves it, with random parameters that make long and short hypotheses."""
    exp = root / "exp" / config.get("model", name)
    values = {**default_config(), "model": name, "src_lang": "en", "tgt_lang": "de", "seed": 1, **config}
    values |= {"encoder": "transformer", "encoder_conf": {"output_size": 16, **SMALL}, "decoder_conf": SMALL}
    values |= {"specaug": None, "normalize": None, "output_dir": str(exp)}
    if values["model"] == "mt":
        values["encoder_conf"]["input_layer"] = "embed"
    for lang, key in (("en", "src_token_list"), ("de", "token_list")):
        subword = subwords.Subwords(root / "dump" / "subwords" / lang)
        values[key] = subword.tokens
        subword.copy_to(exp / "subwords")
    torch.manual_seed(2)
    model = STTask.build_model(Namespace(**values))
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            torch.nn.init.normal_(module.weight)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.mul_(2.0)
    exp.mkdir(parents=True, exist_ok=True)
    if model.learns(values["model_conf"]):
        torch.save(model.state_dict(), exp / "model.pth")
    (exp / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return exp
