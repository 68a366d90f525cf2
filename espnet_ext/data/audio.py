"""Read audio of any kind: wav, flac, ogg, opus, mp3 and SPHERE by libsndfile, m4a and the like by ffmpeg."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from espnet_ext.data import audio_ffmpeg
from espnet_ext.data.audio_error import (
    MOST_SAMPLES,
    AudioError,
    AudioInfo,
    TruncatedAudio,
    truncation,
    unreadable,
)
from espnet_ext.data.audio_ffmpeg import is_for_ffmpeg, require_program
from espnet_ext.data.audio_sound import EXACT_FORMATS, FLOAT_SUBTYPES, Sound, claimed_frames, open_sound

__all__ = ["AudioError", "AudioInfo", "AudioReader", "TruncatedAudio", "require_program", "truncation"]

MP3_MEMORY = 16 * 1152  # samples: a frame of an MP3 may need the bits of the frames before it


def info(path: str | Path) -> AudioInfo:
    """Rate, channels and length of a file, from its header and size alone where these say."""
    if is_for_ffmpeg(path):
        header = audio_ffmpeg.header(path)
        return AudioInfo(header.rate, header.channels, header.frames, header.frames) if header.frames else examine(path)
    with open_sound(path) as sound:
        frames = sound.known_frames
        return examine(path) if frames is None else _info(path, sound, frames)


def examine(path: str | Path) -> AudioInfo:
    """Like info, but decodes what only decoding can prove, and refuses unreadable audio and NaN samples."""
    if is_for_ffmpeg(path):
        header = audio_ffmpeg.header(path)
        decoded = _count(path, audio_ffmpeg.blocks(path, header))
        claimed = header.frames if audio_ffmpeg.is_cut(decoded, header) else decoded
        return AudioInfo(header.rate, header.channels, decoded, claimed)
    with open_sound(path) as sound:
        if sound.format in EXACT_FORMATS and sound.subtype not in FLOAT_SUBTYPES:
            return _info(path, sound, sound.frames)
        decoded = _count(path, sound.blocks_from(0, sound.known_frames))
        _refuse_missing(path, decoded, sound)
        return _info(path, sound, decoded)


def _info(path: str | Path, sound: Sound, frames: int) -> AudioInfo:
    claimed = claimed_frames(path, sound)
    return AudioInfo(sound.samplerate, sound.channels, frames, claimed if claimed is None else max(frames, claimed))


def _count(path: str | Path, blocks: Iterator[np.ndarray]) -> int:
    """How many samples there are, all of them numbers."""
    decoded = 0
    for block in blocks:
        _refuse_nan(path, block, decoded)
        decoded += len(block)
    return decoded


def _refuse_nan(path: str | Path, block: np.ndarray, before: int) -> None:
    good = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    if not good.all():
        found = f"sample {before + int(np.flatnonzero(~good)[0])} is NaN or infinite"
        raise AudioError("NaN samples", path, found, "convert the file again")


def _refuse_missing(path: str | Path, decoded: int, sound: Sound) -> None:
    """Refuse a file that ends before its header says; nothing was reserved for what the header says."""
    if sound.known_frames is not None and decoded < sound.known_frames:
        found = f"only the first {decoded} of {sound.known_frames} samples can be decoded"
        raise AudioError("unreadable audio", path, found, "fetch the file again, or leave it out")


def blocks(path: str | Path, rate: int = 16000) -> Iterator[np.ndarray]:
    """The samples that `read` gives, a block at a time, so that memory does not grow with the length of the file."""
    resampler = None
    for block_N, own_rate in _whole_file(path):
        if own_rate != rate and resampler is None:
            import soxr

            resampler = soxr.ResampleStream(own_rate, rate, 1, "float32")
        if resampler is not None:
            block_N = resampler.resample_chunk(block_N)
        yield block_N
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _whole_file(path: str | Path) -> Iterator[tuple[np.ndarray, int]]:
    """The samples of one channel at the file's own rate, all of which must be there and be numbers."""
    decoded = 0
    if is_for_ffmpeg(path):
        header = audio_ffmpeg.header(path)
        for block_N in audio_ffmpeg.blocks(path, header):
            _refuse_nan(path, block_N, decoded)
            decoded += len(block_N)
            yield block_N, header.rate
        if audio_ffmpeg.is_cut(decoded, header):
            raise TruncatedAudio("truncated audio", path, *truncation(decoded, header.frames))
        return
    with open_sound(path) as sound:
        _refuse_cut(path, sound)
        for block_NC in sound.blocks_from(0, sound.known_frames):
            _refuse_nan(path, block_NC, decoded)
            decoded += len(block_NC)
            yield mono(block_NC), sound.samplerate
        _refuse_missing(path, decoded, sound)


def mono(block_NC: np.ndarray) -> np.ndarray:
    return block_NC[:, 0] if block_NC.shape[1] == 1 else block_NC.mean(axis=1, dtype=np.float32)


