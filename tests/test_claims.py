"""Claims of the papers: verdicts by the rules of the page, from the list to the table; the list names what exists."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from espnet_ext import claims
from espnet_ext.infra.files import write_json
from espnet_ext.reporting.claims import ClaimError, Ground, Paper, asked_for, effect_of, judge, read_claims, systems_of
from espnet_ext.reporting.result_file import Compared
from espnet_ext.training.config import read_config

ROOT = Path(__file__).parent.parent
LIST = ROOT / "docs/claims.yaml"
PAPERS = {paper.name: paper for paper in read_claims(LIST)}


def compared(difference: float, p: float, se: float = 1.0, df: float = 1e6) -> Compared:
    return Compared(difference, p, se, df, True, (3, 3), 20.0)


# With se 1 and many degrees of freedom the interval reaches 1.96 points to either side.
@pytest.mark.parametrize(
    "difference, p, sign, effect, verdict, why",
    [
        (2.5, 0.01, 1, 1.0, "holds", ""),
        (2.5, 0.01, 1, None, "holds", ""),
        (-2.5, 0.01, -1, 1.0, "holds", ""),  # a WER
        (2.5, 0.01, -1, 1.0, "does not hold", "the opposite was found"),
        (-2.5, 0.01, 1, 9.0, "does not hold", "the opposite was found"),
        (1.5, 0.05, 1, 3.45, "undecided", ""),
        (1.5, 0.05, 1, 3.47, "does not hold", "the published effect lies above the interval"),
        (-1.5, 0.2, 1, 0.45, "undecided", ""),
        (-1.5, 0.2, 1, 0.47, "does not hold", "the published effect lies above the interval"),
        (1.5, 0.2, -1, 0.47, "does not hold", "the published effect lies above the interval"),  # a WER
        (1.5, 0.2, 1, None, "undecided", ""),
        (0.0, 1.0, 1, 5.0, "does not hold", "the published effect lies above the interval"),
    ],
)
def test_the_verdict(difference: float, p: float, sign: int, effect: float | None, verdict: str, why: str) -> None:
    found = judge(compared(difference, p), sign, effect)
    assert (found.verdict, found.why) == (verdict, why)
    assert found.advantage == sign * difference


def test_what_could_be_seen_is_found_in_80_percent_of_experiments() -> None:
    from scipy.stats import nct, t

    found = judge(compared(0, 1, se=2.0, df=12), 1, None)
    power = nct.sf(t.ppf(0.975, 12), 12, found.smallest / 2.0)
    assert power == pytest.approx(0.8, abs=0.02)
    assert found.half_interval == pytest.approx(2 * 2.17881, abs=1e-4)
    assert found.smallest == pytest.approx(2 * (2.17881 + 0.87261), abs=1e-4)


@pytest.mark.parametrize(
    "figures, metric, score, effect",
    [
        ([19.8, 18.0], "bleu", 60.0, 1.8),
        ([13.2, 14.5], "wer", 8.0, 1.3),
        ([14.5, 13.2], "wer", 8.0, -1.3),
        ("25 %", "wer", 8.0, 2.0),
        ("25 %", "wer", None, None),
        (2.5, "bleu", 30.0, 2.5),
        (None, "bleu", 30.0, None),
    ],
)
def test_a_published_effect_is_in_points(figures: Any, metric: str, score: float | None, effect: float | None) -> None:
    assert effect_of(figures, metric, score) == (None if effect is None else pytest.approx(effect))


METHOD = {
    "title": "A Method (A. et al.)",
    "page": "method.md",
    "grounds": {
        "toy": {"results": "egs/toy/RESULTS.md", "set": "test", "like": "En-De", "run": "egs/toy/run.sh"},
        "far": {"results": "egs/far/RESULTS.md", "set": "test", "run": "egs/far/run.sh", "at": "al"},
    },
    "claims": [
        {
            "claim": "New is better than old.",
            "better": "new",
            "than": "old",
            "stream": "st",
            "metric": "bleu",
            "published": {"En-Fr": [30, 29], "En-De": [20.5, 19.75]},
            "source": "Table 1",
            "note": "Because.",
        },
        {
            "claim": "Old recognises better.",
            "better": "old",
            "than": "new",
            "stream": "asr",
            "metric": "wer",
            "published": {},
            "source": "section 2",
            "only": ["toy"],
        },
    ],
}


def page_of(root: Path, monkeypatch: pytest.MonkeyPatch, method: dict[str, Any] = METHOD) -> str:
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs/claims.yaml").write_text(yaml.safe_dump({"method": method}, sort_keys=False))
    monkeypatch.chdir(root)
    claims.main([])
    return (root / "docs/claims.md").read_text()


def add_results(root: Path) -> None:
    rows = {"systems": {"new": {"n": 3, "score": 22.0}, "old": {"n": 3, "score": 20.0}}}
    bleu = rows | {"pairs": {"old": {"new": [-2.0, 0.004, 0.5, 8.0, True]}}}
    wer = rows | {"pairs": {"old": {"new": [-0.5, 0.3, 0.5, 99, False]}}}
    write_json(root / "egs/toy/RESULTS.json", {"sets": {"test": {"st": {"bleu": bleu}, "asr": {"wer": wer}}}})
    write_json(root / "egs/far/RESULTS.json", {"sets": {"test": {"st": {"bleu_at_al": {"systems": {}, "pairs": {}}}}}})


def rows_of(page: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")][2:]


def test_the_page_has_a_row_for_each_claim_and_ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_results(tmp_path)
    page = page_of(tmp_path, monkeypatch)
    better, elsewhere, recognises = rows_of(page)
    assert better[:3] == ["New is better than old.", "20.50, 19.75 En-De (Table 1)", "[toy](../egs/toy/RESULTS.md)"]
    assert better[3:] == ["+2.0 ± 1.2 BLEU (st), p 0.004, 3 seeds", "1.6", "**holds**"]
    assert elsewhere == ["", "30, 29 En-Fr (Table 1)", "far", "-", "-", "not run: `egs/far/run.sh`"]
    assert recognises[1] == "section 2" and recognises[3] == "+0.50 ± 0.99 WER (asr), p 0.300, 1 training"
    assert recognises[5] == "**undecided** for these trainings"
    assert "holds: 1, undecided: 1, not run: 1." in page and "* New is better than old. Because." in page


def test_less_than_at_most_so_much_does_not_contradict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_results(tmp_path)
    for pair, verdict in (("En-De", "does not hold"), ("at most", "undecided")):
        claim = METHOD["claims"][1] | {"published": {pair: "90 %"}}
        grounds = {"toy": METHOD["grounds"]["toy"] | {"like": pair}}
        (row,) = rows_of(page_of(tmp_path, monkeypatch, METHOD | {"grounds": grounds, "claims": [claim]}))
        assert row[1] == f"90 % {pair} (section 2)" and row[5].startswith(f"**{verdict}** for these trainings")


def test_systems_may_have_other_names_on_a_ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_results(tmp_path)
    claim = METHOD["claims"][0] | {"better": "fresh", "only": ["toy"]}
    rows = []
    for systems in ({}, {"fresh": "new"}):
        grounds = {"toy": METHOD["grounds"]["toy"] | {"systems": systems}}
        rows += rows_of(page_of(tmp_path, monkeypatch, METHOD | {"grounds": grounds, "claims": [claim]}))
    assert [row[5] for row in rows] == ["not run: `egs/toy/run.sh`", "**holds**"]


def test_what_was_never_run_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(page_of(tmp_path, monkeypatch))
    assert [row[5] for row in rows] == [f"not run: `egs/{name}/run.sh`" for name in ("toy", "far", "toy")]
    assert not any("](" in cell for row in rows for cell in row)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"published": {"En-De": [18, 19]}}, r"En-De: \[18, 19\] is no effect in the claimed direction"),
        ({"published": {"En-De": "much"}}, "En-De: much is no effect in the claimed direction"),
        ({"published": {"En-De": "many %"}}, "En-De: many % is no effect in the claimed direction"),
        ({"published": {"En-De": ["a", "b"]}}, "is no effect in the claimed direction"),
        ({"only": ["moon"]}, "unknown ground 'moon'; choose from toy, far"),
        ({"metric": ""}, "neither the claim nor its ground says the stream and the metric; add them"),
        ({"worse": "x"}, "unknown entry 'worse'; choose from better, claim"),
        ({"source": None}, "missing 1 required positional argument: 'source'"),
    ],
)
def test_a_slip_in_the_list_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    said = {key: value for key, value in (METHOD["claims"][0] | change).items() if value is not None}
    with pytest.raises(SystemExit, match=rf"claims: docs/claims.yaml: method: 'New is better than old.': .*{message}"):
        page_of(tmp_path, monkeypatch, METHOD | {"claims": [said]})


def test_the_page_of_the_project_is_made_of_its_list_and_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "egs").symlink_to(ROOT / "egs")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/claims.yaml").write_bytes(LIST.read_bytes())
    monkeypatch.chdir(tmp_path)
    claims.main([])
    made, there = ((root / "docs/claims.md").read_text() for root in (tmp_path, ROOT))
    assert made == there, "docs/claims.md is not of these claims and results: python -m espnet_ext.claims"


def test_damaged_results_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_results(tmp_path)
    (tmp_path / "egs/toy/RESULTS.json").write_text('{"sets": ')
    with pytest.raises(SystemExit, match=r"claims: egs/toy/RESULTS.json:1: not JSON .*; delete it and make it again"):
        page_of(tmp_path, monkeypatch)


GROUNDS = [(paper, ground) for paper in PAPERS.values() for ground in paper.grounds.values()]


@pytest.mark.parametrize("paper", PAPERS.values(), ids=lambda paper: paper.name)
def test_systems_of_the_list_are_systems_of_its_recipes(paper: Paper) -> None:
    assert (ROOT / "docs" / paper.page).exists()
    for claim in paper.claims:
        for ground in (paper.grounds[name] for name in claim.only):
            for name in systems_of(claim, ground):
                assert system_of(name, ground) in systems_in_recipe(ground), f"{claim.claim} {name}"
            assert asked_for(claim, ground)[1] in ("bleu", "wer", "wrong_language")


def system_of(name: str, ground: Ground) -> str:
    """Of `tn d` it is tn; of a value in SWEEP-interactive-wait_k.md, interactive."""
    swept = re.search(r"SWEEP-(\w+)-", ground.results)
    return swept[1] if swept else name.split()[0]


def systems_in_recipe(ground: Ground) -> set[str]:
    return {path.stem for path in (ROOT / ground.results).parent.joinpath("conf").glob("*.yaml")}


@pytest.mark.parametrize("ground", [g for _, g in GROUNDS], ids=lambda g: f"{g.results} {g.stream} {g.at}")
def test_streams_and_values_of_the_list_exist(ground: Ground) -> None:
    recipe = (ROOT / ground.results).parent
    assert (recipe / "run.sh").exists() and ground.results.endswith(".md")
    if ground.at not in ("", "al"):
        key, _, value = ground.at.partition("=")
        assert key == "tasks.de.set" and value in read_config(recipe / "conf/scratch.yaml").values["derived"]


def test_all_papers_are_there() -> None:
    assert list(PAPERS) == ["interactive", "mutual", "transfer", "task-aware", "simultaneous"]
    assert issubclass(ClaimError, ValueError) and all(len(paper.claims) >= 4 for paper in PAPERS.values())
