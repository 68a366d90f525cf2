"""Translations by a program that reads a line and writes a line, such as Apertium: labels of a rule-based system."""

import json
import shlex
import subprocess
from pathlib import Path

from espnet_ext.infra.files import atomic_open, read_table


def translate_lines(command: str, lines: list[str]) -> list[str]:
    """What the program writes for each line."""
    words = shlex.split(command)
    try:
        run = subprocess.run(words, input="".join(f"{line}\n" for line in lines), capture_output=True, text=True)
    except OSError as error:
        raise ValueError(
            f"--program {command}: cannot be run ({error.strerror}); install it, or give its path"
        ) from error
    written = run.stdout.split("\n")[:-1]
    if run.returncode or len(written) != len(lines):
        said = run.stderr.strip().splitlines()[-1:] or ["nothing said"]
        raise ValueError(
            f"--program {command}: {len(written)} lines for {len(lines)}, exit status {run.returncode} ({said[0]}); "
            "give a program that writes a line for each that it reads"
        )
    return [line.strip() for line in written]


def label_by_program(command: str, transcripts: Path, out: Path) -> Path:
    """The n-best list that decoding would write: one translation of each transcript, without a score."""
    sources = dict(read_table(transcripts))
    with atomic_open(out) as stream:
        for key, text in zip(sources, translate_lines(command, list(sources.values())), strict=True):
            entry = {"id": key, "nbest": [{"text": text, "tokens": [], "score": None}]}
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
    return out
