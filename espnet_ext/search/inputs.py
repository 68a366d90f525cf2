"""What a system reads of a test set: features, waveforms or text, by position in the order of ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_ext.data.ark import INDEX
from espnet_ext.data.dataset import SpeechTextData
from espnet_ext.data.task_sets import decoded_on
from espnet_ext.espnet.experiment import Experiment
from espnet_ext.espnet.inputs import Sentences, Waveforms
from espnet_ext.models._base import BaseModel

FRAMES, SAMPLES = 100, 16000  # per second of features and of waveforms


def groups(dump: Path, experiment: Experiment) -> list[tuple[str, ...]]:
    """The tasks that are decoded on a set, those together that read the same; of a system without tasks [()]."""
    tasks = experiment.model.tasks
    if not tasks:
        return [()]
    found: dict[tuple[str, str], list[str]] = {}
    for name, task in tasks.items():
        if decoded_on(task, dump):
            found.setdefault((task.reads, task.src), []).append(name)
    return [tuple(names) for names in found.values()]


def chosen_tasks(names: Sequence[str], experiment: Experiment) -> tuple[str, ...]:
    """The tasks that a user names, which must be there and read the same."""
    tasks = experiment.model.tasks
    for name in names:
        if name not in tasks:
            remedy = f"choose from {', '.join(tasks)}" if tasks else "it has none, so leave this option out"
            raise ValueError(f"--tasks {name}: {experiment.folder} has no such task; {remedy}")
    if len({(tasks[name].reads, tasks[name].src) for name in names}) > 1:
        reads = ", ".join(f"{name} {tasks[name].reads} in {tasks[name].src}" for name in names)
        raise ValueError(f"--tasks {' '.join(names)}: these read different things ({reads}); give those of one kind")
    return tuple(names)


def open_data(dump: Path, experiment: Experiment, src_lang: str | None = None, streams: tuple[str, ...] = ()) -> Any:
    """What the system, or these tasks of it, reads of the set, by position in the order of ids."""
    config, names = experiment.config, given_inputs(dump, experiment, streams)
    if names[0] == "speech" and experiment.model.reads_waveforms:
        return Waveforms(dump)
    if names[0] == "src_text" and not config.get("src_lang"):  # a text system of ESPnet's
        return Sentences(dump, src_lang, experiment.src_subwords)
    languages = config.get("src_lang"), config.get("tgt_lang")
    if streams:
        languages = experiment.model.tasks[streams[0]].src, experiment.model.tasks[streams[0]].tgt
    return SpeechTextData(dump, *languages, experiment.src_subwords, experiment.tgt_subwords, names=names)


def given_inputs(dump: Path, experiment: Experiment, streams: tuple[str, ...] = ()) -> list[str]:
    """What the system reads, the size of batches first; if it can do with less, what of it the set has."""
    model = experiment.model
    if streams:
        return [model.stream(streams[0]).reads]
    if len(model.inputs) == 1:
        return list(model.inputs)
    speech = "wav.scp" if model.reads_waveforms else INDEX
    places = {"speech": speech, "src_text": f"text.{experiment.config['src_lang']}/meta.json"}
    names = [name for name in model.inputs if (dump / places[name]).exists()]
    if not names:
        raise FileNotFoundError(f"{dump}: has none of {', '.join(places.values())}; make it (stages 4 and 6)")
    return names


def units_per_second(model: BaseModel, name: str) -> int:
    """Of what the system reads: samples or frames; text is counted as frames are."""
    return SAMPLES if name == "speech" and model.reads_waveforms else FRAMES
