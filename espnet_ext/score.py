"""Score decoded test sets: WER, CER, BLEU, chrF and TER with signatures, paired significance, RESULTS.md."""

import argparse
import shlex
import sys
from pathlib import Path

from espnet_ext.infra.commands import one_line_errors
from espnet_ext.scoring.arguments import result_parser


def parse(argv: list[str]) -> argparse.Namespace:
    parser = result_parser("score", __doc__)
    parser.add_argument("--lowercase", action="store_true", help="WER and CER ignore case")
    parser.add_argument("--remove_punctuation", action="store_true", help="WER and CER ignore punctuation")
    parser.add_argument(
        "--bleu_tokenize", help="sacreBLEU tokenizer: 13a, zh, ja-mecab, char, ...; default: by the language"
    )
    parser.add_argument("--bleu_lowercase", action="store_true", help="BLEU and chrF ignore case")
    parser.add_argument(
        "--samples", type=int, default=1000, help="trials of the significance test, and resamples of the intervals"
    )
    parser.add_argument("--seed", type=int, default=12345, help="seed of the test and the intervals")
    parser.add_argument(
        "--results",
        type=Path,
        help="also write the tables to this file, such as RESULTS.md, and their figures to RESULTS.json",
    )
    options = parser.parse_args(argv)
    from espnet_ext.infra.languages import bleu_tokenizer

    options.bleu_tokenize = options.bleu_tokenize or bleu_tokenizer(options.tgt_lang)
    return options


def main(argv: list[str]) -> None:
    options = parse(argv)
    from espnet_ext.scoring.texts import ScoringError

    with one_line_errors("score", ScoringError):
        score(options, shlex.join(["python", "-m", "espnet_ext.score", *argv]))


def score(options: argparse.Namespace, command: str) -> None:
    """Score every test set, print the tables, and write RESULTS.md and RESULTS.json if asked to."""
    from espnet_ext.infra.files import atomic_open
    from espnet_ext.reporting.curve_tables import write_curve_page
    from espnet_ext.reporting.forgetting import forgetting_tables
    from espnet_ext.reporting.result_file import write_result_file
    from espnet_ext.reporting.seed_tables import seed_tables
    from espnet_ext.reporting.sweep_comparison import write_comparison_pages
    from espnet_ext.reporting.tables import as_markdown, as_text, build_table
    from espnet_ext.reporting.task_tables import task_tables
    from espnet_ext.scoring.curves import read_curves, write_curves
    from espnet_ext.scoring.metrics import Options
    from espnet_ext.scoring.results import score_test_set
    from espnet_ext.scoring.seed_scores import present_in_all, score_seeds
    from espnet_ext.scoring.sweeps import write_sweeps
    from espnet_ext.scoring.task_results import find_results

    where, found = find_results(options)
    metrics = Options(**{name: getattr(options, name) for name in Options.__dataclass_fields__})
    tables = []
    for test_set, systems in found.items():
        score_test_set(where, systems, test_set, metrics)
        tables.append(build_table(where, systems, test_set))
        if len(options.seeds) > 1:
            common = present_in_all(where, options.seeds, systems, test_set, options.allow_missing)
            score_seeds(where, options.seeds, common, test_set, metrics)
            tables += seed_tables(where, options.seeds, common, test_set)
    tables = [*task_tables(where, found), *tables, *forgetting_tables(where, found)]
    given = [test_set for test_set in found if test_set in options.test_sets]  # but for those that only tasks name
    curves = {t: read_curves(where, t) for t in given if write_curves(where, options.systems, t, metrics)}
    swept = [t for t in found if write_sweeps(where, options.seeds, options.systems, t, metrics)]
    for table in tables:
        print(as_text(table) + "\n")
    if options.results:
        write_curve_page(options.results, curves, command)
        write_comparison_pages(options.results, where, swept, command)
        title = f"Results: {options.src_lang} to {options.tgt_lang}"
        about = f"Made by `{command}`; every figure comes from `exp/<system>/<test set>/scores.json`."
        with atomic_open(options.results) as stream:
            stream.write(as_markdown(tables, title, about))
        write_result_file(options.results, command, where, found, options.seeds)
        print(f"Written to {options.results}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
