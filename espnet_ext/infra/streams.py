"""What systems write: the transcript, the translation of the speech, the translation of the transcript, or tasks."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stream:
    """One output: what it is made from, and the field of a batch that it should equal."""

    kind: str  # asr, st or mt: what its start token and its scores are called
    reads: str  # speech or src_text
    writes: str  # src_text or text
    src: str | None = None  # the languages that a task names; else they are those of the system
    tgt: str | None = None

    def of(self, source: Any, target: Any) -> Any:
        """The source's or the target's, of two languages or two sub-word models."""
        return source if self.writes == "src_text" else target

    def language(self, source: Any, target: Any) -> Any:
        """What it is written in, in a system of these languages."""
        return self.tgt or self.of(source, target)


STREAMS = {
    "asr": Stream("asr", "speech", "src_text"),
    "st": Stream("st", "speech", "text"),
    "mt": Stream("mt", "src_text", "text"),
}
