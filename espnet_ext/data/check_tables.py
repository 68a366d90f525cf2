"""What can be wrong with the tables of a data directory."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from espnet_ext.data.read_datadir import TEXTS, talk_of
from espnet_ext.data.read_datadir import tables as tables_of
from espnet_ext.data.write_datadir import has_text
from espnet_ext.infra.lines import LONGEST, raw_lines, visible


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what was found and what to do."""

    kind: str
    path: Path
    line: int | None
    found: str
    remedy: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return visible(f"{place}: {self.found}; {self.remedy}")


@dataclass
class Table:
    """The ids and values of one file; the values of texts are not kept, since there may be millions."""

    path: Path
    ids: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    without_id: list[int] = field(default_factory=list)  # lines

    def line(self, i: int) -> int:
        """The line of the i-th id."""
        number = i + 1
        for skipped in self.without_id:
            number += skipped <= number
        return number


def read(path: Path, problems: list[Problem]) -> Table:
    """Read one file and note what is wrong with its bytes, its lines and the order of its ids."""
    table, is_text = Table(path), path.name.startswith(TEXTS)
    with open(path, "rb") as stream:
        for number, raw in enumerate(raw_lines(stream), 1):
            if len(raw) > LONGEST:
                found, remedy = f"the line has more than {LONGEST} bytes", "write the file again, an utterance a line"
                problems.append(Problem("malformed line", path, number, found, remedy))
                table.without_id.append(number)
                continue
            text = _decode(path, number, raw, problems)
            key, _, value = text.partition(" ")
            if not key or "\t" in key or (value[:1] in (" ", "\t") and value.strip()):
                found = f"'{text[:40]}' is not an id, one space and a value"
                problems.append(Problem("malformed line", path, number, found, "write the line as: id value"))
                key = key.partition("\t")[0]
                if not key:
                    table.without_id.append(number)
                    continue
            elif not key.isprintable():
                found = f"id {key!r} holds a character that cannot be seen"
                problems.append(Problem("malformed line", path, number, found, "make ids of letters, digits, - and _"))
            elif is_text and not has_text(value):
                remedy = "drop the utterance in local/data.py, where write_data_dir counts it"
                problems.append(Problem("empty text", path, number, f"utterance {key} has no text", remedy))
            table.ids.append(key)
            if not is_text:
                table.values.append(value)
    if not table.ids and not table.without_id:
        problems.append(Problem("empty file", path, None, "the file is empty", "write it again, or remove it"))
    _check_order(table, problems)
    return table


