"""One HTML page that needs nothing else: template, styles, scripts, data and audio in a single file."""

import base64
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from espnet_ext.reporting.embeddings import Picture
from espnet_ext.reporting.tables import NOTHING, Table
from espnet_ext.scoring.significance import TEST

PAGE = Path(__file__).parent / "page"
SCRIPTS = (
    "core.js",
    "charts.js",
    "overview.js",
    "diff.js",
    "points.js",
    "latency.js",
    "sweeps.js",
    "stairs.js",
    "browser.js",
    "case.js",
    "main.js",
)
END = "</body>\n</html>\n"


def write_page(
    stream: IO[str],
    words: dict[str, str],
    tables: list[Table],
    payload: dict[str, Any],
    clips: Iterable[tuple[str, str]],
    pictures: Sequence[Picture] = (),
) -> None:
    """Write the page to an open file; (element id, base64) clips come last and one by one, as they are most of it."""
    from jinja2 import Environment, FileSystemLoader
    from markupsafe import Markup

    css = (PAGE / "report.css").read_text(encoding="utf-8")
    script = "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    environment = Environment(loader=FileSystemLoader(PAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    data = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    page = environment.get_template("report.html").render(
        **words,
        tables=tables,
        pictures=pictures,
        test_sets=[test_set["name"] for test_set in payload["sets"]],
        swept=any(test_set["sweeps"] for test_set in payload["sets"]),
        nothing=NOTHING,
        test=TEST,
        policy=_policy(script, css),
        css=Markup(css),
        js=Markup(script),
        data=Markup(data.replace("<", "\\u003c")),  # so that no text can end the element
    )
    stream.write(page + "\n")
    for name, encoded in clips:
        stream.write(f'<script type="text/plain" id="{name}">{encoded}</script>\n')
    stream.write(END)


def _policy(script: str, css: str) -> str:
    """The page may run its own script and play what it holds; it may not reach anything else."""
    script_hash, css_hash = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (script, css))
    return (
        f"default-src 'none'; script-src 'sha256-{script_hash}'; style-src 'sha256-{css_hash}'; "
        "media-src data:; img-src data:; base-uri 'none'; form-action 'none'"
    )
