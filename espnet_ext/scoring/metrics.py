"""WER and CER by jiwer, BLEU, chrF and TER by sacreBLEU: counts per utterance, and a score made of summed counts.

Shapes: N utterances, K counts of one metric, R corpora.
"""

import copy
import re
import unicodedata
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal, Protocol

import numpy as np

from espnet_ext.scoring.corpus_scores import SACREBLEU_SCORES, error_rates
from espnet_ext.scoring.latency import LAGS
from espnet_ext.scoring.texts import ScoringError

# sacreBLEU's tokenizers for scripts without spaces; TER splits these into characters
UNSPACED_TOKENIZERS = ("zh", "ja-mecab", "ko-mecab", "char")
STREAM_METRICS = {"asr": ("wer", "cer"), "st": ("bleu", "chrf", "ter"), "mt": ("bleu", "chrf", "ter")}
WRONG_LANGUAGE = "wrong_language"  # of tasks, see scoring/confusion.py
LOWER_IS_BETTER = ("wer", "cer", "ter", WRONG_LANGUAGE, *LAGS, *(f"subword_{name}" for name in LAGS))


def sign(metric: str) -> int:
    """+1 where more is better."""
    return -1 if metric in LOWER_IS_BETTER else 1


@dataclass(frozen=True)
class Options:
    """What changes a score, and so is part of its signature."""

    lowercase: bool = False  # WER and CER
    remove_punctuation: bool = False  # WER and CER
    bleu_tokenize: str = "13a"
    bleu_lowercase: bool = False  # BLEU and chrF
    samples: int = 1000  # random exchanges of two systems' outputs, and resamples of the test set
    seed: int = 12345  # of both; sacreBLEU's default


class Metric(Protocol):
    def statistics(self, hypotheses: list[Any]) -> np.ndarray:
        """(N, K) counts, whose sum over utterances gives the score of the corpus."""

    def score(self, total_K: np.ndarray) -> float: ...

    def scores(self, totals_RK: np.ndarray) -> np.ndarray:
        """(R,): `score` of many corpora at once, equal to it but for the last digits."""

    def sentence_scores(self, statistics_NK: np.ndarray) -> list[float]:
        """The score of each utterance by itself."""

    def details(self, total_K: np.ndarray) -> dict[str, Any]:
        """Figures to keep beside the score."""

    def signature(self, **resampling: int) -> str: ...


def make_metric(name: str, references: list[list[str]], options: Options) -> Metric:
    """`name` is wer, cer, bleu, chrf or ter; `references` holds one list for each set of references."""
    if name in ("wer", "cer"):
        return ErrorRate("word" if name == "wer" else "character", references, options)
    return SacrebleuMetric(name, references, options)


def without_punctuation(text: str) -> str:
    """Drop punctuation; dashes become spaces, and an apostrophe inside a word is part of the word."""
    kept = []
    for i, char in enumerate(text):
        inside = 0 < i < len(text) - 1 and text[i - 1].isalnum() and text[i + 1].isalnum()
        category = unicodedata.category(char)
        if char in "'’" and inside:
            kept.append("'")
        elif category == "Pd":
            kept.append(" ")
        elif not category.startswith("P"):
            kept.append(char)
    return " ".join("".join(kept).split())


