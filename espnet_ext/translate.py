"""Transcribe and translate recordings with a trained system: `python -m espnet_ext.translate --exp exp/e2e FILE...`

As a library: `t = Translator("exp/e2e"); print(t("talk.wav").translation)`.
"""

import argparse
import json
import signal
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from espnet_ext.data.input_files import InputError, expand
from espnet_ext.infra.lines import visible
from espnet_ext.translating.results import Piece, Translation
from espnet_ext.translating.subtitles import KINDS, Subtitles
from espnet_ext.translating.translator import LONGEST, Translator

__all__ = ["InputError", "Piece", "Translation", "Translator", "expand"]


def show(result: Translation, as_json: bool) -> None:
    if as_json:
        text = json.dumps(result.as_json(), ensure_ascii=False)
        print(text.encode("utf-8", "backslashreplace").decode(), flush=True)  # a name need not be UTF-8
        return
    for stream, text in result.texts.items():
        for line in text.split("\n"):
            print(f"{visible(result.file)}\t{result.languages[stream]}\t{line}", flush=True)


def live_results(translator: Translator, files: Iterable[str | InputError]) -> Iterator[Translation | InputError]:
    """As `translate`, with the texts shown as they grow."""
    from espnet_ext.reporting.live import Display

    for file in files:
        try:
            if isinstance(file, InputError):
                raise file
            with Display(sys.stdout, visible(file), translator.languages) as display:
                result: Translation | InputError = translator.live(file, display.show)
        except InputError as error:
            result = error
        yield result


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m espnet_ext.translate",
        description="Transcribe and translate recordings with a trained system. Prints FILE, language and text, "
        "separated by tabs, for each text that the system writes.",
    )
    parser.add_argument("--exp", type=Path, required=True, help="folder of the system, or what espnet_ext.pack made")
    parser.add_argument("files", nargs="+", metavar="FILE", help="audio of any kind, folder, @LIST, .scp or .txt list")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="one JSON object for each file, with the times of pieces")
    kind.add_argument("--live", action="store_true", help="show the texts as they grow, piece by piece")
    for name in KINDS:
        text = f"also write subtitles to DIR/<name of FILE>.<language>.{name}"
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=text)
    parser.add_argument("--task", help="task to do, of several; default: all with the input of the first")
    parser.add_argument("--beam", type=int, help="hypotheses in the search; default: from the system's configuration")
    parser.add_argument("--batch_size", type=int, default=16, help="pieces decoded at once (16)")
    parser.add_argument(
        "--longest", type=float, default=LONGEST, help=f"seconds; longer recordings are cut at pauses ({LONGEST:g})"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    try:
        names = ("beam", "batch_size", "longest", "device", "task")
        translator = Translator(args.exp, **{name: getattr(args, name) for name in names})
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    writers = [Subtitles(folder, kind) for kind in KINDS if (folder := getattr(args, kind))]
    if writers and translator.reads_text:
        sys.exit(f"error: {args.exp} translates text, which has no times; subtitles need recordings")
    failed = False
    files = expand(args.files, translator.reads_text)
    for result in live_results(translator, files) if args.live else translator.translate(files):
        try:
            if isinstance(result, InputError):
                raise result
            if not args.live:
                show(result, args.json)
            for writer in writers:
                writer.write(result)
        except (ValueError, OSError) as error:
            print(f"error: {visible(str(error))}", file=sys.stderr, flush=True)
            failed = True
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    for ending in (signal.SIGPIPE, signal.SIGINT):
        signal.signal(ending, signal.SIG_DFL)  # `| head` and Ctrl-C end it without a traceback
    main()
