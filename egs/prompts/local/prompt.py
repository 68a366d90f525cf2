"""One sentence in many languages: its texts, and its recordings where there are some."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Prompt:
    """`key` names it within its part; a language may have a text, a recording, or both."""

    key: str
    texts: dict[str, str]
    audio: dict[str, Path] = field(default_factory=dict)
    speakers: dict[str, str] = field(default_factory=dict)
