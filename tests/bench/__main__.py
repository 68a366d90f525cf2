"""All benches, or those named: `python -m tests.bench [name ...]`; each renews its section of docs/benchmarks.md."""

import argparse
import datetime
import os
import re
import subprocess
import sys
from pathlib import Path

from espnet_ext.infra.files import atomic_open
from espnet_ext.machine import bf16
from espnet_ext.training.provenance import commit

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "benchmarks.md"
HEADER = """# Benchmarks

Made by `make bench` (one section: `python -m tests.bench NAME`). Speeds are ratios within one run, side by side; what
is alone in its row says little about another machine. A CPU that does not multiply in bf16 has sections of its own; two
environment variables make such a one of any other (for oneDNN and torch; the int8 kernels are not held back by them).
"""
LIMITS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY")  # AVX2 and avx2: what oneDNN and torch may use


def machine() -> str:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return f"{len(os.sched_getaffinity(0))} cores of {cpu[1] if cpu else 'an unnamed CPU'}"


def setting() -> str:
    """What makes this machine one without bf16, for a command line."""
    return "".join(f"{name}={os.environ[name]} " for name in LIMITS if name in os.environ)


def run(name: str, title: str) -> str:
    """The bench's own Markdown, shown as it comes, under a heading that says where and when."""
    stamp = f"{datetime.date.today()}, commit {commit()}, {machine()}"
    lines = [f"## {title}\n", "\n", f"{stamp}. Repeat: `{setting()}python -m tests.bench {name}`\n", "\n"]
    print("".join(lines), flush=True)
    with subprocess.Popen([sys.executable, "-m", f"tests.bench.{name}"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        sys.exit(f"bench {name} failed with {process.returncode}; its section of {PAGE} is as it was")
    return "".join(lines).rstrip() + "\n"


def main() -> None:
    names = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all if none is given")
    args = parser.parse_args()
    if unknown := set(args.names) - set(names):
        parser.error(f"no bench {sorted(unknown)[0]}; there are {', '.join(names)}")
    for name in args.names or names:
        title = name if bf16.is_native() else f"{name}, without bf16"
        text = run(name, title)
        page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        sections = {part.split("\n")[0][3:]: part for part in re.split(r"(?m)^(?=## )", page) if part.startswith("## ")}
        sections[title] = text
        with atomic_open(PAGE) as stream:
            stream.write(HEADER + "".join("\n" + sections[key].rstrip() + "\n" for key in sorted(sections)))


if __name__ == "__main__":
    main()