def _decode(path: Path, number: int, raw: bytes, problems: list[Problem]) -> str:
    """The text of one line, without what does not belong there."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} of the line, 0x{raw[error.start]:02x}, is not UTF-8"
        remedy = "find out its encoding and convert the file, such as: iconv -f ISO-8859-1 -t UTF-8"
        problems.append(Problem("bad UTF-8", path, number, found, remedy))
        text = raw.decode(errors="replace")
    if number == 1 and text.startswith("\ufeff"):
        remedy = f"remove it: sed -i '1s/^\\xef\\xbb\\xbf//' {path}"
        problems.append(Problem("BOM", path, 1, "the file begins with a byte order mark", remedy))
        text = text[1:]
    if not text.endswith("\n"):
        found, remedy = "the last line has no newline, so it may be cut off", "write the file again"
        problems.append(Problem("cut off", path, number, found, remedy))
    text = text.removesuffix("\n")
    if "\r" in text:
        found = "a carriage return at the end of the line" if text.endswith("\r") else "a carriage return"
        problems.append(Problem("CR", path, number, found, f"remove them: sed -i 's/\\r//g' {path}"))
        text = text.rstrip("\r")
    return text


def _check_order(table: Table, problems: list[Problem]) -> None:
    """Strings compare by code point, which is the order of their UTF-8 bytes and of the C locale."""
    remedy, in_order = f"sort the file by id: LC_ALL=C sort -k1,1 -o {table.path} {table.path}", True
    for i, (before, after) in enumerate(pairwise(table.ids), 1):
        if after <= before:
            in_order = False
            if after < before:
                found = f"id {after} comes after {before}"
                problems.append(Problem("unsorted ids", table.path, table.line(i), found, remedy))
    if in_order:
        return
    first: dict[str, int] = {}
    for i, key in enumerate(table.ids):
        if key in first:
            found = f"id {key} is already on line {table.line(first[key])}"
            problems.append(Problem("duplicate id", table.path, table.line(i), found, "remove one of the two lines"))
        first.setdefault(key, i)


def read_all(folder: Path, langs: list[str], problems: list[Problem]) -> dict[str, Table]:
    """Read and compare all tables of a data directory."""
    names = [path.name for path in tables_of(folder)]
    for name in _required(names, langs):
        found, remedy = "the file is missing", f"local/data.py must write it (there are: {' '.join(names) or 'none'})"
        problems.append(Problem("missing file", folder / name, None, found, remedy))
    tables: dict[str, Table] = {}
    for name in names:
        tables[name] = read(folder / name, problems)
        for other in tables.values():
            if other.ids == tables[name].ids:  # nearly always: keep one list for all
                tables[name].ids = other.ids
                break
    if "utt2dur" in tables:
        _check_durations(tables["utt2dur"], problems)
    references = {name: tables[name] for name in names if name.startswith("reference.")}
    _compare_ids({name: table for name, table in tables.items() if name not in references}, problems)
    _compare_ids(references, problems)
    if references and "utt2spk" in tables:
        _compare_talks(tables["utt2spk"], next(iter(references.values())), problems)
    return tables


def _required(names: list[str], langs: list[str]) -> list[str]:
    wanted = [f"text.{lang}" for lang in langs]
    if "wav.scp" in names or "segments" in names or not names:
        wanted += ["wav.scp", "utt2spk"]
    if not langs and "wav.scp" not in names and not any(name.startswith(TEXTS) for name in names):
        wanted.append("text.<lang>")
    return [name for name in wanted if name not in names]


def _check_durations(table: Table, problems: list[Problem]) -> None:
    for i, (key, value) in enumerate(zip(table.ids, table.values, strict=True)):
        seconds = number(value)
        if seconds is None or not seconds > 0:
            found = f"the duration of {key} is '{value}'"
            problems.append(
                Problem("malformed line", table.path, table.line(i), found, "write seconds above 0, such as 2.345")
            )


def number(text: str) -> float | None:
    """The finite number that a field holds, if it does."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _compare_ids(tables: dict[str, Table], problems: list[Problem]) -> None:
    """Compare the ids of every table with those of the first that has utterances."""
    named = [(name, table) for name, table in tables.items() if name != "wav.scp" or "segments" not in tables]
    if not named:
        return
    named.sort(key=lambda pair: (pair[0] != "segments", pair[0] != "wav.scp"))
    (reference_name, reference), *others = named
    for name, table in others:
        if table.ids == reference.ids or not table.ids or not reference.ids:
            continue
        _report_missing(reference, table, f"not in {name}", problems)
        _report_missing(table, reference, f"not in {reference_name}", problems)


def _compare_talks(utterances: Table, references: Table, problems: list[Problem]) -> None:
    """Every talk that is decoded has references, so that its output can be cut as they are."""
    remedy = "ids of utterances are <talk>_<number>, of references <talk>_r<number>; mend them"
    ids = set(references.ids)
    talks = {talk_of(key) for key in ids}
    for i, key in enumerate(utterances.ids):
        found = f"utterance {key}: {references.path.name} has nothing of the talk '{talk_of(key)}'"
        if key in ids:
            found = f"utterance {key}: {references.path.name} has the same id, although both are cut otherwise"
        if key in ids or talk_of(key) not in talks:
            problems.append(Problem("ids differ", utterances.path, utterances.line(i), found, remedy))


def _report_missing(here: Table, there: Table, where: str, problems: list[Problem]) -> None:
    known = set(there.ids)
    for i, key in enumerate(here.ids):
        if key not in known:
            remedy = "every file must have the same ids: add it there or remove this line"
            problems.append(Problem("ids differ", here.path, here.line(i), f"utterance {key} is {where}", remedy))


def counts(problems: list[Problem]) -> Counter[str]:
    return Counter(problem.kind for problem in problems)
