"""A trained system that translates files."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from espnet_ext.data.input_files import InputError
from espnet_ext.search.long_inputs import MOST_SECONDS
from espnet_ext.translating import reading
from espnet_ext.translating.results import Piece, Translation

LONGEST = 20.0  # seconds
SORTED = 4  # batches of a long file that are read before one is decoded, so that like lengths come together


@dataclass
class _Job:
    """A file on its way: its pieces, and the error that stopped it."""

    file: str
    pieces: list[Piece] = field(default_factory=list)
    error: InputError | None = None
    is_read: bool = False


def chosen_tasks(exp: str | Path, model: Any, task: str | None) -> tuple[str, ...]:
    """The tasks that are done: this one, or all that read what the first does; none of a system without tasks."""
    if task is not None and task not in model.tasks:
        names = ", ".join(model.tasks)
        remedy = f"choose from {names}" if names else "it has only one, so leave --task out"
        raise ValueError(f"--task {task}: {exp} has no such task; {remedy}")
    if task is not None or not model.tasks:
        return (task,) if task else ()
    first = model.stream(model.streams[0])
    return tuple(s for s in model.streams if (model.stream(s).reads, model.stream(s).src) == (first.reads, first.src))


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
        task: str | None = None,
    ) -> None:
        """Recordings longer than `longest` seconds are cut at pauses; `batch_size` pieces are decoded at once.

        A system with tasks does `task`, or else those that read what its first task reads.
        """
        from espnet_ext.machine.precision import prepare
        from espnet_ext.packing.read import load

        if batch_size < 1 or not 0 < longest <= MOST_SECONDS:
            found = f"batch_size {batch_size} and longest {longest}"
            raise ValueError(f"{found}: these must be greater than 0, and longest at most {MOST_SECONDS} s")
        self.experiment = load(exp)
        config, model = self.experiment.config, self.experiment.model
        options = model.search_options(config.get("decode"))
        changes = {} if beam is None else {"beam": beam}
        chosen = chosen_tasks(exp, model, task)
        self.options = {stream: options[stream].replace(**changes) for stream in chosen or options}
        self.reads = model.stream(chosen[0]).reads if chosen else model.inputs[0]
        written = chosen or model.streams_from([self.reads])
        self.languages = {stream: self.experiment.language(stream) or stream for stream in written}
        self.reads_waveform = model.reads_waveforms
        self.reads_text = self.reads == "src_text"
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
        jobs: list[_Job] = []
        waiting: list[tuple[Piece, np.ndarray]] = []
        for file in files:
            job = _Job("", error=file) if isinstance(file, InputError) else _Job(str(file))
            jobs.append(job)
            for piece, data in () if job.error else self._read(job):
                job.pieces.append(piece)
                waiting.append((piece, data))
                if len(waiting) >= SORTED * self.batch_size:
                    self._decode_all(waiting)
            job.is_read = True
            if len(waiting) >= self.batch_size:
                self._decode_all(waiting)
            if not waiting:
                yield from self._finish(jobs)
        self._decode_all(waiting)
        yield from self._finish(jobs)

    def _read(self, job: _Job) -> Iterator[tuple[Piece, np.ndarray]]:
        """The pieces of a file, and what the model reads of each; whatever is wrong with the file ends them."""
        try:
            if self.reads_text:
                yield from reading.lines(job.file, self.experiment.src_subwords)
            else:
                yield from reading.speech(job.file, self.longest, self.reads_waveform)
        except OSError as error:
            job.error = InputError(f"{job.file}: {error.strerror or error}")
        except (ValueError, MemoryError, SystemExit) as error:  # SystemExit: ffmpeg is needed but missing
            job.error = error if isinstance(error, InputError) else InputError(str(error) or f"{job.file}: too large")

    def _decode_all(self, waiting: list[tuple[Piece, np.ndarray]]) -> None:
        """Decode the pieces that wait, like lengths together."""
        waiting.sort(key=lambda pair: len(pair[1]))
        for first in range(0, len(waiting), self.batch_size):
            chosen = waiting[first : first + self.batch_size]
            for (piece, _), texts in zip(chosen, self._decode([data for _, data in chosen]), strict=True):
                piece.texts = texts
        waiting.clear()

    def _finish(self, jobs: list[_Job]) -> Iterator[Translation | InputError]:
        """The results of the files that are done."""
        while jobs and jobs[0].is_read:
            job = jobs.pop(0)
            yield job.error or Translation(job.file, job.pieces, self.languages)

    def live(self, file: str | Path, show: Callable[[Piece], None]) -> Translation:
        """As a call, but one piece after the other, and `show` is given the piece whenever its texts may have grown."""
        job = _Job(str(file))
        for piece, data in self._read(job):
            job.pieces.append(piece)
            piece.texts = dict.fromkeys(self.languages, "")

            def grown(stream: str, tokens: list[list[int]], piece: Piece = piece) -> None:
                piece.texts[stream] = self.experiment.text(stream, tokens[0])
                show(piece)

            watched = {stream: options.watched(partial(grown, stream)) for stream, options in self.options.items()}
            piece.texts = self._decode([data], watched)[0]
            show(piece)
        if job.error:
            raise job.error
        return Translation(job.file, job.pieces, self.languages)

    def _decode(self, inputs: list[np.ndarray], options: dict[str, Any] | None = None) -> list[dict[str, str]]:
        """The text of each stream for each input."""
        from espnet_ext.data.dataset import collate
        from espnet_ext.search.decode_batch import decode_batch

        items: list[Any] = [("", {self.reads: data}) for data in inputs]
        results = decode_batch(self.model, collate(items)[1], options or self.options, self.device)
        return [
            {stream: self.experiment.text(stream, nbest[row][0].tokens) for stream, nbest in results.items()}
            for row in range(len(inputs))
        ]
