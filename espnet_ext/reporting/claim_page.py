"""docs/claims.md: a table for each paper, a row for each claim and each ground on which it was decided."""

import os
from pathlib import Path
from typing import Any

from espnet_ext.infra.files import atomic_open
from espnet_ext.reporting.claims import (
    NOT_RUN,
    Claim,
    Decision,
    Ground,
    Paper,
    asked_for,
    count_verdicts,
    decisions,
    published_for,
)
from espnet_ext.reporting.tables import METRIC_NAMES, NOTHING, figure

ONE_TRAINING = " for these trainings"
HEADER = ("Claim", "Published", "On", "Here", "Could be seen", "Verdict")
ABOUT = """# The papers' claims

Made by `{command}` from `{claims}` and the `RESULTS.json` beside each RESULTS.md. `make papers` in the project's folder
runs all systems of the papers on mini, and makes this page anew.

* **Here** is how much better the system is that the paper calls better (below 0: worse), ± half of the 95 % interval.
  p is two-sided. *3 seeds*: both are over utterances and seeds
  ([test](sweeps.md#whether-systems-differ-whatever-the-seed)). *1 training*: over utterances alone
  ([test](scoring.md#significance)); the verdict is then of these trainings, and others may say otherwise.
* **Could be seen** is the smallest true difference that such an experiment finds in 80 % of cases at p < 0.05:
  (t<sub>0.975</sub> + t<sub>0.8</sub>) times the standard error.
* **Verdicts.** *Holds*: the difference is as claimed, p < 0.05. *Does not hold*: it is the other way round,
  p < 0.05; or it is not significant, and the published effect lies above the interval (not asked where the paper
  says "at most"). *Undecided*: all else, so that a larger test set or more seeds are needed. *Not run*: no
  RESULTS.json has both systems; the command makes it.
* A published effect is taken in points of the metric (per cent: of the worse system's score here). Corpora differ, so
  that points need not mean the same. No correction is made for the number of claims."""


def write_claim_page(out: Path, papers: list[Paper], root: Path, claims: Path, command: str) -> None:
    parts = [ABOUT.format(command=command, claims=os.path.relpath(claims, root))]
    for paper in papers:
        found = list(decisions(paper, root))
        counts = count_verdicts(decision for _, _, decision in found)
        parts.append(f"## {paper.name.capitalize()}")
        parts.append(f"{paper.title} ([method]({paper.page})). {', '.join(f'{v}: {n}' for v, n in counts.items())}.")
        lines = ["| " + " | ".join(HEADER) + " |", "| --- | --- | --- | ---: | ---: | --- |"]
        last = None
        for claim, name, decision in found:
            cells = [claim.claim if claim is not last else "", *row(paper, claim, name, decision, out.parent, root)]
            lines.append(f"| {' | '.join(cells)} |")
            last = claim
        parts.append("\n".join(lines))
        notes = [f"* {claim.claim} {claim.note}" for claim in paper.claims if claim.note]
        parts += ["\n".join(notes)] if notes else []
    with atomic_open(out) as stream:
        stream.write("\n\n".join(parts) + "\n")


def row(paper: Paper, claim: Claim, name: str, decision: Decision, beside: Path, root: Path) -> list[str]:
    """What stands after the claim itself."""
    ground = paper.grounds[name]
    stream, metric = asked_for(claim, ground)
    said = published(claim, ground)
    if decision.compared is None:
        return [said, name, NOTHING, NOTHING, f"{NOT_RUN}: `{ground.run}`"]
    link = f"[{name}]({os.path.relpath(root / ground.results, beside)})"
    half = figure(decision.half_interval, metric)
    here = f"{figure(decision.advantage, metric, '+')} ± {half} {unit(stream, metric)}, p {decision.compared.p:.3f}, "
    verdict = f"**{decision.verdict}**" + ("" if decision.compared.over_seeds else ONE_TRAINING)
    verdict += f": {decision.why}" if decision.why else ""
    return [said, link, here + trainings(decision), figure(decision.smallest, metric), verdict]


def unit(stream: str, metric: str) -> str:
    return f"{METRIC_NAMES.get(metric, metric)} ({stream})"


def trainings(decision: Decision) -> str:
    """`3 seeds`, `1 and 3 trainings` or `1 training`."""
    assert decision.compared
    a, b = decision.compared.trainings
    if not decision.compared.over_seeds:
        return "1 training"
    return f"{a} seeds" if a == b else f"{a} and {b} trainings"


def published(claim: Claim, ground: Ground) -> str:
    """`19.82, 18.08 En-De (Table 1)`, or where it stands alone."""
    pair, figures = published_for(claim, ground)
    return claim.source if figures is None else f"{_figures(figures)} {pair} ({claim.source})"


def _figures(figures: Any) -> str:
    if isinstance(figures, list):
        decimals = max(len(str(x).partition(".")[2]) for x in figures)
        return ", ".join(f"{x:.{decimals}f}" for x in figures)
    return figures if isinstance(figures, str) else f"{figures:+}"
