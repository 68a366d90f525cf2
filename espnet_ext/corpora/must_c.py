"""MuST-C v1, v2 and v3: TED talks in English with translations, as CORPUS/en-<l>/data/<set>/{txt,wav}."""

from collections.abc import Sequence
from pathlib import Path

from espnet_ext.data import segment_yaml
from espnet_ext.data.write_datadir import Utterance

LANGUAGES = ("de", "es", "fr", "it", "nl", "pt", "ro", "ru", "ja", "zh")  # v1 has the first eight, v2 and v3 de ja zh
SETS = ("train", "dev", "tst-COMMON", "tst-HE")
SHORTEST = 0.2  # seconds; in training, less is a cut-off word. A test set keeps all that features can be made of.
AGAIN = "unpack the corpus again"


def read_set(corpus: Path, name: str, lang: str, texts: Sequence[str] = ()) -> list[Utterance]:
    """One set of the pair en-<lang>: entry i of the yaml is line i of both texts; `texts` may ask for one of them."""
    pair = segment_yaml.require(corpus / f"en-{lang}", "give --corpus the folder that holds it")
    folder = segment_yaml.require(pair / "data" / name, f"leave this set out with --sets, or {AGAIN}")
    text = folder / "txt"
    files = {key: segment_yaml.require(text / f"{name}.{key}", AGAIN) for key in ("yaml", *(texts or ("en", lang)))}
    return segment_yaml.read_utterances(files.pop("yaml"), files, folder / "wav")