def read(
    path: str | Path, start: float | None = None, end: float | None = None, rate: int | None = 16000, clip: bool = False
) -> np.ndarray:
    """The samples of a file, or of the segment between two times in seconds, as float32 mono at `rate` (None: its own).

    A segment is found by seeking. With `clip`, what the file does not hold is left out instead of refused.
    """
    with AudioReader(rate) as reader:
        return reader.read(path, start, end, clip)


class AudioReader:
    """Reads many segments; keeps the last file open, since segments of one talk come one after the other."""

    def __init__(self, rate: int | None = 16000) -> None:
        self.rate = rate
        self._path: str | None = None
        self._sound: Sound | Decoded | None = None

    def __enter__(self) -> "AudioReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._path = self._sound = None

    def read(
        self, path: str | Path, start: float | None = None, end: float | None = None, clip: bool = False
    ) -> np.ndarray:
        """See the function of this name."""
        if self._sound is None or self._path != str(path):
            self.close()
            self._sound, self._path = _open_for_segments(path), str(path)
        sound = self._sound
        first = round((start or 0.0) * sound.samplerate)
        last = sound.frames if end is None else round(end * sound.samplerate)
        if not clip:
            _refuse_outside(path, sound, first, last, to_end=end is None)
        first, last = max(0, min(first, sound.frames)), min(last, sound.frames)
        samples = self._decode_exactly(first, max(0, last - first))
        if len(samples) < last - first and not clip:
            raise unreadable(path, f"no sample after number {first + len(samples)} of {sound.frames}")
        return resample(samples, sound.samplerate, self.rate)

    def _decode_exactly(self, frame: int, count: int) -> np.ndarray:
        """The samples of one channel from a frame on, the same as if the whole file were decoded."""
        assert self._sound is not None and self._path is not None
        if isinstance(self._sound, Decoded):
            return self._sound.samples_N[frame : frame + count]
        begin = max(0, frame - MP3_MEMORY) if self._sound.format == "MP3" else frame
        wanted = self._sound.blocks_from(begin, frame - begin + count)
        return _joined(self._path, (mono(block_NC) for block_NC in wanted))[frame - begin :]


def _joined(path: str | Path, blocks: Iterator[np.ndarray]) -> np.ndarray:
    """The blocks in one, as long as they fit in memory: what comes is counted, not what a header says."""
    kept, total = [np.zeros(0, np.float32)], 0
    for block_N in blocks:
        total += len(block_N)
        if total > MOST_SAMPLES:
            found = f"more than {MOST_SAMPLES} samples would be read at once"
            raise AudioError("unreadable audio", path, found, "cut the file into parts")
        kept.append(block_N)
    return kept[1] if len(kept) == 2 else np.concatenate(kept)


def resample(samples: np.ndarray, old: float, new: float | None) -> np.ndarray:
    """Samples at another rate; both may be fractional."""
    if new is None or new == old or not len(samples):
        return samples
    import soxr

    return soxr.resample(samples, old, new)


class Decoded:
    """A file that was decoded whole, as one channel, for formats in which seeking is not exact."""

    def __init__(self, samplerate: int, samples_N: np.ndarray, claimed: int | None) -> None:
        self.samplerate, self.samples_N, self.claimed = samplerate, samples_N, claimed
        self.frames = len(samples_N)

    def close(self) -> None:
        pass


def _open_for_segments(path: str | Path) -> Sound | Decoded:
    """The file, so that seeking comes out at the very sample."""
    if is_for_ffmpeg(path):
        header = audio_ffmpeg.header(path)
        samples_N = _joined(path, audio_ffmpeg.blocks(path, header))
        return Decoded(header.rate, samples_N, header.frames if audio_ffmpeg.is_cut(len(samples_N), header) else 0)
    sound = open_sound(path)
    # In Vorbis libsndfile is off by up to 256 samples, at the end or when it seeks twice.
    if sound.subtype != "VORBIS" and sound.known_frames is not None:
        return sound
    with sound:
        samples_N = _joined(path, (mono(block_NC) for block_NC in sound.blocks_from(0, sound.known_frames)))
        return Decoded(sound.samplerate, samples_N, claimed_frames(path, sound))


def _refuse_cut(path: str | Path, sound: Sound | Decoded) -> None:
    claimed = sound.claimed if isinstance(sound, Decoded) else claimed_frames(path, sound)
    if claimed is None or claimed > sound.frames:
        raise TruncatedAudio("truncated audio", path, *truncation(sound.frames, claimed))


def _refuse_outside(path: str | Path, sound: Sound | Decoded, first: int, last: int, to_end: bool) -> None:
    if to_end:
        _refuse_cut(path, sound)
    if not 0 <= first <= last <= sound.frames:
        seconds = sound.frames / sound.samplerate
        found = f"segment {first / sound.samplerate:g} to {last / sound.samplerate:g} s is not within its {seconds:g} s"
        raise AudioError("segment outside recording", path, found, "clip the segment or leave it out")
