"""What libsndfile opens: wav, flac, ogg, opus, mp3 and SPHERE; and what their headers claim."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from espnet_ext.data.audio_error import BLOCK, AudioError, refuse_no_file, refuse_strange, unreadable

EXACT_FORMATS = ("WAV", "WAVEX", "RF64", "NIST", "AIFF", "AU")  # the size of the file tells what can be decoded
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE", "VORBIS", "MPEG_LAYER_III", "OPUS")
SPHERE_HEADER = 1024
OGG_HEADER = 27
OGG_PAGE = OGG_HEADER + 255 + 255 * 255  # bytes at most
OGG_LAST = 4  # the flag of the last page
UNKNOWN = 1 << 60  # libsndfile gives a number of samples beyond this where the header has none


class Sound(soundfile.SoundFile):
    """An open file that can be read on and on.

    soundfile seeks after each read, and what a decoder remembers is lost then, unless the file says it cannot seek.
    """

    goes_on = False

    def seekable(self) -> bool:
        return not self.goes_on and super().seekable()

    @property
    def known_frames(self) -> int | None:
        """Samples per channel by the header, if it says."""
        return self.frames if self.frames < UNKNOWN else None

    def blocks_from(self, frame: int, count: int | None = None) -> Iterator[np.ndarray]:
        """The samples (frames, channels) from a frame on, so many or all, a block at a time; fewer if the file ends."""
        path, most = os.fsdecode(self.name), max(1, BLOCK // self.channels)
        left = most if count is None else count
        try:
            self.seek(frame)
            self.goes_on = True
            while left > 0 and len(block := self.read(min(most, left), dtype="float32", always_2d=True)):
                yield block
                left -= 0 if count is None else len(block)
        except (soundfile.SoundFileError, RuntimeError) as error:
            raise unreadable(path, getattr(error, "error_string", error)) from error
        finally:
            self.goes_on = False


def open_sound(path: str | Path) -> Sound:
    refuse_no_file(path)
    try:
        sound = Sound(os.fsencode(path))  # bytes: a name need not be UTF-8
    except soundfile.LibsndfileError as error:
        raise unreadable(path, error.error_string) from error
    except (TypeError, ValueError, OSError, RuntimeError) as error:  # x.raw needs to be told its rate
        raise unreadable(path, " ".join(str(error).split())) from error
    try:
        refuse_strange(path, sound.samplerate, sound.channels)
    except AudioError:
        sound.close()
        raise
    return sound


def claimed_frames(path: str | Path, sound: Sound) -> int | None:
    """How many samples the file speaks of, as AudioInfo has it; 0 for kinds without such a claim."""
    if sound.format in ("WAV", "WAVEX", "RF64"):
        return _claimed_by_wav(path)
    if sound.format == "NIST":
        return _claimed_by_sphere(path)
    if sound.format == "OGG" and not _ogg_is_whole(path):
        return None
    return 0


def _claimed_by_sphere(path: str | Path) -> int:
    with open(path, "rb") as stream:
        for line in stream.read(SPHERE_HEADER).split(b"\n"):
            if line.startswith(b"sample_count "):
                number = line.split()[-1]
                if not number.isdigit():
                    said = line.decode("ascii", "backslashreplace")
                    raise unreadable(path, f"its header says '{said[:60]}', which is no number of samples")
                return int(number)
    return 0


def _claimed_by_wav(path: str | Path) -> int:
    """libsndfile silently corrects the size of the data chunk, so it is read here."""
    with open(path, "rb") as stream:
        order = "big" if stream.read(12)[:4] == b"RIFX" else "little"
        block, wide = 0, 0
        while len(head := stream.read(8)) == 8:
            name, size = head[:4], int.from_bytes(head[4:], order)  # type: ignore[arg-type]
            if name == b"data":
                return (wide or size) // block if block else 0
            body = stream.read(min(size, 64))
            stream.seek(size + size % 2 - len(body), os.SEEK_CUR)  # chunks begin at even places
            if name == b"fmt ":
                block = int.from_bytes(body[12:14], order)  # type: ignore[arg-type]
            elif name == b"ds64":
                wide = int.from_bytes(body[8:16], "little")
    return 0


def _ogg_is_whole(path: str | Path) -> bool:
    """Whether the last page is complete and marked as the last; libsndfile takes what is there."""
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - 2 * OGG_PAGE))
        tail = stream.read()
    start = tail.rfind(b"OggS")
    head = tail[start : start + OGG_HEADER]
    if start < 0 or len(head) < OGG_HEADER:
        return False
    sizes = tail[start + OGG_HEADER : start + OGG_HEADER + head[26]]
    end = start + OGG_HEADER + head[26] + sum(sizes)
    return len(sizes) == head[26] and end <= len(tail) and bool(head[5] & OGG_LAST)
