"""What can be wrong with an audio file, in one line each; and the limits within which one is read.

A header is a claim: what it says is compared with these limits and with the samples that come.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

RATES = (1000, 768_000)  # Hz; at 1 Hz a second of samples would become hours of speech
MOST_CHANNELS = 64
MOST_SAMPLES = 1 << 29  # in memory at once: nine hours at 16 kHz
BLOCK = 1 << 20  # samples decoded at a time
REMEDY = "fetch the file again, convert it to wav, or leave it out"


class AudioError(ValueError):
    """Audio that cannot be used as it is: the kind of fault, the file, what was found and what to do."""

    def __init__(self, kind: str, path: str | Path, found: str, remedy: str) -> None:
        super().__init__(f"{path}: {found}; {remedy}")
        self.kind, self.path, self.found, self.remedy = kind, str(path), found, remedy

    def __reduce__(self):  # so that it survives the way back from a worker process
        return type(self), (self.kind, self.path, self.found, self.remedy)


class TruncatedAudio(AudioError):
    """The file speaks of more samples than there are."""


@dataclass(frozen=True)
class AudioInfo:
    rate: int
    channels: int
    frames: int  # samples per channel that are really there
    claimed: int | None  # samples per channel that the file speaks of; None: more than there are, it is cut off

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    @property
    def is_cut(self) -> bool:
        return self.claimed is None or self.claimed > self.frames


def truncation(frames: int, claimed: int | None) -> tuple[str, str]:
    """What is found in a file that is cut off, and what to do."""
    found = f"the header claims {claimed} samples but there are {frames}"
    if claimed is None:
        found = f"the file ends after {frames} samples, before its last page"
    return found, "fetch the file again, or use what is there through segments, as write_data_dir does"


def unreadable(path: str | Path, why: object) -> AudioError:
    return AudioError("unreadable audio", path, f"cannot be read as audio ({why})", REMEDY)


def refuse_no_file(path: str | Path) -> None:
    """Refuse what is no plain file, or cannot be found, before anything opens it."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise AudioError(
            "missing audio", path, "there is no such file", "correct the path or leave the recording out"
        ) from None
    except (OSError, ValueError) as error:  # a name that is too long, a folder that is closed, a NUL in the name
        # of a NUL every Python says something else
        reason = "embedded null byte" if "\0" in str(path) else getattr(error, "strerror", None) or error
        raise AudioError(
            "missing audio", path, f"cannot be looked at ({reason})", "correct the path or leave the recording out"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise AudioError("missing audio", path, "is not a file", "give the path of a file")
    if status.st_size == 0:
        raise AudioError("unreadable audio", path, "the file is empty", REMEDY)


def refuse_strange(path: str | Path, rate: int, channels: int) -> None:
    """Refuse what a header may say but no recording has."""
    if not RATES[0] <= rate <= RATES[1]:
        found = f"the header says {rate} samples a second, not {RATES[0]} to {RATES[1]}"
        raise AudioError("unreadable audio", path, found, REMEDY)
    if not 1 <= channels <= MOST_CHANNELS:
        found = f"the header says {channels} channels, not 1 to {MOST_CHANNELS}"
        raise AudioError("unreadable audio", path, found, REMEDY)
