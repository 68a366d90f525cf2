"""Check data directories: an error names the file and line, what was found and what to do."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from espnet_ext.data import about, read_datadir
from espnet_ext.data.audio import AudioError, AudioInfo, truncation
from espnet_ext.data.audio_scan import Finding, scan
from espnet_ext.data.check_tables import Problem, Table, counts, number, read_all
from espnet_ext.data.leaks import find_leaks
from espnet_ext.infra.arguments import at_least_one
from espnet_ext.infra.commands import one_line_errors
from espnet_ext.infra.files import write_json
from espnet_ext.infra.jobs import JobError
from espnet_ext.infra.stamps import Stamp

CHECKED = ".checked"  # written in the directory once it has passed
SHOWN = 10  # problems of each kind


def check(
    folder: str | Path, *, rate: int | None = 16000, langs: list[str] | None = None, nj: int = 1
) -> list[Problem]:
    """Everything that is wrong with a data directory; a rate of None allows any, since features resample."""
    folder, problems = Path(folder), list[Problem]()
    if not folder.is_dir():
        return [Problem("missing file", folder, None, "there is no such directory", "run local/data.py first")]
    tables = read_all(folder, langs or [], problems)
    if "wav.scp" in tables:
        wav = tables["wav.scp"]
        good = _check_paths(wav, problems)
        found = scan(good.values(), nj=nj, log_dir=folder / "log", description=f"audio of {folder.name}")
        infos = {name: found[path] for name, path in good.items()}
        _check_audio(wav, infos, rate, "segments" in tables, problems)
        if "segments" in tables:
            _check_segments(tables["segments"], wav, infos, problems)
    return problems


def _check_paths(wav: Table, problems: list[Problem]) -> dict[str, str]:
    """The path of each recording; a pipe is refused, as a table must not run programs."""
    good = {}
    for i, (name, path) in enumerate(zip(wav.ids, wav.values, strict=True)):
        if path.rstrip().endswith("|") or path.lstrip().startswith("|"):
            remedy = "decode the audio to a file in local/data.py and give its path"
            problems.append(
                Problem("pipe", wav.path, wav.line(i), f"recording {name} is a command: {path[:60]}", remedy)
            )
        elif not path.strip():
            remedy = "write the line as: recording path"
            problems.append(Problem("malformed line", wav.path, wav.line(i), f"recording {name} has no path", remedy))
        else:
            good[name] = path
    return good


def _check_audio(
    wav: Table, infos: dict[str, Finding], rate: int | None, in_segments: bool, problems: list[Problem]
) -> None:
    for i, (name, path) in enumerate(zip(wav.ids, wav.values, strict=True)):
        info = infos.get(name)
        if info is None:
            continue
        for kind, found, remedy in _audio_faults(info, path, rate, in_segments):
            problems.append(Problem(kind, wav.path, wav.line(i), f"recording {name}: {found}", remedy))


def _audio_faults(info: Finding, path: str, rate: int | None, in_segments: bool) -> Iterator[tuple[str, str, str]]:
    """What is wrong with one recording: the kind, what was found and what to do."""
    if isinstance(info, AudioError):
        yield info.kind, f"{path}: {info.found}", info.remedy
        return
    if info.frames == 0:
        yield "zero-length audio", f"{path}: holds no samples", "drop the recording in local/data.py"
    elif info.is_cut and not in_segments:  # a segment says itself where it ends
        found, remedy = truncation(info.frames, info.claimed)
        yield "truncated audio", f"{path}: {found}", remedy
    if rate is not None and info.rate != rate:
        remedy = "convert it, or check with --resample and let the features resample it"
        yield "wrong rate", f"{path}: its sampling rate is {info.rate} Hz, not {rate}", remedy


def _check_segments(segments: Table, wav: Table, infos: dict[str, Finding], problems: list[Problem]) -> None:
    recordings = set(wav.ids)
    for i, (key, value) in enumerate(zip(segments.ids, segments.values, strict=True)):
        if fault := _segment_fault(value.split(), recordings, infos):
            kind, found, remedy = fault
            problems.append(Problem(kind, segments.path, segments.line(i), f"utterance {key}: {found}", remedy))


def _segment_fault(fields: list[str], recordings: set[str], infos: dict[str, Finding]) -> tuple[str, str, str] | None:
    """What is wrong with `recording start end`: the kind, what was found and what to do."""
    times = [seconds for field in fields[1:] if (seconds := number(field)) is not None]
    if len(fields) != 3 or len(times) != 2:
        found = f"'{' '.join(fields)[:60]}' is not a recording and two times"
        return "malformed line", found, "write the line as: id recording start end"
    (start, end), info = times, infos.get(fields[0])
    if fields[0] not in recordings:
        return "ids differ", f"recording {fields[0]} is not in wav.scp", "add it there or remove this line"
    if not 0 <= start < end:
        return "zero-length audio", f"it goes from {start} to {end} s", "the end must come after the start, or drop it"
    if isinstance(info, AudioInfo) and round(end * info.rate) > info.frames:
        found = f"it ends at {end} s but recording {fields[0]} at {info.seconds:.6f} s"
        return "segment outside recording", found, "clip it in local/data.py, as write_data_dir does"
    return None


def _pass(folder: Path, stamp: Stamp) -> None:
    """Record and say that a directory is valid."""
    names = [path.name for path in read_datadir.tables(folder)]
    found = about.refresh(folder)  # its user may have mended a table
    hours = round(found.hours, 2)
    with stamp.making():
        write_json(folder / CHECKED, {"utterances": found.utterances, "hours": hours, "files": names})
    length = f"{hours} h, " if found.reads == "speech" else "text only, "
    blind = "" if found.texts else "; without a text it can be decoded, but not trained on or scored"
    print(f"{folder}: {found.utterances} utterances, {length}{' '.join(names)}: valid{blind}", file=sys.stderr)


def _refuse(folder: Path, problems: list[Problem]) -> None:
    """Say what is wrong, at most SHOWN of a kind."""
    said: Counter[str] = Counter()
    totals = counts(problems)
    for problem in problems:
        said[problem.kind] += 1
        if said[problem.kind] <= SHOWN:
            print(problem, file=sys.stderr)
    for kind, total in totals.items():
        if total > SHOWN:
            print(f"{folder}: {total - SHOWN} more of the kind '{kind}'", file=sys.stderr)
    summary = ", ".join(f"{total} {kind}" for kind, total in totals.items())
    print(f"{folder}: refused: {summary}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m espnet_ext.data.check", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="data directory")
    parser.add_argument("--rate", type=int, default=16000, help="sampling rate that all audio must have (16000)")
    parser.add_argument("--resample", action="store_true", help="allow any rate: stage 4 resamples")
    parser.add_argument("--langs", nargs="*", default=[], help="languages that must have a text")
    parser.add_argument("--nj", type=at_least_one, default=1, help="parallel jobs (1)")
    parser.add_argument(
        "--training", nargs="*", type=Path, default=[], help="training sets; counts their sentences in the other sets"
    )
    options = parser.parse_args(arguments)
    with one_line_errors("check", JobError, ValueError):
        refused = [folder for folder in options.folders if not _is_in_order(folder, options)]
    if refused:
        raise SystemExit(1)
    sets = [folder for folder in options.folders if folder not in options.training]
    for folder, lang, found, total in find_leaks(sets, options.training) if options.training else ():
        names = ", ".join(map(str, options.training))
        share = f"{found} of {total} sentences ({found / total:.1%})"
        print(f"{folder}/*.{lang}: {share} are also in the training text of {names}", file=sys.stderr)


def _is_in_order(folder: Path, options: argparse.Namespace) -> bool:
    """Check one directory, unless it has passed as it is, and say what was found."""
    rate = None if options.resample else options.rate
    prints: dict[str, str] = {}
    if (folder / "wav.scp").exists():
        paths = (line.partition(b" ")[2].decode(errors="replace") for line in _lines(folder / "wav.scp"))
        prints = read_datadir.fingerprints(paths)
    settings = {"rate": rate, "langs": options.langs, "audio": read_datadir.digest(sorted(prints.items()))}
    stamp = Stamp(folder / CHECKED, read_datadir.tables(folder), **settings)
    if stamp.is_current():
        return True
    problems = check(folder, rate=rate, langs=options.langs, nj=options.nj)
    if problems:
        _refuse(folder, problems)
    else:
        _pass(folder, stamp)
    return not problems


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")


if __name__ == "__main__":
    main()
