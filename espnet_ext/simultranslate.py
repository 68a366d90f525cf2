"""Translate what is still being typed or spoken: `python -m espnet_ext.simultranslate --exp exp/mt --rule le --d 4`"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from espnet_ext.simul.keyboard import Step, characters, steps, unbuffered_terminal

REUSE = ("none", "decoder", "encoder")
CHUNK = 0.32  # seconds of a recording that are heard at a time


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m espnet_ext.simultranslate",
        description="Translate text while it is typed or comes through a pipe, or a recording while it plays. A "
        "terminal shows the growing translation, its final words in bold, and the lag. Without a terminal, each line "
        "gives one line; a word is written as soon as it is final.",
    )
    parser.add_argument(
        "--exp", type=Path, required=True, help="folder or pack of an mt, simultaneous or (for --wav) pipeline system"
    )
    parser.add_argument("--rule", help="when to write: waitk, le or greedy; default: the system's rule, or le")
    parser.add_argument("--d", type=float, help="for le: tokens by which the translation stays shorter than the source")
    parser.add_argument("--k", type=int, help="for waitk: tokens by which the translation stays behind the source")
    parser.add_argument("--rho", type=float, help="for sl: read on if the probability of reading is above this")
    parser.add_argument("--reuse", choices=REUSE, help="states to keep, not recompute; default: the system's")
    parser.add_argument("--wav", metavar="FILE", help="a recording in any audio format, instead of text")
    parser.add_argument("--asr", type=Path, metavar="EXP", help="recogniser for --wav; a pipeline has its own")
    chunk_help = f"seconds of the recording that are heard at a time ({CHUNK:g})"
    parser.add_argument("--chunk", type=float, default=CHUNK, metavar="S", help=chunk_help)
    parser.add_argument("--fast", action="store_true", help="do not wait for the recording to play")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser


def rule_options(args: argparse.Namespace) -> dict[str, Any]:
    given = {name: getattr(args, name) for name in ("d", "k", "rho") if getattr(args, name) is not None}
    if "d" in given and given["d"] == int(given["d"]):
        given["d"] = int(given["d"])  # of le they are tokens
    return given


def follow_text(live: Any, typed: Iterable[Step], view: Any) -> None:
    """Translate line after line."""
    from espnet_ext.infra.languages import count_units, text_unit
    from espnet_ext.search.long_inputs import MOST_TOKENS
    from espnet_ext.simul.lateness import Lateness

    growing, lateness, unit = live.begin(), Lateness(), text_unit(live.langs[0])
    for step in typed:
        if step.read is not None and (step.read.strip() or step.last):
            begun = time.perf_counter()
            growing.read_on(step.read, step.last)
            if len(growing.source) > MOST_TOKENS:
                raise ValueError(f"a line has over {MOST_TOKENS} tokens; write one sentence per line")
            lateness.computing += time.perf_counter() - begun
            lateness.add(len(growing.units), count_units(step.read, unit))
        view.show(step.shown, growing, lateness)
        if step.last:
            view.end(lateness)
            growing, lateness = live.begin(), Lateness()


def follow_recording(live: Any, args: argparse.Namespace, view: Any) -> None:
    """Translate each piece of the recording while it plays; a piece ends at a pause."""
    from espnet_ext.search.long_inputs import MOST_SECONDS
    from espnet_ext.simul.speech import interpret
    from espnet_ext.translating.reading import RATE, speech

    longest = min(20.0, MOST_SECONDS)
    for piece, samples in speech(args.wav, longest, as_waveform=True):
        assert piece.start is not None
        for moment in interpret(live, samples, round(args.chunk * RATE), real_time=not args.fast):
            view.show(moment.transcript, moment.growing, moment.lateness)
        view.end(moment.lateness)


def load(args: argparse.Namespace) -> Any:
    from espnet_ext.simul.live import LiveTranslator
    from espnet_ext.simul.speech import load_recogniser

    live = LiveTranslator(args.exp, args.rule, rule_options(args), args.reuse, args.device)
    if args.wav is not None:
        if args.asr is not None:
            live.recogniser = load_recogniser(args.asr, live.langs[0], args.device)
        if live.recogniser is None:
            raise ValueError(f"{args.exp}: has no recogniser for --wav; give one with --asr, or a pipeline as --exp")
    elif args.asr is not None:
        raise ValueError("--asr: it hears recordings; give one with --wav")
    return live


def main(arguments: list[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    if not args.chunk > 0:
        sys.exit(f"error: --chunk {args.chunk:g}: it must be greater than 0")
    try:
        live = load(args)
        from espnet_ext.infra.languages import is_spaced
        from espnet_ext.reporting.growing import Lines, Screen

        is_screen = sys.stdout.isatty()
        unit = "s" if args.wav is not None else "words" if is_spaced(live.langs[0]) else "characters"
        view = (Screen if is_screen else Lines)(sys.stdout, live.langs, unit)
        if args.wav is not None:
            follow_recording(live, args, view)
            return
        keyboard = sys.stdin.fileno()
        typing = is_screen and os.isatty(keyboard)
        with unbuffered_terminal(keyboard) if typing else nullcontext():
            if typing:
                print("Type a text; Enter ends a sentence, Ctrl-D the program.", flush=True)
            follow_text(live, steps(characters(keyboard), is_spaced(live.langs[0])), view)
    except (ValueError, OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print()
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it without a traceback
    main()
