"""Write a random part of a set: `python -m espnet_ext.data.subset data/train data/train_10 --share 0.1`.

The choice depends only on the utterances' ids and the seed, so a larger part of a set contains the smaller ones.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from espnet_ext.data import read_datadir
from espnet_ext.data.about import read_about
from espnet_ext.data.write_datadir import Utterance, read_utterances, write_data_dir
from espnet_ext.infra.arguments import at_least_one, not_negative
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import read_table
from espnet_ext.infra.jobs import EXECUTORS
from espnet_ext.infra.stamps import Stamp

PARTS = ("wav.scp", "segments", "utt2*", "text.*")  # of the result


def chosen(data: Path, everything: list[Utterance], args: argparse.Namespace) -> list[Utterance]:
    """Those that are allowed and drawn, in the order of the draw, up to the number, the share or the hours."""
    said = {text for folder in args.without for path in folder.glob("text.*") for _, text in read_table(path)}
    allowed = [one for one in everything if said.isdisjoint(one.texts.values())]
    allowed.sort(key=lambda one: hashlib.sha256(f"{args.seed} {one.id}".encode()).digest())
    count = min(len(allowed), args.utterances or len(allowed))
    if args.share is not None:
        count = min(count, round(args.share * len(allowed)))
    if args.hours is not None:
        count = min(count, within(args.hours, data, allowed))
    if not count:
        found = f"no utterance is left; {len(allowed)} of {len(everything)} are allowed by --without"
        raise ValueError(f"{data}: {found}; change --share, --hours or --without")
    return allowed[:count]


def within(hours: float, data: Path, drawn: list[Utterance]) -> int:
    """How many of those drawn are as long as that together; all of them if they are shorter."""
    spans = read_datadir.spans(data)
    if not spans:
        raise ValueError(f"{data}: text only, which has no hours; give --utterances or --share")
    lengths = dict(zip((span.utterance for span in spans), read_datadir.seconds(data, spans), strict=True))
    total = 0.0
    for number, one in enumerate(drawn, 1):
        total += lengths[one.id]
        if total >= 3600 * hours:
            return number
    return len(drawn)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.subset", description=__doc__)
    parser.add_argument("data", type=Path, help="data directory")
    parser.add_argument("output", type=Path, help="data directory to write")
    parser.add_argument("--utterances", type=at_least_one, help="most utterances to choose")
    parser.add_argument("--share", type=not_negative, help="largest share of the allowed utterances, such as 0.1")
    parser.add_argument("--hours", type=not_negative, help="choose the fewest utterances that reach these hours")
    parser.add_argument("--without", type=Path, nargs="+", default=[], help="leave out texts that occur in these sets")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random choice (1)")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs (1)")
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="not used: there is little to do")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    args = make_parser().parse_args(arguments)
    with one_line_errors("subset", ValueError):
        others = [path for folder in args.without for path in sorted(folder.glob("text.*"))]
        settings = {name: getattr(args, name) for name in ("utterances", "share", "hours", "seed")}
        stamp = Stamp(args.output / "utt2spk", [*read_datadir.tables(args.data), *others], parts=PARTS, **settings)
        if stamp.is_current():
            return
        with stamp.making():
            part = chosen(args.data, read_utterances(args.data), args)
            write_data_dir(args.output, part, nj=args.nj, speech=read_about(args.data).speech)


if __name__ == "__main__":
    main()
