"""What ffmpeg decodes: m4a, mp4, webm and the like, as one channel."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet_ext.data.audio_error import BLOCK, AudioError, refuse_no_file, refuse_strange, unreadable

SUFFIXES = (".aac", ".m4a", ".mka", ".mkv", ".mov", ".mp4", ".webm", ".wma")
GUESSED = ("aac", "mp3")  # formats without a length, which ffprobe estimates from the bit rate
TIMEOUT = 60  # seconds to look at a header
TOLERANCE = 0.1  # seconds that a header may speak of beyond what comes


@dataclass(frozen=True)
class Header:
    rate: int
    channels: int
    frames: int | None  # None: it does not say


def is_for_ffmpeg(path: str | Path) -> bool:
    return Path(path).suffix.lower() in SUFFIXES


def require_program(name: str, purpose: str) -> str:
    """The path of a system program, or an error with the command that installs it."""
    found = shutil.which(name)
    if found is None:
        package = "ffmpeg" if name == "ffprobe" else name
        raise SystemExit(f"{purpose} needs the program {name}; install it with: apt-get install {package}")
    return found


def _source(path: str | Path) -> list[str]:
    """The file and no more: its name is no address, and a play list in it leads nowhere."""
    return ["-protocol_whitelist", "file", "-i", f"file:{os.fspath(path)}"]


def header(path: str | Path) -> Header:
    refuse_no_file(path)
    command = [require_program("ffprobe", f"reading {path}"), "-v", "error", "-select_streams", "a:0"]
    command += ["-show_entries", "stream=sample_rate,channels,duration:format=format_name,duration", "-of", "json"]
    try:
        done = subprocess.run([*command, *_source(path)], capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        raise unreadable(path, f"ffprobe was not done after {TIMEOUT} s") from None
    try:
        found = json.loads(done.stdout or "{}")
        streams, container = found.get("streams"), found.get("format", {})
        if done.returncode or not streams:
            raise unreadable(path, _said(done.stderr) or "no audio stream")
        rate, channels = int(streams[0]["sample_rate"]), int(streams[0]["channels"])
        # Matroska keeps the length of the file, not of the stream.
        length = streams[0].get("duration") or container.get("duration")
        guessed = container.get("format_name") in GUESSED
        frames = None if length is None or guessed else round(float(length) * rate)
    except AudioError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise unreadable(path, f"ffprobe does not say what it is: {type(error).__name__} {error}") from error
    refuse_strange(path, rate, channels)
    return Header(rate, channels, frames)


def blocks(path: str | Path, found: Header) -> Iterator[np.ndarray]:
    """The samples of one channel, a block at a time, as far as the header goes: coders fill their last block."""
    command = [require_program("ffmpeg", f"reading {path}"), "-v", "error", "-nostdin", *_source(path)]
    command += ["-map", "a:0", "-ac", "1", "-ar", str(found.rate), "-f", "f32le", "-"]
    decoded, left = 0, BLOCK if found.frames is None else found.frames
    # Messages go to a file, since a full pipe of them would stop ffmpeg.
    with tempfile.TemporaryFile() as messages:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages) as process:
            assert process.stdout is not None
            try:
                while data := process.stdout.read(4 * BLOCK):
                    block_N = np.frombuffer(data[: len(data) // 4 * 4], np.float32)
                    decoded += len(block_N)
                    block_N = block_N[:left]
                    left -= 0 if found.frames is None else len(block_N)
                    if len(block_N):
                        yield block_N
            except BaseException:  # the reader has enough, or Ctrl-C
                process.kill()
                raise
        if process.returncode > 0 or not decoded:
            messages.seek(0)
            raise unreadable(path, _said(messages.read(10_000)) or "no sample could be decoded")


def is_cut(decoded: int, found: Header) -> bool:
    """Whether so many samples are fewer than the header speaks of."""
    return found.frames is not None and decoded < found.frames - TOLERANCE * found.rate


def _said(errors: bytes) -> str:
    return " ".join(errors.decode(errors="replace").split())[:200]
