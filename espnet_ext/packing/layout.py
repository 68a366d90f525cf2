"""What a pack holds: the names of its members, and how large each may be."""

import re

MANIFEST = "manifest.json"
FORMAT = "espnet_ext pack 2"
FORMATS = ("espnet_ext pack 1", FORMAT)  # 1: the weights are a pickle, and there is no card
CARD = "README.md"
PARTS = ("asr", "mt")  # systems that a pipeline names in its configuration
WEIGHTS = ("model.safetensors", "model.pth")
BLOCK = 1 << 20

MEMBER = re.compile(rf"(?:(?:{'|'.join(PARTS)})/)?(?:subwords/[\w-]{{1,64}}/)?([\w.]+)", re.ASCII)
LARGEST = {  # bytes
    "config.yaml": 4 << 20,
    "run.json": 1 << 20,
    CARD: 1 << 20,
    "model.spm": 64 << 20,
    "tokens.txt": 64 << 20,
    **dict.fromkeys(WEIGHTS, 16 << 30),
}
MOST_MEMBERS = 64
LARGEST_MANIFEST = 1 << 20


class PackError(ValueError):
    """A pack that cannot be made or trusted: the file, the member, what was found and what to do."""


def largest(name: str) -> int | None:
    """The bytes that a member may have; None if a pack has no member of this name."""
    match = MEMBER.fullmatch(name)
    return LARGEST.get(match[1]) if match else None
