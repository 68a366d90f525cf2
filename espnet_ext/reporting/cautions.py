"""What a reader must know beside the scores: systems made unlike their neighbours, outputs that say little."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

Results = dict[str, dict[str, Any]]  # scores.json of each system
SEARCH = ("beam", "max_length", "max_ratio", "length_norm")  # of the search, what changes scores most
FEW = 0.5  # different outputs for each different reference; fewer are warned of
CUT = 0.05  # share of the outputs that end at the limit of length; more are warned of


def unlike(results: Results) -> dict[str, list[str]]:
    """The systems whose epochs or search are not those of most that write the same stream, and in what they differ."""
    found: dict[str, list[str]] = {}
    for stream in dict.fromkeys(name for result in results.values() for name in result["scores"]):
        rows = {system: settings(result, stream) for system, result in results.items() if stream in result["scores"]}
        for name in ("epochs", *SEARCH):
            values = {system: row[name] for system, row in rows.items() if row.get(name) is not None}
            usual, times = Counter(values.values()).most_common(1)[0] if values else (None, 0)
            if 2 * times > len(values):  # else there is no neighbour that all others differ from
                for system, value in values.items():
                    if value != usual:
                        found.setdefault(system, []).append(f"{name} {value} (most {stream.upper()} systems: {usual})")
    return {system: list(dict.fromkeys(differences)) for system, differences in found.items()}


def settings(result: dict[str, Any], stream: str) -> dict[str, Any]:
    search = result["decode_options"].get(stream) or {}
    return {"epochs": result.get("epochs"), **{name: search.get(name) for name in SEARCH}}


def warnings(results: Results) -> Iterator[str]:
    """Outputs from which a score says little of translation: all alike, or cut off."""
    for system, result in results.items():
        utterances = result["utterances"]
        for stream, scores in result["scores"].items():
            who = f"{system} ({stream.upper()})"
            wanted, different = scores.get("different_references"), scores.get("different_outputs")
            if wanted and different is not None and different < FEW * wanted:
                said = f"has {different} different outputs for {utterances} utterances"
                yield f"WARNING: {who} {said}, whose references are {wanted} different ones."
            cut = result.get("cut", {}).get(stream, 0)
            if cut > CUT * utterances:
                yield f"WARNING: {cut} of {utterances} outputs of {who} end at the limit of length."


def made_with(results: Results) -> Iterator[str]:
    """`e2e: 9 epochs; ST: beam 5, length_norm 1.0; 300 utterances`, for each system."""
    for system, result in results.items():
        facts = [] if result.get("epochs") is None else [f"{result['epochs']} epochs"]
        for stream in result["scores"]:
            search = {name: value for name, value in settings(result, stream).items() if name in SEARCH and value}
            chosen = ", ".join(f"{name} {value}" for name, value in search.items())
            facts += [f"{stream.upper()}: {chosen}"] if chosen else []
        facts.append(f"{result['utterances']} utterances")
        yield f"{system}: {'; '.join(facts)}"
