"""Write a data directory of text alone, line by line: a corpus of millions of pairs is never held in memory."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from espnet_ext.data.read_datadir import tables
from espnet_ext.data.write_datadir import Losses, Utterance, clean, summarise
from espnet_ext.infra.files import atomic_open
from espnet_ext.infra.stamps import Stamp


def update_text_dir(folder: str | Path, utterances: Iterable[Utterance], inputs: Iterable[Path]) -> None:
    """`write_text_dir`, unless the directory was made from just these files; else nothing of them is read."""
    stamp = Stamp(folder, inputs, parts=())  # no parts: what a user mends in a table stays so
    if not stamp.is_current():
        with stamp.making():
            write_text_dir(folder, utterances)


def write_text_dir(folder: str | Path, utterances: Iterable[Utterance]) -> dict[str, Any]:
    """Write text.<lang> and utt2spk of utterances that come sorted by id; what was lost goes to dropped.json."""
    folder, losses = Path(folder), Losses()
    counts = {"read": 0, "kept": 0}
    rows = _kept(folder, utterances, losses, counts)
    first = next(rows, None)
    if first is None:
        found = f"all {counts['read']} utterances were dropped: {dict(losses.dropped)}"
        raise ValueError(f"{folder}: {found if counts['read'] else 'the corpus gave no utterance; check its path'}")
    with ExitStack() as files:
        texts = {lang: files.enter_context(atomic_open(folder / f"text.{lang}")) for lang in first.texts}
        speakers = files.enter_context(atomic_open(folder / "utt2spk"))
        row: Utterance | None = first
        while row is not None:
            for lang, stream in texts.items():
                stream.write(f"{row.id} {row.texts[lang]}\n")
            speakers.write(f"{row.id} {row.speaker}\n")
            row = next(rows, None)
    for path in tables(folder):
        if path.name != "utt2spk" and path.name.removeprefix("text.") not in texts:
            path.unlink()
    return summarise(folder, losses, counts["read"], counts["kept"])


def _kept(folder: Path, utterances: Iterable[Utterance], losses: Losses, counts: dict[str, int]) -> Iterator[Utterance]:
    before = b""
    for utterance in utterances:
        counts["read"] += 1
        if utterance.id.encode() <= before:
            raise ValueError(f"{folder}: {utterance.id} comes after {before.decode()}; give utterances sorted by id")
        before = utterance.id.encode()
        if kept := clean(utterance, losses):
            counts["kept"] += 1
            yield kept
