"""Label a set with trained MT systems: `python -m espnet_ext.pseudo_label data/train data/train_mt --exp exp/mt`.

`--program "apertium -u eng-spa" --src_lang en --tgt_lang es` lets another program translate, line by line.

The result is a normal data directory: the audio of the set, its transcripts, and the systems' output as the text in
their target language. Its `labels.jsonl` tells where each translation comes from.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from espnet_ext.data.label_filter import Label, LabelFilter
from espnet_ext.data.label_program import label_by_program
from espnet_ext.data.tasks import read_tasks
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import atomic_open, read_table
from espnet_ext.infra.jobs import EXECUTORS, JobError
from espnet_ext.infra.stamps import Stamp
from espnet_ext.training.errors import TrainError
from espnet_ext.training.provenance import made_from, read_run

RECORD = "labels.jsonl"
PASSED_ON = ("beam", "nbest", "nj", "executor", "dtype", "device", "engine", "batch_size", "batch_bins")  # to decoding
PARTS = ("wav.scp", "segments", "utt2*", "text.*", RECORD)  # of the result


def translator(exp: Path) -> tuple[str, str, str, bool]:
    """What a system of ours reads and writes, the stream of it, and whether that is a task."""
    import yaml

    if not (exp / "config.yaml").exists():
        raise ValueError(f"{exp}: no config.yaml; train this system first")
    config = yaml.safe_load((exp / "config.yaml").read_text(encoding="utf-8"))
    if not config.get("src_lang"):
        raise ValueError(f"{exp}: its configuration names no src_lang; give a system that was trained here")
    tasks = [task for task in read_tasks(config).values() if task.kind == "mt"]
    if len(tasks) > 1:
        raise ValueError(f"{exp}: translates by several tasks, {' '.join(t.name for t in tasks)}; give one with one")
    if tasks:
        return tasks[0].src, tasks[0].tgt, tasks[0].name, True
    return config["src_lang"], config["tgt_lang"], "mt", False


def same_languages(systems: Sequence[Path]) -> tuple[str, str]:
    """Those of all systems."""
    pairs = {exp: translator(exp)[:2] for exp in systems}
    if len(set(pairs.values())) > 1:
        found = ", ".join(f"{exp} from {src} to {tgt}" for exp, (src, tgt) in pairs.items())
        raise ValueError(f"the systems translate between different languages: {found}; give those of one pair")
    return pairs[systems[0]]


def translate(args: argparse.Namespace, index: Path, number: int) -> Path:
    """Decode the set's transcripts with one system; what an earlier run finished is not decoded again."""
    from espnet_ext import decode

    exp = args.exp[number - 1]
    out = args.output / "labels" / f"{number}-{exp.resolve().name}"
    _, _, stream, of_tasks = translator(exp)
    words = [word for name in PASSED_ON for word in (f"--{name}", str(getattr(args, name)))]
    words += ["--tasks", stream] if of_tasks else []  # whatever sets it is tested on
    decode.main([str(exp), str(index), "--out", str(out), *words])
    found = out / f"nbest.{stream}.jsonl"
    if not found.exists():
        raise ValueError(f"{exp}: does not translate text; give a system with the stream mt")
    return found


def labels(found: Sequence[Path], sources: dict[str, str]) -> list[Label]:
    """The translations of all systems, those of an utterance in a row, best first."""
    by_utterance: dict[str, list[Label]] = {key: [] for key in sources}
    for number, path in enumerate(found, 1):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            key = entry["id"]
            for rank, hypothesis in enumerate(entry["nbest"], 1):
                by_utterance[key].append(label(key, number, rank, sources[key], hypothesis))
    return [one for several in by_utterance.values() for one in several]


def label(key: str, system: int, rank: int, source: str, hypothesis: dict[str, Any]) -> Label:
    ended = len(hypothesis["tokens"]) + ("cut" not in hypothesis)
    score = float("-inf") if hypothesis["score"] is None else hypothesis["score"] / max(1, ended)
    return Label(key, system, rank, source, hypothesis["text"], score, "cut" in hypothesis)


def new_id(one: Label, single: bool) -> str:
    """The id of the labelled utterance: its own, unless it may occur with several labels."""
    return one.utterance if single else f"{one.utterance}-{one.system}.{one.rank}"


def utterances(data: Path, kept: list[Label], tgt_lang: str, single: bool) -> Iterator[Any]:
    """The set's utterances with their labels, as write_data_dir takes them."""
    from espnet_ext.data.write_datadir import read_utterances

    originals = {one.id: one for one in read_utterances(data)}
    for one in kept:
        original = originals[one.utterance]
        yield replace(original, id=new_id(one, single), texts={**original.texts, tgt_lang: one.text})


