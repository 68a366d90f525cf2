"""What systems with tasks wrote: the kind and the languages of each task, and the test sets that only tasks have."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace

from espnet_ext.data.tasks import READS
from espnet_ext.infra.streams import STREAMS, Stream
from espnet_ext.scoring.results import Experiments, present, read_json
from espnet_ext.scoring.texts import ScoringError, with_references


def with_tasks(where: Experiments, systems: Sequence[str], test_sets: Sequence[str]) -> Experiments:
    """The same experiments, with the tasks that decoding says were written there."""
    found: dict[str, tuple[Stream, str]] = {}  # and a system that has it
    plain: dict[str, str] = {}
    learners = []
    for system in systems:
        for test_set in test_sets:
            path = where.result(system, test_set) / "decode.json"
            tasks = read_json(path).get("tasks") if path.exists() else None
            if tasks is None:
                plain |= {name: system for name in STREAMS if (path.parent / f"hyp.{name}").exists()}
            learners += [system] if tasks else []
            for name, said in (tasks or {}).items():
                reads = READS["text" if said["kind"] == "mt" else "speech"]
                stream = Stream(said["kind"], reads, "text", said["src"], said["tgt"])
                other, of = found.setdefault(name, (stream, system))
                if other != stream:
                    refuse(name, of, other, system, stream)
    for name, system in plain.items():
        own = replace(STREAMS[name], writes="text", src=where.src_lang, tgt=where.language(name))
        if name in found and found[name][0] != own:
            stream, of = found[name]
            refuse(name, of, stream, system, own)
    tasks = {name: stream for name, (stream, _) in found.items()}
    return replace(where, tasks=tasks, learners=tuple(dict.fromkeys(learners)))


def refuse(name: str, one: str, first: Stream, other: str, second: Stream) -> None:
    """Two systems mean different things by one name: their scores would stand in one column."""
    raise ScoringError(
        f"{name}: in {one} it is {first.kind} from {first.src} to {first.tgt}, in {other} {second.kind} from "
        f"{second.src} to {second.tgt}; name the task of one of them otherwise, or score them apart"
    )


def find_results(options: Namespace) -> tuple[Experiments, dict[str, list[str]]]:
    """Where the results are that a command is asked for, and the systems of each test set that can be scored."""
    where = Experiments(options.exp, options.data, options.src_lang, options.tgt_lang)
    sets = with_references(options.data, [*options.test_sets, *options.task_sets])
    where, found = with_tasks(where, options.systems, sets), {}
    for test_set in sets:
        systems = options.systems
        if test_set not in options.test_sets:  # only tasks name it
            systems = [s for s in systems if (where.result(s, test_set) / "decode.json").exists()]
        if systems := present(where, systems, test_set, options.allow_missing):
            found[test_set] = systems
    return where, found
