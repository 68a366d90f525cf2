"""Asterisk: usr/share/asterisk/sounds/<language>_<voice>/<key>.wav, texts of a language in core-sounds-<l>.txt.gz."""

import re
from pathlib import Path

from prompt import Prompt

from espnet_ext.infra.lines import read_lines

LANGUAGES = SPOKEN = ("en", "es", "fr", "it", "ru")
TARGETS = ("en", "fr", "it", "ru")  # a fifth of the keys has no Spanish text
PACKAGES = tuple(f"asterisk-core-sounds-{lang}{end}" for lang in LANGUAGES for end in ("", "-wav"))
IN_BRACKETS = re.compile(r"[\[(<].*[\])>]")  # all of it: [beep], a sound or what to do, in whatever language
SYMBOL = re.compile(r"[\[(]\W*[\])]")  # at [@]: how the word before is written
AGAIN = "fetch the packages again"


def read(folders: list[Path]) -> list[Prompt]:
    """The prompts by key; what any language shows to be no speech is left out."""
    found: dict[str, Prompt] = {}
    sounds = set()
    for lang in LANGUAGES:
        texts, voice = _texts(folders, lang), _voice(folders, lang)
        for path in sorted(voice.rglob("*.wav")):
            key = str(path.relative_to(voice).with_suffix("")).casefold()  # digits/1F is digits/1f in its text
            prompt = found.setdefault(key, Prompt(key, {}))
            prompt.audio[lang], prompt.speakers[lang] = path, voice.name
            text = texts.get(key, "")
            if IN_BRACKETS.fullmatch(text):
                sounds.add(key)
            prompt.texts[lang] = SYMBOL.sub("", text).strip()
    return [prompt for key, prompt in sorted(found.items()) if key not in sounds]


def _texts(folders: list[Path], lang: str) -> dict[str, str]:
    """Lines `key: text`; `;` begins a comment. Of a key that comes twice, the first."""
    name = f"core-sounds-{lang}.txt"
    places = [path for folder in folders for path in sorted(folder.glob(f"usr/share/doc/*/{name}*"))]
    if not places:
        raise ValueError(f"{name}: in none of {' '.join(map(str, folders))}; {AGAIN}, or leave `phone` out of --parts")
    texts: dict[str, str] = {}
    for line in read_lines(places[0], AGAIN):
        key, colon, text = line.strip().partition(":")
        if colon and not line.startswith(";"):
            texts.setdefault(key.strip().casefold(), " ".join(text.split()))
    return texts


def _voice(folders: list[Path], lang: str) -> Path:
    """The folder of the language's main voice: the one with the most recordings."""
    voices = [path for folder in folders for path in folder.glob(f"usr/share/asterisk/sounds/{lang}_*")]
    if not voices:
        raise ValueError(f"no usr/share/asterisk/sounds/{lang}_* in {' '.join(map(str, folders))}; {AGAIN}")
    return max(sorted(voices), key=lambda path: sum(1 for _ in path.rglob("*.wav")))
