"""The interactive decoder one position of both streams at a time: two_streams.py searches with it.

The hypotheses of both streams go through a shared decoder together, side by side; each stream has its own slots.
"""

# B utterances, K hypotheses (of one stream, or of both side by side), S slots of a stream, P hypotheses set aside,
# D width, H heads, E width of a head, V vocabulary

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from espnet_ext.interactive.decoder import InteractiveDecoder, InteractiveLayer
from espnet_ext.interactive.pairs import Each
from espnet_ext.nn.decoder_cache import LayerCache, Memories, Slots, add_slots, read, select


class Lineage:
    """Which slots of a stream belong to which of its hypotheses, and to those that were set aside."""

    def __init__(self, memory_BTD: Tensor) -> None:
        self.ancestors_BKS = torch.ones(len(memory_BTD), 1, 0, dtype=torch.bool, device=memory_BTD.device)
        self.aside_BPS = self.ancestors_BKS[:, :0]
        self.position = 0

    def extend(self, hypotheses: int, over_BK: Tensor | None) -> None:
        """A slot for each hypothesis; that of one that is over counts for nothing."""
        if self.position == 0:
            self.ancestors_BKS = self.ancestors_BKS.expand(-1, hypotheses, -1)
        written = self.ancestors_BKS.size(2)
        self.ancestors_BKS = add_slots(self.ancestors_BKS, hypotheses)
        if over_BK is not None:
            self.ancestors_BKS[:, :, written:] &= ~over_BK[:, :, None]
        self.aside_BPS = torch.nn.functional.pad(self.aside_BPS, (0, hypotheses))
        self.position += 1

    def all(self) -> Tensor:
        """(B, K + P, S): the hypotheses, then those set aside."""
        return torch.cat([self.ancestors_BKS, self.aside_BPS], dim=1) if self.aside_BPS.size(1) else self.ancestors_BKS

    def keep(self, rows: Tensor) -> None:
        self.ancestors_BKS, self.aside_BPS = self.ancestors_BKS[rows], self.aside_BPS[rows]


@dataclass
class Group:
    """The streams that go through one decoder together in a step, and what they may see of each stream's slots."""

    decoder: int
    streams: list[int]
    sizes: list[int]  # hypotheses of each
    biases: dict[int, Tensor | None]  # by stream; none where there is nothing to see


class PairedLayer:
    """One layer of the shared decoder, or of both."""

    def __init__(self, layers: Sequence[InteractiveLayer], memory_BTD: Tensor) -> None:
        self.layers = layers
        self.caches = [LayerCache(layer, [memory_BTD]) for layer in layers]
        self.slots = [self.caches[0].slots, self.caches[1].slots if len(layers) == 2 else Slots()]

    def step(self, groups: list[Group], xs: list[Tensor], memory_biases: list[Tensor | None]) -> list[Tensor]:
        """(B, K, D) of each group; all keys and values are written before any is read."""
        queries = []
        for group, x_BKD in zip(groups, xs, strict=True):
            q_BHKE, kv_2BHKE = self.caches[group.decoder].project(x_BKD)
            queries.append(q_BHKE)
            parts = zip(*(x_BHKE.split(group.sizes, dim=2) for x_BHKE in kv_2BHKE), strict=True)
            for stream, kv in zip(group.streams, parts, strict=True):
                self.slots[stream].write(list(kv))
        return [
            self.caches[group.decoder].finish(x_BKD, self.interact(group, q_BHKE), memory_biases)
            for group, x_BKD, q_BHKE in zip(groups, xs, queries, strict=True)
        ]

    def interact(self, group: Group, q_BHKE: Tensor) -> Tensor:
        """(B, K, D): what each hypothesis reads of its own stream and of the other's, fused."""
        heard = {s: read(q_BHKE, bias, *self.slots[s].kv_2BHSE) for s, bias in group.biases.items()}
        layer, heads = self.layers[group.decoder], self.caches[group.decoder].heads
        if len(heard) == 1:
            return layer.first(heard[group.streams[0]], dim=-1)
        if len(group.streams) == 2:
            a_BKD, b_BKD = (x_BKD.split(group.sizes, dim=1) for x_BKD in (heard[0], heard[1]))
            own, inter = torch.cat([a_BKD[0], b_BKD[1]], dim=1), torch.cat([b_BKD[0], a_BKD[1]], dim=1)
        else:
            (stream,) = group.streams
            own, inter = heard[stream], heard[1 - stream]
        own, inter = layer.first(own, dim=-1), layer.last(inter, dim=-1)
        return layer.fusion(own.unflatten(-1, (heads, -1)), inter.unflatten(-1, (heads, -1))).flatten(-2)

    def keep(self, rows: Tensor, changed: Tensor, frames: list[int]) -> None:
        for cache in self.caches:
            cache.keep_memories(rows, changed, frames)
        for slots in self.slots:
            slots.keep(rows, changed)


