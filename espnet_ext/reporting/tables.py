"""The table of a paper from scores.json and significance.json: for the terminal, for RESULTS.md and for the page."""

import string
from dataclasses import dataclass, field
from typing import Any

from espnet_ext.infra.languages import error_metric
from espnet_ext.reporting.cautions import made_with, unlike, warnings
from espnet_ext.scoring.metrics import WRONG_LANGUAGE, sign
from espnet_ext.scoring.results import Experiments, read_result, read_significance
from espnet_ext.scoring.significance import TEST
from espnet_ext.scoring.texts import ScoringError

METRIC_NAMES = {"wer": "WER", "cer": "CER", "bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
METRIC_NAMES |= {"al": "AL", "laal": "LAAL", "cw": "CW", "length_ratio": "length ratio"}
METRIC_NAMES |= {WRONG_LANGUAGE: "wrong language %"}
LATENCY_COLUMNS = ("al", "laal", "cw", "length_ratio")
NOT_ORDERED = ("length_ratio",)  # neither more nor less is better
DECIMALS = {"length_ratio": 2}
NOTHING = "-"
UNLIKE = "†"  # of a system made unlike its neighbours
FORMATS = {"none": "fp32"}  # what run.json calls otherwise
MARKS = (
    f"Letters: the systems that this one beats, small for p < 0.05 and capital for p < 0.01 ({TEST}). p says what "
    "other utterances would change, not what another training would."
)


@dataclass
class Cell:
    text: str
    marks: str = ""  # letters of the systems that this one beats: small for p < 0.05, capital for p < 0.01
    best: bool = False
    interval: str = ""


@dataclass
class Row:
    system: str
    letter: str  # empty where no mark refers to the row
    cells: list[Cell]
    mark: str = ""  # UNLIKE where it was made unlike its neighbours

    @property
    def name(self) -> str:
        return self.system + self.mark


@dataclass
class Table:
    test_set: str
    header: list[str]
    rows: list[Row]
    signatures: dict[str, str] = field(default_factory=dict)  # column -> signature
    footnotes: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)  # how each system was trained and searched; for the page
    title: str = ""  # where it is not just the test set
    note: str = MARKS
    interval_is: str = "half of the 95 % interval"
    shows_interval: bool = False  # also where there is little room: on the terminal and in Markdown

    @property
    def heading(self) -> str:
        return self.title or self.test_set

    @property
    def full_note(self) -> str:
        """For where intervals are shown."""
        return (
            f"{self.note} ± is {self.interval_is}. Bold is the best of its column." if self.interval_is else self.note
        )


def score_columns(where: Experiments) -> list[tuple[str, str]]:
    """(stream, metric) of the score columns; of a task there is one."""
    errors = ["wer", "cer"] if error_metric(where.src_lang) == "wer" else ["cer"]
    plain = [*(("asr", metric) for metric in errors), ("st", "bleu"), ("st", "chrf"), ("mt", "bleu")]
    tasks = [(name, main_metric(where, name)) for name in where.tasks]
    return [column for column in plain if column[0] not in where.tasks] + tasks


def main_metric(where: Experiments, stream: str) -> str:
    return error_metric(where.language(stream)) if where.kind(stream) == "asr" else "bleu"


def titles(where: Experiments, columns: list[tuple[str, str]]) -> list[str]:
    """`ST BLEU`; where there are tasks `BLEU de`, with the name where two columns would be called so."""
    if not where.tasks:
        return [f"{stream.upper()} {METRIC_NAMES[metric]}" for stream, metric in columns]
    short = [f"{METRIC_NAMES[metric]} {where.language(stream)}" for stream, metric in columns]
    return [
        f"{title} ({stream})" if short.count(title) > 1 else title
        for title, (stream, _) in zip(short, columns, strict=True)
    ]


def more_columns(where: Experiments, comparison: dict[str, Any]) -> list[tuple[str, str]]:
    """What stands after the scores: how late translations are, and how many outputs are in another language."""
    names = (*LATENCY_COLUMNS, WRONG_LANGUAGE)
    return [(s, name) for s in where.known for name in names if name in comparison.get(s, {})]


def build_table(where: Experiments, systems: list[str], test_set: str) -> Table:
    results = {system: read_result(where, system, test_set) for system in systems}
    comparison = read_significance(where, systems, test_set)["streams"]
    if len(systems) > len(string.ascii_lowercase):
        raise ScoringError(f"{len(systems)} systems: a table has letters for {len(string.ascii_lowercase)}; split it")
    letters = dict(zip(systems, string.ascii_lowercase, strict=False))
    columns = [
        (stream, metric)
        for stream, metric in score_columns(where)
        if any(stream in result["scores"] for result in results.values())
    ]
    columns += more_columns(where, comparison)
    names = titles(where, columns)
    table = Table(test_set, ["System", *names], [])
    table.header += ["Parameters", "Training", "Utterances/s"]
    different = unlike(results)
    columns_cells = {(s, m): score_cells(comparison[s][m], m, letters) for s, m in columns}
    for system, result in results.items():
        cells = [columns_cells[column].get(system, Cell(NOTHING)) for column in columns]
        cells += [Cell(count(result["parameters"])), Cell(duration(result["training_seconds"]))]
        cells.append(Cell(rate(result["utterances_per_second"])))
        table.rows.append(Row(system, letters[system], cells, UNLIKE if system in different else ""))
    for title, (stream, metric) in zip(names, columns, strict=True):
        table.signatures[title] = comparison[stream][metric]["signature"]
    table.footnotes = [*cautions(results, different), *origins(results)]
    table.settings = list(made_with(results))
    return table


