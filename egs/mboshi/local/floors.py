#!/usr/bin/env python3
"""What a system must beat: one sentence for everything, and the translation of the most similar training transcript."""

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/floors.py

from espnet_ext.files import atomic_open, read_table
from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.texts import read_references

ORDERS = 4  # of BLEU's n-grams


def read_texts(folder: Path, lang: str) -> list[str]:
    return [text for _, text in read_table(folder / f"text.{lang}")]


def best_constant(sentences: list[str]) -> str:
    """The sentence which, said for every training utterance, has the best BLEU against their translations.

    An n-gram that occurs k times in the constant matches min(k, its count) times in each reference, so it is enough to
    know for each n-gram how many references hold it at least once, twice, ...
    """
    from sacrebleu.metrics import BLEU
    from sacrebleu.metrics.helpers import extract_all_word_ngrams

    bleu = BLEU()
    counted = {text: extract_all_word_ngrams(bleu._preprocess_segment(text), 1, ORDERS) for text in set(sentences)}
    holding: dict[tuple[str, ...], list[int]] = defaultdict(list)
    words = 0
    for text, times in Counter(sentences).items():
        ngrams, length = counted[text]
        words += times * length
        for ngram, count in ngrams.items():
            held = holding[ngram]
            held += [0] * (count - len(held))
            for k in range(count):
                held[k] += times

    def score(text: str) -> float:
        ngrams, length = counted[text]
        correct = [0] * ORDERS
        for ngram, count in ngrams.items():
            correct[len(ngram) - 1] += sum(holding[ngram][:count])
        total = [max(0, length - n) * len(sentences) for n in range(ORDERS)]
        return BLEU.compute_bleu(correct, total, length * len(sentences), words, smooth_method="exp").score

    return max(sorted(counted), key=score)


def nearest(transcripts: list[str], known: list[str]) -> np.ndarray:
    """For each transcript the known one with the smallest edit distance in words, relative to the longer of the two."""
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    words = [[text.split() for text in texts] for texts in (transcripts, known)]
    return process.cdist(*words, scorer=Levenshtein.normalized_distance).argmin(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data directories")
    parser.add_argument("--train_sets", nargs="+", default=["train", "tune"], help="what may be known (train tune)")
    parser.add_argument("--test_sets", nargs="+", default=["dev", "dev_unseen"], help="sets to score (dev dev_unseen)")
    parser.add_argument("--out", type=Path, help="also write the table to this file, such as FLOORS.md")
    args = parser.parse_args()
    source, target = ([t for s in args.train_sets for t in read_texts(args.data / s, lang)] for lang in ("mb", "fr"))
    constant = best_constant(target)
    lines = ["| set | floor | BLEU | chrF |", "| --- | --- | ---: | ---: |"]
    for name in args.test_sets:
        _, references = read_references(args.data / name, "fr")
        metrics = {kind: make_metric(kind, references, Options()) for kind in ("bleu", "chrf")}
        outputs = {
            f"always '{constant}'": [constant] * len(references[0]),
            "nearest by gold transcript": [target[i] for i in nearest(read_texts(args.data / name, "mb"), source)],
        }
        for floor, texts in outputs.items():
            scores = [metric.score(metric.statistics(texts).sum(0)) for metric in metrics.values()]
            lines.append(f"| {name} ({len(texts)}) | {floor} | {scores[0]:.2f} | {scores[1]:.2f} |")
    signatures = "\n".join(f"* {kind}: `{metric.signature()}`" for kind, metric in metrics.items())
    page = "# Floors\n\nMade by `python3 local/floors.py data --out FLOORS.md`.\n\n" + "\n".join(lines)
    page += f"\n\n{signatures}\n"
    print(page)
    if args.out:
        with atomic_open(args.out) as stream:
            stream.write(page)


if __name__ == "__main__":
    main()
