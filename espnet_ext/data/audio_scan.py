"""Look at many audio files at once, in parallel."""

from collections.abc import Iterable
from pathlib import Path

from espnet_ext.data import read_datadir
from espnet_ext.data.audio import AudioError, AudioInfo, examine
from espnet_ext.infra.jobs import run_jobs

Finding = AudioInfo | AudioError


def scan(paths: Iterable[str], *, nj: int, log_dir: str | Path, description: str) -> dict[str, Finding]:
    """What is in each audio file, or what is wrong with it."""
    distinct = sorted(set(paths))
    parts = [distinct[part.start : part.stop] for part in read_datadir.split(len(distinct), most=1024, least=50)]
    results = run_jobs(
        _examine_all,
        [(part,) for part in parts],
        nj=nj,
        log_dir=log_dir,
        description=description,
        sizes=[len(part) for part in parts],
        unit=" files",
    )
    return {path: finding for part in results for path, finding in part}


def _examine_all(paths: list[str]) -> list[tuple[str, Finding]]:
    return [(path, _examine(path)) for path in paths]


def _examine(path: str) -> Finding:
    try:
        return examine(path)
    except AudioError as error:
        return error
