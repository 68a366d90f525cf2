"""TED talks as IWSLT gives them: CORPUS/train/iwslt-corpus, CORPUS/<set>/IWSLT.<set>; or both in CORPUS/en-<l>."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.corpora import iwslt_evaluation
from espnet_ext.data import segment_yaml
from espnet_ext.data.read_datadir import talk_of
from espnet_ext.data.write_datadir import Utterance

LANGUAGES = ("de", "fr", "zh", "ja")
SHORTEST = 0.2  # seconds; in training, less is a cut-off word


def place(corpus: Path, lang: str) -> Path:
    """The folder of the pair, where one folder holds several pairs; else the corpus itself."""
    return corpus / f"en-{lang}" if (corpus / f"en-{lang}").is_dir() else corpus


def read_train(corpus: Path, lang: str, texts: Sequence[str] = ()) -> list[Utterance]:
    """The training talks, with both texts or those asked for."""
    remedy = "give --corpus the folder that holds train and the sets"
    folder = segment_yaml.require(place(corpus, lang) / "train" / "iwslt-corpus", remedy)
    ends = ("yaml", *(texts or ("en", lang)))
    again = iwslt_evaluation.AGAIN
    files = {end: segment_yaml.require(folder / "parallel" / f"train.{end}", again) for end in ends}
    return segment_yaml.read_utterances(files.pop("yaml"), files, folder / "wav")


def read_evaluation_set(corpus: Path, name: str, lang: str) -> iwslt_evaluation.EvaluationSet:
    remedy = "leave this set out with --sets, or unpack it"
    folder = segment_yaml.require(place(corpus, lang) / name / f"IWSLT.{name}", remedy)
    return iwslt_evaluation.read_evaluation_set(folder, f"IWSLT.TED.{name}.en-{lang}", ["en", lang])


def hold_out(utterances: list[Utterance], wanted: int) -> tuple[list[Utterance], list[Utterance]]:
    """(train, dev): whole talks, always the same ones, whose utterances just come to `wanted`."""
    by_talk: dict[str, list[Utterance]] = {}
    for utterance in utterances:
        by_talk.setdefault(talk_of(utterance.id), []).append(utterance)
    if len(by_talk) < 2:
        raise ValueError(f"the training part has {len(by_talk)} talk; two are needed, one of them to validate on")
    order = sorted(by_talk, key=lambda talk: hashlib.sha256(talk.encode()).digest())
    dev: list[Utterance] = []
    while len(order) > 1 and len(dev) < max(1, wanted):
        dev += by_talk[order.pop(0)]
    return [utterance for talk in order for utterance in by_talk[talk]], dev
