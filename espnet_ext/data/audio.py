"""Read audio of any kind: wav, flac, ogg, opus, mp3 and SPHERE by libsndfile, m4a and the like by ffmpeg."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

FFMPEG_SUFFIXES = (".aac", ".m4a", ".mkv", ".mp4", ".webm", ".wma")
EXACT_FORMATS = ("WAV", "WAVEX", "RF64", "NIST", "AIFF", "AU")  # the size of the file tells what can be decoded
FLOAT_SUBTYPES = ("FLOAT", "DOUBLE", "VORBIS", "MPEG_LAYER_III", "OPUS")
BLOCK = 1 << 20  # samples decoded at a time when only looking
SPHERE_HEADER = 1024
MP3_MEMORY = 16 * 1152  # samples: a frame of an MP3 may need the bits of the frames before it


class AudioError(ValueError):
    """Audio that cannot be used as it is: the kind of fault, the file, what was found and what to do."""

    def __init__(self, kind: str, path: str | Path, found: str, remedy: str) -> None:
        super().__init__(f"{path}: {found}; {remedy}")
        self.kind, self.path, self.found, self.remedy = kind, str(path), found, remedy

    def __reduce__(self):  # so that it survives the way back from a worker process
        return type(self), (self.kind, self.path, self.found, self.remedy)


class TruncatedAudio(AudioError):
    """The header claims more samples than there are."""


@dataclass(frozen=True)
class AudioInfo:
    rate: int
    channels: int
    frames: int  # samples per channel that are really there
    claimed: int  # samples per channel that the header speaks of

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def info(path: str | Path) -> AudioInfo:
    """Rate, channels and length of a file, from its header and size alone."""
    if _needs_ffmpeg(path):
        return _ffmpeg_info(path)
    with _open(path) as sound:
        frames = sound.frames
        claimed = max(frames, _claimed_frames(path, sound.format))
        return AudioInfo(sound.samplerate, sound.channels, frames, claimed)


def examine(path: str | Path) -> AudioInfo:
    """Like info, but decodes what only decoding can prove, and refuses unreadable audio and NaN samples."""
    if _needs_ffmpeg(path):
        header, frames = _ffmpeg_info(path), _decode_by_ffmpeg(path).frames
        return AudioInfo(header.rate, header.channels, frames, frames)
    with _open(path) as sound:
        if sound.format in EXACT_FORMATS and sound.subtype not in FLOAT_SUBTYPES:
            return info(path)
        decoded, wanted = 0, min(BLOCK, sound.frames)
        while decoded < sound.frames and len(block := _decode(sound, wanted)) == wanted:
            if not np.isfinite(block).all():
                bad = decoded + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise AudioError("NaN samples", path, f"sample {bad} is NaN or infinite", "convert the file again")
            decoded, wanted = decoded + wanted, min(BLOCK, sound.frames - decoded - wanted)
        if decoded < sound.frames:
            found = f"only the first {decoded + len(block)} of {sound.frames} samples can be decoded"
            raise AudioError("unreadable audio", path, found, "fetch the file again, or leave it out")
        claimed = max(decoded, _claimed_frames(path, sound.format))
        return AudioInfo(sound.samplerate, sound.channels, decoded, claimed)


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
        self._sound: soundfile.SoundFile | _Decoded | None = None

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
            raise _unreadable(path, RuntimeError(f"no sample after number {first + len(samples)} of {sound.frames}"))
        mono = samples[:, 0] if sound.channels == 1 else samples.mean(axis=1, dtype=np.float32)
        return resample(mono, sound.samplerate, self.rate)

    def _decode_exactly(self, frame: int, count: int) -> np.ndarray:
        """Samples (frames, channels) from a frame on, the same as if the whole file were decoded.

        By one seek and one read, since soundfile seeks after each read, and what a decoder remembers is lost then.
        """
        assert self._sound is not None
        begin = max(0, frame - MP3_MEMORY) if self._sound.format == "MP3" else frame
        self._sound.seek(begin)
        return _decode(self._sound, frame - begin + count)[frame - begin :]


def resample(samples: np.ndarray, old: float, new: float | None) -> np.ndarray:
    """Samples at another rate; both may be fractional."""
    if new is None or new == old or not len(samples):
        return samples
    import soxr

    return soxr.resample(samples, old, new)


def _refuse_outside(
    path: str | Path, sound: "soundfile.SoundFile | _Decoded", first: int, last: int, to_end: bool
) -> None:
    if to_end and (claimed := _claimed_frames(path, sound.format)) > sound.frames:
        raise TruncatedAudio("truncated audio", path, *truncation(sound.frames, claimed))
    if not 0 <= first <= last <= sound.frames:
        seconds = sound.frames / sound.samplerate
        found = f"segment {first / sound.samplerate:g} to {last / sound.samplerate:g} s is not within its {seconds:g} s"
        raise AudioError("segment outside recording", path, found, "clip the segment or leave it out")


def truncation(frames: int, claimed: int) -> tuple[str, str]:
    """What is found in a file whose header claims too much, and what to do."""
    found = f"the header claims {claimed} samples but there are {frames}"
    return found, "fetch the file again, or use what is there through segments, as write_data_dir does"


def _needs_ffmpeg(path: str | Path) -> bool:
    return Path(path).suffix.lower() in FFMPEG_SUFFIXES


def _open(path: str | Path) -> soundfile.SoundFile:
    if not Path(path).is_file():
        raise AudioError("missing audio", path, "there is no such file", "correct the path or leave the recording out")
    try:
        return soundfile.SoundFile(str(path))
    except soundfile.SoundFileError as error:
        raise _unreadable(path, error) from error


def _decode(sound: "soundfile.SoundFile | _Decoded", frames: int) -> np.ndarray:
    """The next samples as (frames, channels)."""
    try:
        return sound.read(frames, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise _unreadable(sound.name, error) from error


def _unreadable(path: str | Path, error: Exception) -> AudioError:
    size = Path(path).stat().st_size
    found = "the file is empty" if size == 0 else f"cannot be read as audio ({error})"
    return AudioError("unreadable audio", path, found, "fetch the file again, convert it to wav, or leave it out")


def _claimed_frames(path: str | Path, kind: str) -> int:
    """How many samples the header of a WAV or SPHERE file speaks of; 0 for kinds without such a claim."""
    if kind in ("WAV", "WAVEX", "RF64"):
        return _claimed_by_wav(path)
    if kind == "NIST":
        with open(path, "rb") as stream:
            for line in stream.read(SPHERE_HEADER).split(b"\n"):
                if line.startswith(b"sample_count "):
                    return int(line.split()[-1])
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
            body = stream.read(size + size % 2)  # chunks begin at even places
            if name == b"fmt ":
                block = int.from_bytes(body[12:14], order)  # type: ignore[arg-type]
            elif name == b"ds64":
                wide = int.from_bytes(body[8:16], "little")
    return 0


def require_program(name: str, purpose: str) -> str:
    """The path of a system program, or an error with the command that installs it."""
    found = shutil.which(name)
    if found is None:
        package = "ffmpeg" if name == "ffprobe" else name
        raise SystemExit(f"{purpose} needs the program {name}; install it with: apt-get install {package}")
    return found


def _ffmpeg_info(path: str | Path) -> AudioInfo:
    if not Path(path).is_file():
        raise AudioError("missing audio", path, "there is no such file", "correct the path or leave the recording out")
    command = [require_program("ffprobe", f"reading {path}"), "-v", "error", "-select_streams", "a:0"]
    command += ["-show_entries", "stream=sample_rate,channels,duration", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True)
    streams = json.loads(done.stdout or "{}").get("streams")
    if done.returncode or not streams:
        raise _unreadable(path, RuntimeError(done.stderr.decode(errors="replace").strip() or "no audio stream"))
    rate = int(streams[0]["sample_rate"])
    frames = round(float(streams[0]["duration"]) * rate)
    return AudioInfo(rate, int(streams[0]["channels"]), frames, frames)


class _Decoded:
    """A file that was decoded whole, read like an open SoundFile, for formats in which seeking is not exact."""

    format = "DECODED"

    def __init__(self, path: str | Path, samplerate: int, samples_NC: np.ndarray) -> None:
        self.name, self.samplerate, self.samples_NC = str(path), samplerate, samples_NC
        self.frames, self.channels = samples_NC.shape
        self._position = 0

    def seek(self, frame: int) -> None:
        self._position = frame

    def read(self, frames: int, dtype: str, always_2d: bool) -> np.ndarray:
        return self.samples_NC[self._position : self._position + frames]

    def close(self) -> None:
        pass


def _open_for_segments(path: str | Path) -> soundfile.SoundFile | _Decoded:
    """The file, so that seeking comes out at the very sample."""
    if _needs_ffmpeg(path):
        return _decode_by_ffmpeg(path)
    sound = _open(path)
    if sound.subtype != "VORBIS":  # in which libsndfile is off by up to 256 samples, at the end or when it seeks twice
        return sound
    with sound:
        return _Decoded(path, sound.samplerate, _decode(sound, sound.frames))


def _decode_by_ffmpeg(path: str | Path) -> _Decoded:
    header = _ffmpeg_info(path)
    command = [require_program("ffmpeg", f"reading {path}"), "-v", "error", "-nostdin", "-i", str(path)]
    done = subprocess.run([*command, "-map", "a:0", "-ac", "1", "-f", "f32le", "-"], capture_output=True)
    if done.returncode:
        raise _unreadable(path, RuntimeError(done.stderr.decode(errors="replace").strip()))
    # the coder fills its last block with silence, which the header does not count
    return _Decoded(path, header.rate, np.frombuffer(done.stdout, np.float32)[: header.frames, None])
