"""What the texts themselves show: that one cannot be what is said, or that it translates the English loosely."""

import re
import statistics
from collections.abc import Sequence

from prompt import Prompt

Mark = tuple[str, str, str, str]  # key, language, reason, text

SCRIPTS = {"ru": "[а-яё]", "bg": "[а-я]", "be": "[а-яёіў]", "el": "[α-ωά-ώ]"}
DAMAGED = {
    "a note in brackets": re.compile(r"[\[(<].*[\])>]"),
    "letters lost": re.compile(r"\w\?[ ]?[a-zà-ÿ]"),  # sar? esattamente
    "another key in it": re.compile(r"\s[\w/]+-[\w-]+: "),  # ... vm-then-pound: poi premere
}
LONG = 20  # characters; of shorter texts the lengths say nothing
FACTOR = 2.2  # longer or shorter than the English by so much more than is usual for the language
SENTENCE_END = re.compile(r"[.!?…]+(?:\s|$)")


def _damage(text: str, lang: str) -> str:
    """Why the text cannot be what is said; empty where nothing shows it."""
    for reason, pattern in DAMAGED.items():
        if pattern.search(text):
            return reason
    if text and lang in SCRIPTS and not re.search(SCRIPTS[lang], text.lower()):
        return "not in the script of its language"
    return ""


def damaged(prompts: Sequence[Prompt], langs: Sequence[str]) -> list[Mark]:
    """Each text that cannot be what is said, or may not be."""
    texts = [(prompt.key, lang, prompt.texts.get(lang, "")) for prompt in prompts for lang in langs]
    return [(key, lang, reason, text) for key, lang, text in texts if (reason := _damage(text, lang))]


def loose(prompts: Sequence[Prompt], langs: Sequence[str]) -> list[Mark]:
    """Each translation that is loose beside the English."""
    found = []
    for lang in (lang for lang in langs if lang != "en"):
        pairs = [(p, p.texts["en"], p.texts[lang]) for p in prompts if p.texts.get("en") and p.texts.get(lang)]
        usual = statistics.median(len(text) / len(english) for _, english, text in pairs) if pairs else 1.0
        for prompt, english, text in pairs:
            if reason := _why_loose(english, text, usual):
                found.append((prompt.key, lang, reason, text))
    return found


def _why_loose(english: str, text: str, usual: float) -> str:
    ratio = len(text) / len(english) / usual
    if max(len(english), len(text)) > LONG and not 1 / FACTOR <= ratio <= FACTOR:
        return "another length"
    if abs(_sentences(english) - _sentences(text)) > 1:
        return "another number of sentences"
    numbers = [set(re.findall(r"\d+", value)) for value in (english, text)]
    if all(numbers) and numbers[0] != numbers[1]:
        return "other numbers"
    if len(text.split()) > 1 and text.casefold() == english.casefold():
        return "not translated"
    return ""


def _sentences(text: str) -> int:
    return sum(1 for part in SENTENCE_END.split(text) if part.strip())
