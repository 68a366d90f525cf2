"""Examples of a dump directory by index, features and token ids, and batches of tensors of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from espnet_ext.data.ark import FeatureReader
from espnet_ext.data.subwords import Subwords
from espnet_ext.data.text import TextIndex, TokenIndex, digest_keys

if TYPE_CHECKING:
    import torch

PADDING = {"speech": 0.0, "src_text": -1, "text": -1}
STEPS = {"speech": 32, "src_text": 4, "text": 4}  # widths of batches are multiples: few shapes, so few kernels are made
Item = tuple[str, dict[str, np.ndarray]]


class TextPart:
    """One text of each example: its token ids, or sampled segmentations where sampling is on."""

    def __init__(self, folder: Path, subwords: Subwords, alpha: float | None) -> None:
        self.index = TextIndex(folder)
        self.tokens = TokenIndex.open(self.index, subwords)
        self._subwords, self._alpha = subwords, alpha

    @property
    def lengths(self) -> np.ndarray:
        return self.tokens.lengths

    def read(self, i: int, seed: Sequence[int]) -> np.ndarray:
        if self._alpha is None:
            return self.tokens[i]
        return np.asarray(self._subwords.sample(self.index[i], seed, self._alpha), np.int64)


class WaveformPart:
    """The samples of each example; their lengths are in frames of features, by which batches are measured."""

    def __init__(self, folder: Path) -> None:
        from espnet_ext.espnet.inputs import RATE, Waveforms

        self._data = Waveforms(folder)
        self.keys = self._data.keys
        self._hop = RATE // 100

    def __len__(self) -> int:
        return len(self._data)

    def key(self, i: int) -> str:
        return self.keys[i]

    @property
    def lengths(self) -> np.ndarray:
        return self._data.lengths[:, 0] // self._hop

    def read(self, i: int) -> np.ndarray:
        return self._data.item(i)[1]["speech"]


class SpeechTextData:
    """The examples of a set: `speech`, `src_text` (the transcript) and `text` (the translation), as `names` asks.

    With `sample`, the alpha of sub-word regularisation, each reading segments the text anew; for training only.
    """

    def __init__(
        self,
        dump_dir: str | Path,
        src_lang: str | None = None,
        tgt_lang: str | None = None,
        src_subwords: Subwords | None = None,
        tgt_subwords: Subwords | None = None,
        names: Sequence[str] = ("speech", "src_text", "text"),
        sample: float | None = None,
        waveforms: bool = False,
    ) -> None:
        self.dump_dir, self.names = Path(dump_dir), tuple(names)
        if not names or not set(names) <= set(PADDING):
            raise ValueError(f"data names {' '.join(names) or '(none)'}: choose from {' '.join(PADDING)}")
        sources = {"src_text": (src_lang, src_subwords), "text": (tgt_lang, tgt_subwords)}
        self._speech: FeatureReader | WaveformPart | None = None
        if "speech" in names:
            self._speech = WaveformPart(self.dump_dir) if waveforms else FeatureReader(self.dump_dir)
        self._texts: dict[str, TextPart] = {}
        for name in self.names:
            if name != "speech":
                lang, subwords = sources[name]
                if lang is None or subwords is None:
                    raise ValueError(f"{dump_dir}: {name} needs its language and its sub-words")
                self._texts[name] = TextPart(self.dump_dir / f"text.{lang}", subwords, sample)
        self._check_keys()

    def _check_keys(self) -> None:
        """Refuse parts with different ids: an example would be put together from several utterances."""
        sources: dict[str, FeatureReader | WaveformPart | TextIndex] = {}
        if self._speech is not None:
            sources["speech"] = self._speech
        sources |= {part.index.folder.name: part.index for part in self._texts.values()}
        first = next(iter(sources))
        self._keys = sources[first]
        if len(sources) == 1:
            return
        digests = {
            name: part.keys_digest if isinstance(part, TextIndex) else digest_keys(map(part.key, range(len(part))))
            for name, part in sources.items()
        }
        for other in sources:
            if digests[other] != digests[first]:
                a, b = sources[first], sources[other]
                at = next((i for i in range(min(len(a), len(b))) if a.key(i) != b.key(i)), min(len(a), len(b)))
                found = [s.key(at) if at < len(s) else "nothing" for s in (a, b)]
                raise ValueError(
                    f"{self.dump_dir}: {first} ({len(a)}) and {other} ({len(b)}) have different ids, "
                    f"from number {at + 1}: {found[0]}, {found[1]}; make the dump directory again"
                )

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, i: int) -> str:
        return self._keys.key(i)

    @property
    def keys(self) -> Sequence[str]:
        return self._keys.keys

    @property
    def lengths(self) -> np.ndarray:
        """(N, K): frames or tokens, a column for each of `names`; tokens are those without sampling."""
        parts = [self._speech if name == "speech" else self._texts[name] for name in self.names]
        return np.stack([part.lengths for part in parts if part is not None], axis=1)

    def item(self, i: int, seed: Sequence[int] = ()) -> Item:
        """Example i as (id, parts); `seed` is what sampled segmentations depend on, beside i."""
        parts: dict[str, np.ndarray] = {}
        for column, name in enumerate(self.names):
            if self._speech is not None and name == "speech":
                parts[name] = self._speech.read(i)
            else:
                parts[name] = self._texts[name].read(i, [*seed, i, column])
        return self.key(i), parts

    __getitem__ = item


def collate(items: Sequence[Item]) -> tuple[list[str], dict[str, torch.Tensor]]:
    """Pad examples to one batch: each part as NAME and NAME_lengths; speech padded with 0, text with -1."""
    import torch

    batch: dict[str, torch.Tensor] = {}
    for name in items[0][1]:
        parts = [item[1][name] for item in items]
        lengths = [len(part) for part in parts]
        width = -(-max(lengths) // STEPS[name]) * STEPS[name]
        padded = np.full((len(parts), width, *parts[0].shape[1:]), PADDING[name], parts[0].dtype)
        for row, part in zip(padded, parts):
            row[: len(part)] = part
        batch[name] = torch.from_numpy(padded)
        batch[f"{name}_lengths"] = torch.tensor(lengths, dtype=torch.int64)
    return [item[0] for item in items], batch
