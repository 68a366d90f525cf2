"""Transcribe and translate recordings with a trained system: `python -m espnet_ext.translate --exp exp/e2e FILE...`

As a library: `t = Translator("exp/e2e"); print(t("talk.wav").translation)`.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data.audio import AudioError, read
from espnet_ext.data.input_files import InputError, expand
from espnet_ext.data.pauses import cut
from espnet_ext.infra.languages import is_spaced
from espnet_ext.infra.streams import STREAMS

RATE = 16000
LONGEST = 20.0  # seconds


@dataclass
class Piece:
    """A part of a recording, or a line of text, and what the system made of it: the text of each stream."""

    start: float | None
    end: float | None
    texts: dict[str, str] = field(default_factory=dict)


@dataclass
class Translation:
    """All that a system writes for one file. Streams: asr is the transcript, st or mt the translation."""

    file: str
    pieces: list[Piece]
    languages: dict[str, str]  # stream -> language

    @property
    def texts(self) -> dict[str, str]:
        """The text of each stream, its pieces joined in order."""
        timed = all(piece.start is not None for piece in self.pieces)
        joined = {}
        for stream, language in self.languages.items():
            between = "\n" if not timed else " " if is_spaced(language) else ""
            joined[stream] = between.join(text for piece in self.pieces if (text := piece.texts[stream]) or not timed)
        return joined

    @property
    def transcript(self) -> str | None:
        return self.texts.get("asr")

    @property
    def translation(self) -> str | None:
        return self.texts.get("st", self.texts.get("mt"))

    def as_json(self) -> dict[str, Any]:
        pieces = [{"start": p.start, "end": p.end, **p.texts} for p in self.pieces]
        return {"file": self.file, "languages": self.languages, **self.texts, "pieces": pieces}


@dataclass
class _Job:
    """A file on its way: its pieces and what the model reads of each, or the error that stopped it."""

    file: str
    pieces: list[Piece] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)
    error: InputError | None = None


class Translator:
    """A trained system, from its folder or a packed file; call it with a file."""

    def __init__(
        self,
        exp: str | Path,
        *,
        beam: int | None = None,
        batch_size: int = 16,
        longest: float = LONGEST,
        device: str = "cpu",
    ) -> None:
        """Recordings longer than `longest` seconds are cut at pauses; `batch_size` pieces are decoded at once."""
        from espnet_ext.machine.precision import prepare
        from espnet_ext.pack import load

        if batch_size < 1 or longest <= 0:
            raise ValueError(f"batch_size {batch_size} and longest {longest} must be greater than 0")
        self.experiment = load(exp)
        config, model = self.experiment.config, self.experiment.model
        options = model.search_options(config.get("decode"))
        changes = {} if beam is None else {"beam": beam}
        self.options = {stream: value.replace(**changes) for stream, value in options.items()}
        written = model.streams_from(model.inputs[:1])
        named = {stream: STREAMS[stream].of(config["src_lang"], config["tgt_lang"]) for stream in written}
        self.languages = {stream: language or stream for stream, language in named.items()}
        reader = getattr(model, model.composed_of[0]) if model.composed_of else model
        self.reads_waveform = getattr(reader, "frontend", None) is not None  # some systems of ESPnet do
        self.model: Any = prepare(model, "fp32", device)
        self.batch_size, self.longest, self.device = batch_size, longest, device

    def __call__(self, file: str | Path) -> Translation:
        """What the system writes for one file; raises InputError where it cannot be read."""
        result = next(self.translate([file]))
        if isinstance(result, InputError):
            raise result
        return result

    def translate(self, files: "Iterable[str | Path | InputError]") -> Iterator[Translation | InputError]:
        """The result of each file, in order; a file that cannot be read gives its error, and the others go on."""
        waiting: list[_Job] = []
        for file in files:
            waiting.append(_Job("", error=file) if isinstance(file, InputError) else self._open(file))
            if sum(len(job.pieces) for job in waiting) >= self.batch_size:
                yield from self._finish(waiting)
                waiting = []
        yield from self._finish(waiting)

    def _open(self, file: str | Path) -> _Job:
        job = _Job(str(file))
        try:
            if self.model.inputs[0] == "speech":
                self._add_speech(job)
            else:
                self._add_lines(job)
        except (AudioError, InputError, OSError, SystemExit) as error:  # SystemExit: ffmpeg is needed but missing
            job.error = InputError(" ".join(str(error).split()))
        return job

    def _add_speech(self, job: _Job) -> None:
        from espnet_ext.data.fbank import compute, window_samples

        samples = read(job.file, rate=RATE)
        if len(samples) < window_samples(RATE):
            raise InputError(f"{job.file}: holds {len(samples) / RATE:.3f} s of sound; at least 0.025 s are needed")
        if not np.isfinite(samples).all():
            raise InputError(f"{job.file}: holds samples that are NaN or infinite; convert it again")
        for start, end in cut(samples, RATE, self.longest):
            job.pieces.append(Piece(round(start, 3), round(end, 3)))
            part = samples[round(start * RATE) : round(end * RATE)]
            job.inputs.append(part if self.reads_waveform else compute(part, RATE))

    def _add_lines(self, job: _Job) -> None:
        """A text system translates the lines of a text file."""
        try:
            lines = Path(job.file).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise InputError(f"{job.file}: is not UTF-8 text, which this system translates") from None
        if not any(line.strip() for line in lines):
            raise InputError(f"{job.file}: holds no text")
        for line in lines:
            job.pieces.append(Piece(None, None))
            job.inputs.append(np.array(self.experiment.src_subwords.encode(line), dtype=np.int64))

    def _finish(self, jobs: list[_Job]) -> Iterator[Translation | InputError]:
        """Decode the pieces of these files, like lengths together."""
        pieces = [piece for job in jobs for piece in job.pieces]
        inputs = [data for job in jobs for data in job.inputs]
        order = sorted(range(len(pieces)), key=lambda i: len(inputs[i]))
        for first in range(0, len(order), self.batch_size):
            chosen = order[first : first + self.batch_size]
            for i, texts in zip(chosen, self._decode([inputs[i] for i in chosen]), strict=True):
                pieces[i].texts = texts
        for job in jobs:
            yield job.error or Translation(job.file, job.pieces, self.languages)

    def live(self, file: str | Path, show: Callable[[Piece], None]) -> Translation:
        """As a call, but one piece after the other, and `show` is given the piece whenever its texts may have grown."""
        job = self._open(file)
        if job.error:
            raise job.error
        for piece, data in zip(job.pieces, job.inputs, strict=True):
            piece.texts = dict.fromkeys(self.languages, "")

            def grown(stream: str, tokens: list[list[int]], piece: Piece = piece) -> None:
                piece.texts[stream] = self.experiment.text(stream, tokens[0])
                show(piece)

            watched = {stream: options.watched(partial(grown, stream)) for stream, options in self.options.items()}
            piece.texts = self._decode([data], watched)[0]
            show(piece)
        return Translation(job.file, job.pieces, self.languages)

    def _decode(self, inputs: list[np.ndarray], options: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """The text of each stream for each input."""
        from espnet_ext.data.dataset import collate
        from espnet_ext.decode import decode_batch

        items: list[Any] = [("", {self.model.inputs[0]: data}) for data in inputs]
        results = decode_batch(self.model, collate(items)[1], options or self.options, self.device)
        return [
            {stream: self.experiment.text(stream, nbest[row][0].tokens) for stream, nbest in results.items()}
            for row in range(len(inputs))
        ]


def show(result: Translation, as_json: bool) -> None:
    if as_json:
        print(json.dumps(result.as_json(), ensure_ascii=False), flush=True)
        return
    for stream, text in result.texts.items():
        for line in text.split("\n"):
            print(f"{result.file}\t{result.languages[stream]}\t{line}", flush=True)


def live_results(translator: Translator, files: Iterable[str | InputError]) -> Iterator[Translation | InputError]:
    """As `translate`, with the texts shown as they grow."""
    from espnet_ext.reporting.live import Display

    for file in files:
        try:
            if isinstance(file, InputError):
                raise file
            with Display(sys.stdout, file, translator.languages) as display:
                result: Translation | InputError = translator.live(file, display.show)
        except InputError as error:
            result = error
        yield result


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m espnet_ext.translate",
        description="Transcribe and translate recordings with a trained system. Prints FILE, language and text, "
        "separated by tabs, for each text that the system writes.",
    )
    parser.add_argument("--exp", type=Path, required=True, help="folder of the system, or what espnet_ext.pack made")
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio of any kind, folder, @LIST, .scp or .txt list")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="one JSON object for each file, with the times of pieces")
    kind.add_argument("--live", action="store_true", help="show the texts as they grow, one piece after the other")
    parser.add_argument("--beam", type=int, help="hypotheses in the search; default: as the system's configuration")
    parser.add_argument("--batch_size", type=int, default=16, help="pieces decoded at once (16)")
    parser.add_argument(
        "--longest", type=float, default=LONGEST, help=f"longer recordings are cut at pauses, seconds ({LONGEST:g})"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    try:
        translator = Translator(
            args.exp, beam=args.beam, batch_size=args.batch_size, longest=args.longest, device=args.device
        )
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    text = translator.model.inputs[0] == "src_text"
    failed = False
    files = expand(args.files, text)
    for result in live_results(translator, files) if args.live else translator.translate(files):
        if isinstance(result, InputError):
            print(f"error: {result}", file=sys.stderr, flush=True)
            failed = True
        elif not args.live:
            show(result, args.json)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    for ending in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(ending, signal.SIG_DFL)  # `| head` and Ctrl-C end it without a traceback
    main()
