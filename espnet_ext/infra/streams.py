"""What systems write: the transcript, the translation of the speech, the translation of the transcript."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stream:
    """One output: what it is made from, and the field of a batch that it should equal."""

    reads: str  # speech or src_text
    writes: str  # src_text or text

    def of(self, source: Any, target: Any) -> Any:
        """The source's or the target's, of two languages or two sub-word models."""
        return source if self.writes == "src_text" else target


STREAMS = {
    "asr": Stream("speech", "src_text"),
    "st": Stream("speech", "text"),
    "mt": Stream("src_text", "text"),
}