class ErrorRate:
    """100 * (substitutions + deletions + insertions) / words (or characters), as jiwer counts."""

    def __init__(self, unit: Literal["word", "character"], references: list[list[str]], options: Options) -> None:
        self.unit = unit
        self.options = options
        self.references = [self._normalise(text) for text in references[0]]  # a transcript is one text

    def _normalise(self, text: str) -> str:
        if self.options.lowercase:
            text = text.lower()
        return without_punctuation(text) if self.options.remove_punctuation else text

    def _process(self, hypotheses: list[str]) -> Any:
        import jiwer

        process = jiwer.process_words if self.unit == "word" else jiwer.process_characters
        return process(self.references, [self._normalise(text) for text in hypotheses])

    def alignment(self, ids: list[str], hypotheses: list[str]) -> str:
        """The utterances with errors, each reference above its hypothesis, with S, D and I below."""
        import jiwer

        text = jiwer.visualize_alignment(self._process(hypotheses))
        return re.sub(r"^=== SENTENCE (\d+) ===$", lambda found: ids[int(found[1]) - 1], text, flags=re.MULTILINE)

    def statistics(self, hypotheses: list[str]) -> np.ndarray:
        result = self._process(hypotheses)
        counts_NK = np.zeros((len(hypotheses), 4))
        for i, chunks in enumerate(result.alignments):
            for chunk in chunks:
                if chunk.type == "insert":
                    counts_NK[i, 2] += chunk.hyp_end_idx - chunk.hyp_start_idx
                elif chunk.type != "equal":
                    counts_NK[i, 0 if chunk.type == "substitute" else 1] += chunk.ref_end_idx - chunk.ref_start_idx
            counts_NK[i, 3] = len(result.references[i])
        return counts_NK

    def score(self, total_K: np.ndarray) -> float:
        errors, length = total_K[:3].sum(), total_K[3]
        return float(100 * errors / length) if length else float(100 * errors)  # jiwer's definition without words

    def scores(self, totals_RK: np.ndarray) -> np.ndarray:
        return error_rates(totals_RK)

    def sentence_scores(self, statistics_NK: np.ndarray) -> list[float]:
        return [self.score(counts_K) for counts_K in statistics_NK]

    def details(self, total_K: np.ndarray) -> dict[str, Any]:
        names = ("substitutions", "deletions", "insertions", f"reference_{self.unit}s")
        return {name: int(count) for name, count in zip(names, total_K, strict=True)}

    def signature(self, **resampling: int) -> str:
        pairs = {"nrefs": 1, **resampling, "case": "lc" if self.options.lowercase else "mixed"}
        pairs |= {"punct": "no" if self.options.remove_punctuation else "yes", "unit": self.unit}
        return "|".join(f"{key}:{value}" for key, value in pairs.items()) + f"|version:jiwer-{version('jiwer')}"


class SacrebleuMetric:
    """A sacreBLEU metric by its statistics per sentence, which the significance test resamples."""

    def __init__(self, name: str, references: list[list[str]], options: Options) -> None:
        from sacrebleu.metrics import BLEU, CHRF, TER

        unspaced = options.bleu_tokenize in UNSPACED_TOKENIZERS
        self.scores = SACREBLEU_SCORES[name]
        self.metric: Any
        if name == "bleu" and options.bleu_tokenize not in BLEU.TOKENIZERS:
            known = ", ".join(sorted(BLEU.TOKENIZERS))
            raise ScoringError(f"unknown --bleu_tokenize {options.bleu_tokenize!r}; choose from {known}")
        if name == "bleu":
            tokenize, lowercase = options.bleu_tokenize, options.bleu_lowercase
            self.metric = BLEU(tokenize=tokenize, lowercase=lowercase, references=references)
        elif name == "chrf":
            self.metric = CHRF(lowercase=options.bleu_lowercase, references=references)
        else:
            self.metric = TER(normalized=unspaced, asian_support=unspaced, references=references)

    def statistics(self, hypotheses: list[str]) -> np.ndarray:
        return np.array(self.metric._extract_corpus_statistics(hypotheses, None), dtype=np.float64)

    def score(self, total_K: np.ndarray) -> float:
        return float(self.metric._compute_score_from_stats(total_K).score)

    def sentence_scores(self, statistics_NK: np.ndarray) -> list[float]:
        sentence = copy.copy(self.metric)
        sentence.effective_order = True  # sentences shorter than four words have a BLEU too; the others ignore this
        return [float(sentence._compute_score_from_stats(counts_K).score) for counts_K in statistics_NK]

    def details(self, total_K: np.ndarray) -> dict[str, Any]:
        verbose = self.metric._compute_score_from_stats(total_K.astype(np.int64).tolist())._verbose
        return {"verbose": verbose} if verbose else {}

    def signature(self, **resampling: int) -> str:
        signature = self.metric.get_signature()
        for key, value in resampling.items():
            signature.update(key, value)
        return signature.format()
