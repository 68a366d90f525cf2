#!/usr/bin/env python3
"""What a system must beat: one sentence for everything, and the translation of the most similar training transcript.

With --systems, what decoded systems say stands beside it.
"""

import argparse
import shlex
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))  # so that it also runs alone, as python3 local/floors.py

from espnet_ext.infra.files import atomic_open, read_table
from espnet_ext.scoring.metrics import Options, make_metric
from espnet_ext.scoring.significance import TEST, Draws, compare_systems
from espnet_ext.scoring.texts import ScoringError, read_hypotheses, read_references

ORDERS = 4  # of BLEU's n-grams
Rows = list[list[str]]


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


def read_systems(exp: Path, names: list[str], test_set: str, ids: list[str]) -> dict[str, list[str]]:
    """What each system has translated: speech, or the correct transcript where it cannot translate speech."""
    outputs = {}
    for name in names:
        folder = exp / name / test_set
        stream, title = "st", name
        if not (folder / "hyp.st").exists():
            stream, title = "mt", f"{name} of the correct transcript"
        outputs[title] = read_hypotheses(folder / f"hyp.{stream}", ids)
    return outputs


def compare(references: list[list[str]], outputs: dict[str, list[str]], floors: list[str]) -> tuple[Rows, list[str]]:
    """Name, BLEU, chrF, and the p of the difference in BLEU from each floor, for every output; and the signatures."""
    options = Options()
    draws = Draws.make(len(references[0]), options.samples, options.seed)
    made = []
    for kind in ("bleu", "chrf"):
        metric = make_metric(kind, references, options)
        statistics = {name: metric.statistics(texts) for name, texts in outputs.items()}
        made.append(compare_systems(metric, statistics, draws))
    rows = []
    for name in outputs:
        ps = [made[0]["p"][name].get(floor) for floor in floors]
        scores = [f"{compared['systems'][name]['score']:.2f}" for compared in made]
        rows.append([name, *scores, *("-" if p is None else f"{p:.3f}" for p in ps)])
    return rows, [compared["signature"] for compared in made]


def make_page(args: argparse.Namespace) -> str:
    """The table, with how to make it again."""
    source, target = ([t for s in args.train_sets for t in read_texts(args.data / s, lang)] for lang in ("mb", "fr"))
    constant = best_constant(target)
    floors = [f"always '{constant}'", "nearest by gold transcript"]
    lines = ["| set | output | BLEU | chrF | p against always | p against nearest |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: |")
    for name in args.test_sets:
        ids, references = read_references(args.data / name, "fr")
        closest = [target[i] for i in nearest(read_texts(args.data / name, "mb"), source)]
        outputs = dict(zip(floors, ([constant] * len(ids), closest), strict=True))
        outputs |= read_systems(args.exp, args.systems, name, ids)
        rows, signatures = compare(references, outputs, floors)
        lines += [f"| {name} ({len(ids)}) | {' | '.join(row)} |" for row in rows]
    command = shlex.join(["python3", "local/floors.py", *sys.argv[1:]])
    about = f"# Floors\n\nMade by `{command}`. p: {TEST}, of the difference in BLEU.\n"
    notes = [f"* {kind}: `{text}`" for kind, text in zip(("bleu", "chrf"), signatures, strict=True)]
    return "\n".join([about, *lines, "", *notes, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the data directories")
    parser.add_argument("--train_sets", nargs="+", default=["train", "tune"], help="what may be known (train tune)")
    parser.add_argument("--test_sets", nargs="+", default=["dev", "dev_unseen"], help="sets to score (dev dev_unseen)")
    parser.add_argument("--exp", type=Path, default=Path("exp"), help="folder of the experiments (exp)")
    parser.add_argument("--systems", nargs="*", default=[], help="decoded systems to compare with the floors (none)")
    parser.add_argument("--out", type=Path, help="also write the table to this file, such as FLOORS.md")
    args = parser.parse_args()
    try:
        page = make_page(args)
    except (ScoringError, FileNotFoundError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    print(page)
    if args.out:
        with atomic_open(args.out) as stream:
            stream.write(page)


if __name__ == "__main__":
    main()
