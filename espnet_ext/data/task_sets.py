"""Whether the sets of tasks are there, with what each task reads and writes."""

from collections.abc import Mapping
from pathlib import Path

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
        return f"{folder} has no features, and {task.name} reads speech; say reads: text, or make them (stage 4)"
    for lang in dict.fromkeys((task.tgt, *([task.src] if task.reads == "text" else []))):
        if not (folder / f"text.{lang}" / "meta.json").exists():
            langs = sorted(p.parent.name.removeprefix("text.") for p in folder.glob("text.*/meta.json"))
            return f"{folder} has no text in {lang}; it has {', '.join(langs) or 'none'}: name another set or language"
    return ""
