"""Make one self-contained HTML page of a recipe's results: tables, curves, and every utterance with its audio."""

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet_ext.infra.commands import one_line_errors
from espnet_ext.scoring.arguments import result_parser


def parse(argv: list[str]) -> argparse.Namespace:
    parser = result_parser("report", __doc__)
    parser.add_argument("--out", type=Path, default=Path("report.html"), help="page to write")
    parser.add_argument("--max_audio", type=int, default=5000, help="most utterances with audio per test set")
    parser.add_argument("--attention", type=str.split, default=[], help="ids of utterances whose attention is drawn")
    parser.add_argument("--dump", type=Path, default=Path("dump"), help="directory of the features, for --attention")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    options = parse(argv)
    from espnet_ext.data.audio import AudioError
    from espnet_ext.scoring.texts import ScoringError
    from espnet_ext.training.errors import TrainError

    with one_line_errors("report", AudioError, ScoringError, TrainError):
        make_report(options, shlex.join(["python", "-m", "espnet_ext.report", *argv]))


def make_report(options: argparse.Namespace, command: str) -> None:
    """Write the page, unless it is there and nothing that it shows has changed."""
    from espnet_ext.data.read_datadir import fingerprints, spans
    from espnet_ext.infra.files import atomic_open
    from espnet_ext.infra.stamps import Stamp
    from espnet_ext.reporting.embeddings import embedding_files, pictures
    from espnet_ext.reporting.forgetting import forgetting_tables
    from espnet_ext.reporting.page import PAGE, write_page
    from espnet_ext.reporting.payload import build_payload, page_inputs
    from espnet_ext.reporting.seed_tables import seed_tables
    from espnet_ext.reporting.sweep_comparison import comparison_tables, comparisons
    from espnet_ext.reporting.tables import build_table
    from espnet_ext.reporting.task_tables import task_tables
    from espnet_ext.scoring.seed_scores import present_in_all, seeds_file
    from espnet_ext.scoring.task_results import find_results

    where, systems = find_results(options)
    if not systems:
        print(f"{options.out}: nothing is scored, so there is nothing to show", file=sys.stderr)
        return
    inputs = page_inputs(where, systems) + sorted(PAGE.iterdir()) + embedding_files(where.exp, options.systems)
    if len(options.seeds) > 1:
        inputs += [path for path in (seeds_file(where, test_set) for test_set in systems) if path.exists()]
    audio = fingerprints(span.path for test_set in systems for span in spans(options.data / test_set))
    stamp = Stamp(options.out, inputs, systems=systems, most=options.max_audio, command=command, audio=audio)
    if stamp.is_current():
        return
    payload = build_payload(where, systems, options.max_audio)
    if options.attention:
        _add_attention(options, payload)
    tables = []
    for test_set in systems:
        tables.append(build_table(where, systems[test_set], test_set))
        if len(options.seeds) > 1:
            common = present_in_all(where, options.seeds, systems[test_set], test_set, options.allow_missing)
            tables += seed_tables(where, options.seeds, common, test_set)
    swept = [table for name in systems for one in comparisons(where, name) for table in comparison_tables(one)]
    tables = [*task_tables(where, systems), *tables, *swept, *forgetting_tables(where, systems)]
    shown = pictures(where.exp, where.data, options.systems)
    with stamp.making(), atomic_open(options.out) as stream:
        write_page(stream, _words(options, payload, command), tables, payload, _clips(options.data, payload), shown)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB; open it in a browser", file=sys.stderr)


def _words(options: argparse.Namespace, payload: dict[str, Any], command: str) -> dict[str, str]:
    folders = options.exp.resolve().parents
    recipe = next((folder for folder in folders if (folder / "run.sh").exists()), folders[0]).name
    sizes = []
    for test_set in payload["sets"]:
        hours = f", {sum(test_set['seconds']) / 3600:.1f} h" if test_set["seconds"] else ""
        sizes.append(f"{test_set['name']}: {len(test_set['ids']):,} utterances{hours}")
    title = f"{recipe}: {options.src_lang} to {options.tgt_lang}"
    return {"title": title, "subtitle": "; ".join([f"{len(options.systems)} systems", *sizes]), "command": command}


def _add_attention(options: argparse.Namespace, payload: dict[str, Any]) -> None:
    """Give each test set that holds one of the wanted utterances its pictures: {utterance: {system: address}}."""
    import base64

    from espnet_ext.reporting.attention import attention_pictures
    from espnet_ext.scoring.texts import ScoringError

    known = {key for test_set in payload["sets"] for key in test_set["ids"]}
    strange = [key for key in options.attention if key not in known]
    if strange:
        raise ScoringError(f"--attention {strange[0]!r}: no such utterance in {', '.join(options.test_sets)}")
    for test_set in payload["sets"]:
        wanted = [key for key in options.attention if key in set(test_set["ids"])]
        shown: dict[str, dict[str, str]] = {key: {} for key in wanted}
        for system in test_set["speed"] if wanted else ():
            pictures = attention_pictures(options.exp, system, test_set["name"], options.dump, wanted)
            for key, picture in pictures.items():
                shown[key][system] = "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
        test_set["attention"] = shown


def _clips(data: Path, payload: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(element id, base64) of each clip, with a progress bar."""
    from espnet_ext.infra.bars import progress_bar
    from espnet_ext.reporting.clips import encoded_clips

    for number, test_set in enumerate(payload["sets"]):
        ids = test_set["ids"][: test_set["audio"]]
        place = {key: i for i, key in enumerate(ids)}
        bar = progress_bar(len(ids), f"audio of {test_set['name']}", "utt")
        with bar:
            for key, encoded in encoded_clips(data / test_set["name"], ids):
                bar.update()
                yield f"clip-{number}-{place[key]}", encoded


if __name__ == "__main__":
    main(sys.argv[1:])
