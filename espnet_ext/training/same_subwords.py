"""Whether a part taken from another system writes the same sub-words: their vectors would mean other ones."""

import re
from collections.abc import Mapping
from pathlib import Path

from espnet_ext.training.errors import TrainError

BY_SUBWORD = re.compile(r"(embed\.0|output_layer|ctc_lo)\.(weight|bias)$")  # a row for each sub-word
SHOWN = 4


def check_subwords(part: str, rows: Mapping[str, int], source: Path, folder: Path) -> None:
    """Refuse the part if one of its tensors has a row for each sub-word of no vocabulary that both systems have.

    `rows` are those of the tensors there, by name. A system whose configuration is not there cannot be asked.
    """
    theirs, ours = token_lists(source.parent), token_lists(folder)
    for name, count in rows.items():
        here = [tokens for tokens in theirs if len(tokens) == count]
        if BY_SUBWORD.search(name) and here and ours and not any(tokens in ours for tokens in here):
            raise TrainError(f"init: {part} from {source}: its sub-words differ: {differences(here[0], ours)}")


def token_lists(folder: Path) -> list[list[str]]:
    import yaml

    path = folder / "config.yaml"
    if not path.exists():
        return []
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast
    config = yaml.load(path.read_text(encoding="utf-8"), loader) or {}
    lists = [config.get(name) for name in ("token_list", "src_token_list")]
    return [tokens for tokens in lists if isinstance(tokens, list)]


def differences(theirs: list[str], ours: list[list[str]]) -> str:
    """How their vocabulary differs from the one of ours that is most like it, and what to do."""
    best = max(ours, key=lambda tokens: len(set(tokens) & set(theirs)))
    only_there = [token for token in theirs if token not in set(best)]
    only_here = [token for token in best if token not in set(theirs)]
    found = f"{len(theirs)} there, {len(best)} here"
    for where, tokens in (("there", only_there), ("here", only_here)):
        if tokens:
            found += f"; only {where}: {' '.join(tokens[:SHOWN])}{' ...' if len(tokens) > SHOWN else ''}"
    if not only_there and not only_here:
        moved = next(i for i, pair in enumerate(zip(theirs, best)) if pair[0] != pair[1])
        found += f"; the same in another order, number {moved} is {theirs[moved]} there and {best[moved]} here"
    return f"{found}; train both with one vocabulary (docs/tasks.md#sub-words), or leave this part out"
