"""A task's name in words, which a text task may have before its source (OHV)."""

from typing import Any

from espnet_ext.data.tasks import Task

LANGUAGES = {"de": "German", "en": "English", "fr": "French", "ja": "Japanese", "ro": "Romanian", "tr": "Turkish"}
LANGUAGES |= {"es": "Spanish", "it": "Italian", "nl": "Dutch", "pt": "Portuguese", "ru": "Russian", "zh": "Chinese"}
SPACE, UNKNOWN = "\N{LOWER ONE EIGHTH BLOCK}", 1


def task_prefix(task: Task, parts: Any) -> list[int]:
    """The tokens of "translate from English to German"."""
    if task.reads == "speech":
        raise ValueError(
            f"condition: text: task {task.name} reads speech, and no words can stand before it; use film or input"
        )
    source, target = (LANGUAGES.get(lang, lang) for lang in (task.src, task.tgt))
    return cut(f"translate from {source} to {target}", parts.args.token_list)


def cut(text: str, tokens: list[str]) -> list[int]:
    """A text as the longest tokens from left to right: always the same, which is all that a name needs."""
    numbers = {token: i for i, token in enumerate(tokens)}
    rest, found = SPACE + text.replace(" ", SPACE), []
    while rest:
        size = next((n for n in range(len(rest), 0, -1) if rest[:n] in numbers), 1)
        found.append(numbers.get(rest[:size], UNKNOWN))
        rest = rest[size:]
    return found
