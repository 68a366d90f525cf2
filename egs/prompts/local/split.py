"""Three sets by key: a key is in one of them with all its languages, and so are keys of which any text is the same."""

import hashlib
from collections.abc import Iterable, Sequence

from prompt import Prompt

from espnet_ext.scoring.metrics import without_punctuation

SHARES = {"test": 0.15, "dev": 0.1}  # of the keys; the rest is for training


def split(prompts: Sequence[Prompt], only_training: Iterable[str] = ()) -> dict[str, str]:
    """The set of each key: always the same, whatever the order; keys beside one of `only_training` train with it."""
    kept = set(only_training)
    groups: dict[str, list[str]] = {}
    leader = _leaders(prompts)
    for prompt in prompts:
        groups.setdefault(leader[prompt.key], []).append(prompt.key)
    sets = {}
    for keys in groups.values():
        name = "train" if kept.intersection(keys) else _draw(min(keys))
        sets |= dict.fromkeys(keys, name)
    return sets


def _draw(key: str) -> str:
    """A set by the hash of the key, each with its share."""
    value = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64
    for name, share in SHARES.items():
        if value < share:
            return name
        value -= share
    return "train"


def _leaders(prompts: Sequence[Prompt]) -> dict[str, str]:
    """The same name for all keys that hang together by equal texts of a language, but for case and punctuation."""
    leader = {prompt.key: prompt.key for prompt in prompts}

    def find(key: str) -> str:
        while leader[key] != key:
            leader[key] = leader[leader[key]]
            key = leader[key]
        return key

    first: dict[tuple[str, str], str] = {}
    for prompt in prompts:
        for lang, text in prompt.texts.items():
            if alike := without_punctuation(text).casefold():
                leader[find(prompt.key)] = find(first.setdefault((lang, alike), prompt.key))
    return {key: find(key) for key in leader}
