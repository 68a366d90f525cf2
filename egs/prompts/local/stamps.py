"""Tux Paint: usr/share/tuxpaint/stamps/**/<stamp>.txt (English, then <language>.utf8=text) and its recordings."""

from pathlib import Path

from prompt import Prompt

from espnet_ext.infra.lines import read_lines

SPOKEN = ("fr", "ru", "ca", "ro", "bg", "es", "be", "el")  # Danish has 322 recordings, English 66, others fewer
LANGUAGES = TARGETS = ("en", *SPOKEN, "it")
PACKAGES = ("tuxpaint-stamps-default",)
AGAIN = "fetch the package again"


def read(folders: list[Path]) -> list[Prompt]:
    """The stamps by path, with the recordings <stamp>_desc_<language>.ogg; <stamp>.ogg is a noise."""
    found = []
    for folder in folders:
        root = folder / "usr" / "share" / "tuxpaint" / "stamps"
        for path in sorted(root.rglob("*.txt")):
            key = str(path.relative_to(root).with_suffix("")).replace(" ", "_")
            recordings = {lang: path.with_name(f"{path.stem}_desc_{lang}.ogg") for lang in SPOKEN}
            audio = {lang: recording for lang, recording in recordings.items() if recording.exists()}
            speakers = {lang: f"stamps-{lang}" for lang in audio}  # who they are the package does not say
            found.append(Prompt(key, _texts(path), audio, speakers))
    if not any(prompt.audio for prompt in found):
        places = " ".join(map(str, folders))
        raise ValueError(
            f"no usr/share/tuxpaint/stamps with *_desc_*.ogg in {places}; {AGAIN}, or leave `stamps` out of --parts"
        )
    return found


def _texts(path: Path) -> dict[str, str]:
    first, *lines = read_lines(path, AGAIN)
    pairs = [line.partition("=") for line in lines]
    texts = {name.removesuffix(".utf8"): text.strip() for name, _, text in pairs if name.endswith(".utf8")}
    return {lang: texts.get(lang, "") for lang in LANGUAGES} | {"en": first.strip()}
