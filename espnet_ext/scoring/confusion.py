"""In which language each output is: what systems with tasks confuse first (Table 1 of the task-aware paper)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from espnet_ext.data.tasks import Task, read_tasks
from espnet_ext.infra.files import read_table
from espnet_ext.scoring.language_id import LONGEST, LanguageId


@dataclass(frozen=True)
class Languages:
    """What tells languages apart, and how often it is right on the texts of validation, in per cent."""

    known: LanguageId
    accuracy: Mapping[str, float]


def languages_of(data: Path, experiments: Iterable[Path]) -> Languages | None:
    """Learned from the training texts of the tasks of systems; None where there is but one language."""
    training: dict[str, set[str]] = {}
    validation: dict[str, set[str]] = {}
    for folder in experiments:
        tasks, valid = tasks_of(folder / "config.yaml")
        for task in tasks:
            for lang in {task.src, task.tgt}:
                training.setdefault(lang, set()).update(task.sets)
                validation.setdefault(lang, set()).update(task.valid or (valid,))
    texts = {lang: there(data, lang, names) for lang, names in sorted(training.items())}
    texts = {lang: paths for lang, paths in texts.items() if paths}
    if len(texts) < 2:
        return None
    return learn(tuple(texts.items()), tuple((lang, there(data, lang, validation[lang])) for lang in texts))


def tasks_of(config: Path) -> tuple[list[Task], str]:
    """The tasks of a trained system, and the set that it was validated on."""
    said = yaml.safe_load(config.read_text(encoding="utf-8")) if config.exists() else {}
    return [*read_tasks(said).values()], Path(said.get("valid_dump") or "dev").name


def there(data: Path, lang: str, names: Iterable[str]) -> tuple[Path, ...]:
    """The texts in a language that these sets have."""
    return tuple(path for path in (data / name / f"text.{lang}" for name in sorted(names)) if path.exists())


@cache
def learn(training: tuple[tuple[str, tuple[Path, ...]], ...], validation: tuple[Any, ...]) -> Languages:
    """Once for all the test sets and streams of a command."""
    known = LanguageId({lang: lines(paths) for lang, paths in training})
    accuracy = {}
    for lang, paths in validation:
        right = [known.best(text) == lang for text in lines(paths)]
        if right:
            accuracy[lang] = 100 * sum(right) / len(right)
    return Languages(known, accuracy)


def lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from (text for _, text in read_table(path))


class WrongLanguage:
    """100 * outputs in another language than the task's / outputs; one that says nothing of its language is not."""

    def __init__(self, languages: Languages, wanted: str) -> None:
        self.languages, self.wanted = languages, wanted

    def statistics(self, hypotheses: list[str]) -> np.ndarray:
        found = [self.languages.known.best(text) for text in hypotheses]
        return np.array([[lang not in (None, self.wanted), 1] for lang in found], float).reshape(-1, 2)

    def score(self, total_K: np.ndarray) -> float:
        return float(100 * total_K[0] / max(total_K[1], 1))

    def scores(self, totals_RK: np.ndarray) -> np.ndarray:
        return 100 * totals_RK[:, 0] / np.maximum(totals_RK[:, 1], 1)

    def sentence_scores(self, statistics_NK: np.ndarray) -> list[float]:
        return [self.score(counts_K) for counts_K in statistics_NK]

    def details(self, total_K: np.ndarray) -> dict[str, Any]:
        return {"in_another_language": int(total_K[0])}

    def signature(self, **resampling: int) -> str:
        right = ",".join(f"{lang} {share:.1f}" for lang, share in self.languages.accuracy.items())
        pairs = {**resampling, "ngrams": f"1-{LONGEST}", "right_on_validation": right}
        return "|".join(f"{key}:{value}" for key, value in pairs.items())
