"""Whether the sets of tasks are there, with what each task reads and writes."""

from collections.abc import Mapping
from pathlib import Path

from espnet_ext.data import about
from espnet_ext.data.ark import INDEX
from espnet_ext.data.tasks import Task, TaskError


def check_sets(tasks: Mapping[str, Task], dump: Path, valid: str) -> None:
    """Refuse sets that are not there, or have not what a task reads or writes."""
    for task in tasks.values():
        for key, names in (("set", task.sets), ("valid", task.valid or (valid,))):
            for name in names:
                fault = what_lacks(task, dump / name)
                if fault:
                    raise TaskError(("tasks", task.name, key), fault)


def what_lacks(task: Task, folder: Path) -> str:
    """What a dump directory has not that a task needs, and what to do; nothing where all is there."""
    if not folder.is_dir():
        found = sorted(path.name for path in folder.parent.glob("*/") if path.name != "subwords")
        return f"there is no {folder}; choose from {', '.join(found) or 'nothing'}, or make it (stages 1 to 6)"
    if task.reads == "speech" and not (folder / INDEX).exists():
        return f"{folder} has no features, and {task.name} reads speech; set reads: text, or make them (stage 4)"
    if wrong := other_speech(task, folder):
        return f"in {folder} {wrong} is spoken, and {task.name} reads {task.src}; name another set or language"
    for lang in dict.fromkeys((task.tgt, *([task.src] if task.reads == "text" else []))):
        if not (folder / f"text.{lang}" / "meta.json").exists():
            langs = sorted(p.parent.name.removeprefix("text.") for p in folder.glob("text.*/meta.json"))
            return f"{folder} has no text in {lang}; it has {', '.join(langs) or 'none'}: name another set or language"
    return ""


def other_speech(task: Task, folder: Path) -> str | None:
    """The language that is spoken in a dump directory, where it says so and it is not the one that a task reads."""
    said = about.read_about(folder).speech if (folder / about.NAME).exists() else None
    return said if task.reads == "speech" and said not in (None, task.src) else None


def decoded_on(task: Task, folder: Path) -> bool:
    """Whether a task is decoded on this test set: by name, or as the set has what it reads and, if any, references."""
    if task.tests is not None:
        return folder.name in task.tests
    texts = {path.name for path in folder.glob("text.*")}
    if task.reads == "text" and f"text.{task.src}" not in texts:
        return False
    if task.reads == "speech" and (not (folder / INDEX).exists() or other_speech(task, folder)):
        return False
    return not texts or f"text.{task.tgt}" in texts  # a blind set has none
