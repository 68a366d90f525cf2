"""The sub-words of a trained system: the copies that its experiment has."""

from pathlib import Path
from typing import Any

from espnet_ext.data.subwords import Subwords
from espnet_ext.data.vocabulary import vocabulary_of


def own_subwords(folder: Path, config: dict[str, Any]) -> tuple[Any, Any]:
    """The sub-words of the transcript and of the translation, from an experiment's copies; None where it has none."""
    if vocabulary := vocabulary_of(config):
        universal = Subwords(folder / "subwords" / vocabulary.name)
        return universal, universal
    langs = config["src_lang"], config["tgt_lang"]
    joint = "-".join(sorted({lang for lang in langs if lang}))
    names = [joint if config["subwords"] == "joint" else lang for lang in langs]
    source, target = (
        Subwords(folder / "subwords" / name) if name and (folder / "subwords" / name).exists() else None
        for name in names
    )
    return source, target
