"""Break a data directory in every way that the check knows, and show what it says."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from espnet_ext.data.check import check

COMMAND = "python -m tests.bench.bad_inputs"
RATE = 16000
IDS = ("a1", "a2", "b1", "b2")


def make_good(folder: Path) -> Path:
    """A data directory with four seconds of noise, in order."""
    random = np.random.default_rng(0)
    (folder / "audio").mkdir(parents=True)
    for name in IDS:
        soundfile.write(folder / "audio" / f"{name}.wav", 0.1 * random.standard_normal(RATE), RATE)
    write(folder / "wav.scp", *(f"{name} {folder}/audio/{name}.wav" for name in IDS))
    write(folder / "utt2spk", *(f"{name} {name[0]}" for name in IDS))
    write(folder / "text.en", *(f"{name} the tree number {name[1]}" for name in IDS))
    write(folder / "text.de", *(f"{name} der Baum Nummer {name[1]}" for name in IDS))
    return folder


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def edit(path: Path, old: str | bytes, new: str | bytes) -> None:
    """Replace bytes that must be there."""
    old, new = (text.encode() if isinstance(text, str) else text for text in (old, new))
    data = path.read_bytes()
    assert old in data, f"{old!r} is not in {path}"
    path.write_bytes(data.replace(old, new, 1))


def segment(folder: Path, last: str) -> None:
    """One recording of 1 s for all utterances; `last` is the segment of b2."""
    write(folder / "wav.scp", f"talk {folder}/audio/a1.wav")
    write(folder / "segments", "a1 talk 0 0.3", "a2 talk 0.3 0.5", "b1 talk 0.5 0.8", f"b2 {last}")


def audio(folder: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> None:
    """Other audio for b1."""
    soundfile.write(folder / "audio" / "b1.wav", samples, rate, subtype=subtype)


def truncate(folder: Path) -> None:
    path = folder / "audio" / "b1.wav"
    path.write_bytes(path.read_bytes()[: 44 + 2 * 6000])


def half_an_ogg(folder: Path) -> None:
    path = folder / "audio" / "b1.wav"
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * RATE)
    soundfile.write(path, noise, RATE, format="OGG", subtype="VORBIS")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def sphere(folder: Path, count: str) -> None:
    """A SPHERE file that says this number of samples."""
    header = f"NIST_1A\n   1024\nsample_count -i {count}\nsample_n_bytes -i 2\nchannel_count -i 1\n"
    header += f"sample_byte_format -s2 01\nsample_rate -i {RATE}\nend_head\n"
    (folder / "audio" / "b1.wav").write_bytes(header.encode().ljust(1024) + bytes(2 * RATE))


def with_nan() -> np.ndarray:
    samples = np.zeros(RATE, np.float32)
    samples[123] = np.nan
    return samples


# name: (how to break the directory, the file and line named, what is found, what to do)
Case = tuple[Callable[[Path], object], str, str, str]
CASES: dict[str, Case] = {
    "ids that differ between files": (
        lambda d: edit(d / "text.de", "a2 der Baum Nummer 2\n", ""),
        "wav.scp:2",
        "utterance a2 is not in text.de",
        "add it there or remove this line",
    ),
    "unsorted ids": (
        lambda d: write(d / "utt2spk", "a1 a", "b1 b", "a2 a", "b2 b"),
        "utt2spk:3",
        "id a2 comes after b1",
        "LC_ALL=C sort",
    ),
    "duplicate ids": (
        lambda d: edit(d / "text.en", "a2 the tree", "a2 the\na2 the tree"),
        "text.en:3",
        "id a2 is already on line 2",
        "remove one of the two lines",
    ),
    "empty text": (
        lambda d: edit(d / "text.de", "der Baum Nummer 2", " \u00a0"),
        "text.de:2",
        "utterance a2 has no text",
        "drop the utterance in local/data.py",
    ),
    "bad UTF-8": (
        lambda d: edit(d / "text.de", "b1 der", b"b1 f\xfcr der"),
        "text.de:3",
        "byte 5 of the line, 0xfc, is not UTF-8",
        "iconv",
    ),
    "carriage return": (
        lambda d: edit(d / "text.en", "number 2\n", "number 2\r\n"),
        "text.en:2",
        "a carriage return at the end of the line",
        "sed -i 's/\\r//g'",
    ),
    "byte order mark": (
        lambda d: edit(d / "text.en", b"a1 ", b"\xef\xbb\xbfa1 "),
        "text.en:1",
        "the file begins with a byte order mark",
        "sed -i '1s/^\\xef\\xbb\\xbf//'",
    ),
    "missing audio": (
        lambda d: (d / "audio" / "b1.wav").unlink(),
        "wav.scp:3",
        "recording b1: {dir}/audio/b1.wav: there is no such file",
        "correct the path",
    ),
    "unreadable audio": (
        lambda d: (d / "audio" / "b1.wav").write_bytes(b"this is no audio"),
        "wav.scp:3",
        "recording b1: {dir}/audio/b1.wav: cannot be read as audio",
        "fetch the file again",
    ),
    "segment outside its recording": (
        lambda d: segment(d, "talk 0.8 1.2"),
        "segments:4",
        "utterance b2: it ends at 1.2 s but recording talk at 1.000000 s",
        "clip it in local/data.py",
    ),
    "zero-length audio": (
        lambda d: audio(d, np.zeros(0)),
        "wav.scp:3",
        "recording b1: {dir}/audio/b1.wav: holds no samples",
        "drop the recording",
    ),
    "WAV header that claims too much": (
        truncate,
        "wav.scp:3",
        "the header claims 16000 samples but there are 6000",
        "use what is there through segments",
    ),
    "wrong sampling rate": (
        lambda d: audio(d, np.zeros(8000), 8000),
        "wav.scp:3",
        "its sampling rate is 8000 Hz, not 16000",
        "--resample",
    ),
    "NaN samples": (
        lambda d: audio(d, with_nan(), subtype="FLOAT"),
        "wav.scp:3",
        "sample 123 is NaN or infinite",
        "convert the file again",
    ),
    "pipe in wav.scp": (
        lambda d: edit(d / "wav.scp", f"b1 {d}/audio/b1.wav", "b1 sph2pipe -f wav b1.sph |"),
        "wav.scp:3",
        "recording b1 is a command: sph2pipe -f wav b1.sph |",
        "decode the audio to a file",
    ),
    "empty file": (
        lambda d: write(d / "utt2spk"),
        "utt2spk",
        "the file is empty",
        "write it again",
    ),
    "missing required file": (
        lambda d: (d / "utt2spk").unlink(),
        "utt2spk",
        "the file is missing",
        "local/data.py must write it",
    ),
    "segment without length": (
        lambda d: segment(d, "talk 0.8 0.8"),
        "segments:4",
        "utterance b2: it goes from 0.8 to 0.8 s",
        "the end must come after the start",
    ),
    "segment of an unknown recording": (
        lambda d: segment(d, "speech 0.8 0.9"),
        "segments:4",
        "recording speech is not in wav.scp",
        "add it there or remove this line",
    ),
    "malformed segment": (
        lambda d: segment(d, "talk 0.8"),
        "segments:4",
        "'talk 0.8' is not a recording and two times",
        "id recording start end",
    ),
    "malformed line": (
        lambda d: edit(d / "text.en", "a2 the", "a2\tthe"),
        "text.en:2",
        "is not an id, one space and a value",
        "id value",
    ),
    "text of nothing but marks without width": (
        lambda d: edit(d / "text.de", "der Baum Nummer 2", "\u200d\u2060\u00ad\ufe0f\u3164"),
        "text.de:2",
        "utterance a2 has no text",
        "drop the utterance in local/data.py",
    ),
    "id that ends in NUL": (
        lambda d: [edit(d / name, "b2 ", "b2\0 ") for name in ("wav.scp", "utt2spk", "text.en", "text.de")],
        "utt2spk:4",
        "id 'b2\\x00' holds a character that cannot be seen",
        "make ids of letters",
    ),
    "line without an end": (
        lambda d: edit(d / "text.de", "der Baum Nummer 2", "x" * (1 << 20)),
        "text.de:2",
        "the line has more than 1048576 bytes",
        "write the file again",
    ),
    "NUL in a path": (
        lambda d: edit(d / "wav.scp", "b1.wav", "b1\0.wav"),
        "wav.scp:3",
        "b1\\x00.wav: cannot be looked at (embedded null byte)",
        "correct the path",
    ),
    "Ogg that was cut in half": (
        half_an_ogg,
        "wav.scp:3",
        "before its last page",
        "fetch the file again",
    ),
    "SPHERE header with a wrong number": (
        lambda d: sphere(d, "12x"),
        "wav.scp:3",
        "its header says 'sample_count -i 12x', which is no number of samples",
        "fetch the file again",
    ),
    "file that was cut off": (
        lambda d: edit(d / "text.de", "Nummer 2\nb1 der Baum Nummer 1\nb2 der Baum Nummer 2\n", "Nummer 2\nb1 der B"),
        "text.de:3",
        "the last line has no newline",
        "write the file again",
    ),
}


def main() -> None:
    print(f"| bad input (`{COMMAND}`) | message |\n|---|---|")
    for name, (harm, *_) in CASES.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = make_good(Path(temporary) / "train")
            harm(folder)
            message = str(check(folder)[0]).replace(temporary, "data").replace("data/train/audio", "audio")
        print(f"| {name} | `{message.replace('|', chr(92) + '|')}` |")


if __name__ == "__main__":
    main()