def write(args: argparse.Namespace, found: list[Path], langs: tuple[str, str]) -> None:
    """Filter the labels, write the data directory, and say where each label comes from."""
    from espnet_ext.data.about import read_about
    from espnet_ext.data.write_datadir import write_data_dir

    single = len(args.exp or "1") * args.nbest == 1
    everything = labels(found, dict(read_table(args.data / f"text.{langs[0]}")))
    verdicts = make_filter(args, langs[1]).verdicts(everything)
    kept = [one for one, verdict in zip(everything, verdicts, strict=True) if verdict is None]
    if not kept:
        raise ValueError(f"{args.data}: the filter left none of {len(everything)} labels: {dict(counted(verdicts))}")
    labelled = utterances(args.data, kept, langs[1], single)
    write_data_dir(args.output, labelled, nj=args.nj, speech=read_about(args.data).speech)
    origin = [{"model": str(exp), "commit": read_run(exp).get("commit")} for exp in args.exp]
    origin = origin or [{"model": args.program}]
    with atomic_open(args.output / RECORD) as stream:
        for one, verdict in zip(everything, verdicts, strict=True):
            entry = {"id": new_id(one, single), **asdict(one), **origin[one.system - 1]}
            entry["score"] = round(one.score, 4) if one.score > float("-inf") else None
            stream.write(json.dumps(entry | {"filter": verdict or "kept"}, ensure_ascii=False) + "\n")
    print(f"{args.output}: {len(kept)} of {len(everything)} labels kept", file=sys.stderr)
    for reason, number in counted(verdicts).items():
        print(f"{args.output}: {number} labels left out, {reason}", file=sys.stderr)


def counted(verdicts: list[str | None]) -> Counter[str]:
    return Counter(verdict.partition(":")[0] for verdict in verdicts if verdict)


def make_filter(args: argparse.Namespace, target: str) -> LabelFilter:
    from espnet_ext.scoring.language_id import LanguageId

    known: dict[str, list[str]] = {}
    for folder in args.language_text:
        for path in sorted(folder.glob("text.*")):
            known.setdefault(path.name.split(".")[1], []).extend(text for _, text in read_table(path))
    if args.language_text and target not in known:
        raise ValueError(f"--language_text: no text.{target} there; add a set that has the language of the labels")
    identify = LanguageId(known) if args.language_text else None
    return LabelFilter(args.most_off or None, args.min_score, identify, target)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.pseudo_label", description=__doc__)
    parser.add_argument("data", type=Path, help="data directory with transcripts")
    parser.add_argument("output", type=Path, help="data directory to write")
    by = parser.add_mutually_exclusive_group(required=True)
    by.add_argument("--exp", type=Path, nargs="+", default=[], help="MT systems; each writes its own labels")
    line = "program that translates line by line, such as 'apertium -u eng-spa'; needs --src_lang and --tgt_lang"
    by.add_argument("--program", help=line)
    for side, of in (("src_lang", "transcripts"), ("tgt_lang", "labels")):
        parser.add_argument(f"--{side}", help=f"language of the {of}, for --program")
    parser.add_argument("--nbest", type=at_least_one, default=1, help="labels of an utterance by each system (1)")
    parser.add_argument("--beam", type=at_least_one, default=5, help="hypotheses in the search; 1 is greedy (5)")
    parser.add_argument("--dtype", choices=("auto", "fp32", "bf16", "int8"), default="fp32", help="number format")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--engine", choices=("own", "ctranslate2"), default="own", help="program that computes (own)")
    parser.add_argument("--batch_size", type=at_least_one, default=64, help="most lines in a batch (64)")
    parser.add_argument("--batch_bins", type=at_least_one, default=4000, help="most tokens in a batch (4000)")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs (1)")
    parser.add_argument("--executor", choices=EXECUTORS, default="local", help="where jobs run (local)")
    bad = parser.add_argument_group("filter", "bad labels are left out; labels.jsonl says why")
    off = "leave out labels this many times longer or shorter than usual; 0: none (2.5)"
    bad.add_argument("--most_off", type=float, default=2.5, help=off)
    bad.add_argument("--min_score", type=float, help="leave out labels with a lower log-probability per token")
    known = "data directories with texts to learn languages from; labels in a wrong language are left out"
    bad.add_argument("--language_text", type=Path, nargs="+", default=[], help=known)
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    from espnet_ext.data import read_datadir, text

    args = make_parser().parse_args(arguments)
    with one_line_errors("pseudo_label", ValueError, JobError, TrainError):
        langs = same_languages(args.exp) if args.exp else (args.src_lang, args.tgt_lang)
        if not all(langs) or (args.program and args.nbest > 1):
            raise ValueError(
                "--program gives one label for each line: it needs --src_lang and --tgt_lang, and takes no --nbest"
            )
        transcripts = args.data / f"text.{langs[0]}"
        if not transcripts.exists():
            who = args.program or args.exp[0]
            raise ValueError(f"{transcripts}: not there, and {who} translates from {langs[0]}; check the set")
        known = [path for folder in args.language_text for path in sorted(folder.glob("text.*"))]
        sources = [*read_datadir.tables(args.data), *known, *(p for exp in args.exp for p in made_from(exp, exp))]
        settings = {name: getattr(args, name) for name in ("beam", "nbest", "dtype", "engine", "most_off", "min_score")}
        settings |= {"program": args.program, "langs": langs} if args.program else {}
        stamp = Stamp(args.output / RECORD, sources, parts=PARTS, **settings)
        if stamp.is_current():
            return
        with stamp.making():
            folder = args.output / "labels"
            if args.program:
                found = [label_by_program(args.program, transcripts, folder / "program" / "nbest.jsonl")]
            else:
                index = folder / args.data.resolve().name
                text.update(transcripts, index / transcripts.name)
                found = [translate(args, index, number) for number in range(1, len(args.exp) + 1)]
            write(args, found, langs)


if __name__ == "__main__":
    main()