def cautions(results: dict[str, dict[str, Any]], different: dict[str, list[str]]) -> list[str]:
    """What marks and scores alone would not say."""
    return [*(f"{UNLIKE} {system}: {', '.join(what)}." for system, what in different.items()), *warnings(results)]


def score_cells(compared: dict[str, Any], metric: str, letters: dict[str, str]) -> dict[str, Cell]:
    """The cell of each system in the column of a metric."""
    scores = {s: sign(metric) * row["score"] for s, row in compared["systems"].items() if s in letters}
    cells = {}
    for system, score in scores.items():
        marks = ""
        for other, p in compared["p"][system].items():
            if other in letters and score > scores[other] and p is not None and p < 0.05 and metric not in NOT_ORDERED:
                marks += letters[other].upper() if p < 0.01 else letters[other]
        best = len(scores) > 1 and score == max(scores.values()) and not worthless(abs(score), metric)
        marks = "".join(sorted(marks, key=str.lower))
        row = compared["systems"][system]
        spread = "" if row["ci"] is None else figure(row["ci"], metric)
        cells[system] = Cell(figure(row["score"], metric), marks, best and metric not in NOT_ORDERED, spread)
    return cells


def figure(value: float, metric: str = "", sign: str = "") -> str:
    """One decimal, and two below 1: a small difference is not 0.0; `sign` "+" writes it also where it is positive."""
    decimals = 1 if value == 0 or abs(value) >= 1 else 2
    return f"{value:{sign}.{max(decimals, DECIMALS.get(metric, 0))}f}"


def worthless(score: float, metric: str) -> bool:
    """No better than writing nothing, or than no word being right."""
    return score >= 100 if metric in ("wer", "cer", "ter", WRONG_LANGUAGE) else score == 0


def origins(results: dict[str, dict[str, Any]]) -> list[str]:
    """By which commits, with which seeds and in which numbers the systems were trained and decoded."""
    trained, decoded = {}, {}
    for system, result in results.items():
        formats = [FORMATS.get(name, name) for name in result["trained"].get("amp", [])]
        trained[system] = {**result["trained"], "numbers": " then ".join(formats)}
        decoded[system] = {**result, "numbers": result["decode_options"].get("dtype", "")}
    return [*origin("Trained", trained), *origin("Decoded", decoded)]


def origin(verb: str, origins: dict[str, dict[str, Any]]) -> list[str]:
    """`Trained: commit abc1234, seed 1, bf16 (asr, mt)`: which systems share where they come from."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for system, origin in origins.items():
        if origin.get("commit") or origin.get("seed") is not None:
            facts = [f"commit {short_commit(origin)}", f"seed {origin.get('seed')}", origin["numbers"]]
            groups.setdefault(tuple(filter(None, facts)), []).append(system)
    return [f"{verb}: {', '.join(facts)} ({', '.join(names)})." for facts, names in groups.items()]


def short_commit(origin: dict[str, Any]) -> str:
    """The mark of a changed working tree, if there is one, follows the hash."""
    commit = str(origin.get("commit") or "unknown")
    return commit[:7] + commit[40:] if len(commit) >= 40 else commit


def count(number: int | None) -> str:
    """12345678 -> 12.3 M."""
    if number is None:
        return NOTHING
    for size, unit in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if number >= size:
            return f"{number / size:.1f}{unit}"
    return str(number)


def duration(seconds: float | None) -> str:
    """5025 -> 1 h 24 min."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def rate(per_second: float | None) -> str:
    if per_second is None:
        return NOTHING
    return f"{per_second:.1f}" if per_second < 100 else f"{per_second:.0f}"


def as_text(table: Table) -> str:
    """Aligned columns for the terminal."""
    lines = [table.header]
    for row in table.rows:
        scores = [_with_interval(table, cell) + (f" {cell.marks}" if cell.marks else "") for cell in row.cells]
        lines.append([f"{row.letter} {row.name}".strip(), *scores])
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    body = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    body.insert(1, "  ".join("-" * width for width in widths))
    notes = [note for note in table.footnotes if note.startswith((UNLIKE, "WARNING"))]
    return "\n".join([table.heading, *body, table.full_note if table.shows_interval else table.note, *notes])


def _with_interval(table: Table, cell: Cell) -> str:
    return cell.text + (f" ± {cell.interval}" if table.shows_interval and cell.interval else "")


def as_markdown(tables: list[Table], title: str, about: str) -> str:
    """The whole of RESULTS.md."""
    parts = [f"# {title}", about]
    said: set[str] = set()
    for table in tables:
        lines = [table.header, ["---", *["---:"] * (len(table.header) - 1)]]
        for row in table.rows:
            letter = f"<sup>{row.letter}</sup> " if row.letter else ""
            lines.append([letter + row.name, *(_markdown_cell(table, cell) for cell in row.cells)])
        parts += [f"## {table.heading}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
        parts.append(table.full_note if table.shows_interval else table.note)
        signatures = [f"* {name}: `{signature}`" for name, signature in table.signatures.items()]
        for notes in (signatures, [f"* {note}" for note in table.footnotes]):
            new = [note for note in notes if note not in said]  # what stands under one table is not repeated
            parts += ["\n".join(new)] if new else []
            said |= set(notes)
    return "\n\n".join(parts) + "\n"


def _markdown_cell(table: Table, cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    if table.shows_interval and cell.interval:
        text += f" ± {cell.interval}"
    return text + (f" <sup>{cell.marks}</sup>" if cell.marks else "")