class PairedDecoder:
    """Both streams of an interactive model in the middle of decoding."""

    def __init__(self, decoders: Sequence[InteractiveDecoder], memory_BTD: Tensor, lengths_B: Tensor) -> None:
        self.decoders = decoders
        self.memories = Memories([(memory_BTD, lengths_B)])
        self.layers = [PairedLayer(layers, memory_BTD) for layers in zip(*(d.decoders for d in decoders), strict=True)]
        self.lineages = [Lineage(memory_BTD), Lineage(memory_BTD)]

    def step(self, tokens: Each, partners: Each, over: Each) -> list[Tensor | None]:
        """(B, K, V) of each stream that has tokens: log-probabilities of what follows them; see two_streams.py."""
        positions = [lineage.position for lineage in self.lineages]
        for lineage, tokens_BK, over_BK in zip(self.lineages, tokens, over, strict=True):
            if tokens_BK is not None:
                lineage.extend(tokens_BK.size(1), over_BK)
        groups = self.groups(tokens, partners)
        xs = [self.embed(group, tokens, positions) for group in groups]
        with ExitStack() as inside:
            for group in groups:
                inside.enter_context(self.decoders[group.decoder].of_streams(group.streams, group.sizes))
            for layer in self.layers:
                xs = layer.step(groups, xs, self.memories.biases)
        logps: list[Tensor | None] = [None, None]
        for group, x_BKD in zip(groups, xs, strict=True):
            decoder = self.decoders[group.decoder]
            logp_BKV = decoder.output(decoder.last(x_BKD)).float().log_softmax(-1)
            for stream, part_BKV in zip(group.streams, logp_BKV.split(group.sizes, dim=1), strict=True):
                logps[stream] = part_BKV
        return logps

    def embed(self, group: Group, tokens: Each, positions: list[int]) -> Tensor:
        """(B, K, D): what the first layer reads of the streams of a group, side by side."""
        decoder, found = self.decoders[group.decoder], []
        for stream, size in zip(group.streams, group.sizes, strict=True):
            with decoder.of_streams([stream], [size]):
                found.append(decoder.embedded_at(tokens[stream], positions[stream]))  # type: ignore[arg-type]
        return torch.cat(found, dim=1)

    def groups(self, tokens: Each, partners: Each) -> list[Group]:
        active = [stream for stream in range(2) if tokens[stream] is not None]
        together = [active] if len(self.decoders) == 1 else [[stream] for stream in active]
        found = []
        for streams in together:
            sizes = [tokens[stream].size(1) for stream in streams]  # type: ignore[union-attr]
            decoder = 0 if len(self.decoders) == 1 else streams[0]
            seen = [s for s in range(2) if s in streams or partners[streams[0]] is not None]
            found.append(Group(decoder, streams, sizes, {s: self.bias(s, streams, partners) for s in seen}))
        return found

    def bias(self, seen: int, streams: list[int], partners: Each) -> Tensor | None:
        """What the hypotheses of these streams may see of the slots of `seen`."""
        lineage = self.lineages[seen]
        masks = [
            lineage.ancestors_BKS if stream == seen else select(lineage.all(), partners[stream])  # type: ignore[arg-type]
            for stream in streams
        ]
        return self.memories.bias(torch.cat(masks, dim=1)[:, None])

    def reorder(self, stream: int, parents_BK: Tensor) -> None:
        lineage = self.lineages[stream]
        lineage.ancestors_BKS = select(lineage.ancestors_BKS, parents_BK)

    def set_aside(self, stream: int, chosen_BP: Tensor) -> None:
        lineage = self.lineages[stream]
        lineage.aside_BPS = select(lineage.all(), chosen_BP)

    def keep(self, rows: Tensor) -> None:
        changed = self.memories.keep(rows)
        for lineage in self.lineages:
            lineage.keep(rows)
        for layer in self.layers:
            layer.keep(rows, changed, self.memories.frames)
