"""What a data directory holds: `about.json`, or the same found from its files where a user made it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from espnet_ext.data import read_datadir
from espnet_ext.infra.files import write_json

NAME = "about.json"


@dataclass(frozen=True)
class About:
    """Of a set: what is read of it, the language that is spoken, and its texts."""

    reads: str  # speech or text
    speech: str | None  # the language that is spoken; None where there is no speech, or nobody said
    texts: list[str]
    utterances: int
    hours: float


def find_out(folder: Path, speech: str | None = None) -> About:
    """From the files of a directory; `speech` is the language that is spoken, which no file tells."""
    texts, spans = read_datadir.texts(folder), read_datadir.spans(folder)
    langs = sorted({path.name.partition(".")[2].partition(".")[0] for path in texts})
    if spans:
        hours = sum(read_datadir.seconds(folder, spans)) / 3600
        return About("speech", speech, langs, len(spans), round(hours, 3))
    with open(texts[0], "rb") as stream:
        return About("text", None, langs, sum(1 for _ in stream), 0.0)


def write_about(folder: str | Path, speech: str | None = None) -> About:
    found = find_out(Path(folder), speech)
    write_json(Path(folder) / NAME, asdict(found))
    return found


def refresh(folder: str | Path) -> About:
    """As the files are now; only what they do not tell is kept."""
    before = read_about(folder).speech if (Path(folder) / NAME).exists() else None
    return write_about(folder, before)


def read_about(folder: str | Path) -> About:
    """What the directory says of itself, or what is found in it."""
    path = Path(folder) / NAME
    if not path.exists():
        return find_out(Path(folder))
    try:
        return About(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not what was written ({error}); delete it, and it is found from the files") from None


def hand_on(data: Path, dump: Path) -> None:
    """Let a dump directory say what its data directory does."""
    found = asdict(read_about(data))
    path = dump / NAME
    if not path.exists() or json.loads(path.read_text(encoding="utf-8")) != found:
        write_json(path, found)
