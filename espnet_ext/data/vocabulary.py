"""The one vocabulary of a system with tasks: of which languages, and from the text of which sets."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from espnet_ext.data.tasks import Task, TaskError, derived_of, listed, read_tasks


@dataclass(frozen=True)
class Vocabulary:
    """The one vocabulary of all tasks: its languages, and the sets whose text it is learned from."""

    langs: tuple[str, ...]
    sets: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its folder: the languages, and a mark of the sets, as another choice of them is another vocabulary."""
        digest = hashlib.sha256(" ".join(self.sets).encode()).hexdigest()[:6]
        return f"{'-'.join(self.langs)}_{digest}"


def vocabulary_of(config: Mapping[str, Any]) -> Vocabulary | None:
    """What `vocabulary:` says, or else what the tasks ask for; None of a system without tasks.

    Systems that take parts of one another say the same: `vocabulary: {langs: [de, en], sets: [train, mt_train]}`.
    """
    tasks = read_tasks(config)
    if not tasks:
        return None
    said = config.get("vocabulary") or {}
    unknown = [key for key in said if key not in ("langs", "sets")]
    if unknown:
        raise TaskError(["vocabulary", str(unknown[0])], "unknown key; choose from langs, sets")
    langs = listed(said.get("langs"), ("vocabulary", "langs")) or tuple(languages_of(tasks))
    missing = [lang for lang in languages_of(tasks) if lang not in langs]
    if missing:
        raise TaskError(["vocabulary", "langs"], f"lacks {', '.join(missing)}, which tasks read or write; add it")
    theirs = {name for task in tasks.values() for name in task.sets} - derived_of(config).keys()
    sets = listed(said.get("sets"), ("vocabulary", "sets")) or tuple(theirs)
    if not sets:
        raise TaskError(["vocabulary", "sets"], "all tasks learn from derived sets; name other sets")
    return Vocabulary(tuple(sorted(langs)), tuple(sorted(sets)))


def languages_of(tasks: Mapping[str, Task]) -> list[str]:
    """All that are read or written as text, sorted."""
    texts = {task.tgt for task in tasks.values()} | {task.src for task in tasks.values() if task.reads == "text"}
    return sorted(texts)
