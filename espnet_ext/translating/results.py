"""What a system makes of a file."""

from dataclasses import dataclass, field
from typing import Any

from espnet_ext.infra.languages import is_spaced


@dataclass
class Piece:
    """A part of a recording, or a line of text, and what the system made of it: the text of each stream."""

    start: float | None
    end: float | None
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class Translation:
    """All that a system writes for one file. Streams: asr is the transcript, st or mt the translation."""

    file: str
    pieces: list[Piece]
    languages: dict[str, str]  # stream -> language

    @property
    def texts(self) -> dict[str, str]:
        """The text of each stream, its pieces joined in order."""
        timed = all(piece.start is not None for piece in self.pieces)
        joined = {}
        for stream, language in self.languages.items():
            between = "\n" if not timed else " " if is_spaced(language) else ""
            joined[stream] = between.join(text for piece in self.pieces if (text := piece.texts[stream]) or not timed)
        return joined

    @property
    def transcript(self) -> str | None:
        return self.texts.get("asr")

    @property
    def translation(self) -> str | None:
        texts = self.texts
        return texts.get("st", texts.get("mt", next((text for name, text in texts.items() if name != "asr"), None)))

    def as_json(self) -> dict[str, Any]:
        pieces = [{"start": p.start, "end": p.end, **p.texts} for p in self.pieces]
        return {"file": self.file, "languages": self.languages, **self.texts, "pieces": pieces}
