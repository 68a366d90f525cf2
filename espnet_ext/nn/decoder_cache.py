"""The Transformer decoder one position at a time, for many utterances and hypotheses at once.

Nothing is ever reordered: the keys and values of every hypothesis that an utterance has had stay where they were
written, and a mask says which of them are ancestors of which hypothesis. Memory is kept once per utterance.
"""

# B utterances, K hypotheses of each, S slots written so far (K per step), T memory frames, D width, H heads, E width of
# a head, V vocabulary

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.machine.int8_linear import Int8Linear
from espnet_ext.machine.onednn_linear import PackedLinear
from espnet_ext.nn.attention import padding_mask
from espnet_ext.nn.decoder import DecoderLayer, TransformerDecoder

FIRST_SLOTS = 128  # room at the start; doubled when full
FEW = 4  # utterances; for more, plain matrix products beat the fused attention on CPUs


def fuse(parts: list[Any]) -> Callable[[Tensor], Tensor]:
    """Several linear layers on the same input as one product; made once of layers that no longer learn."""
    first = parts[0]
    if isinstance(first, Int8Linear | PackedLinear):
        first.fused = first.fused or [type(first).joined(parts)]
        return first.fused[0]
    weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
    return lambda x: F.linear(x, weight, bias)


def move_rows(buffer: Tensor, rows: Tensor, changed: Tensor) -> Tensor:
    """`buffer[rows]` in place: only rows that change their position are copied."""
    if len(changed):
        buffer[changed] = buffer[rows[changed]]
    return buffer[: len(rows)]


def read(q_BHKE: Tensor, bias: Tensor | None, k_BHSE: Tensor, v_BHSE: Tensor) -> Tensor:
    """Attention of few queries to many keys, (B, K, D); `bias` is -inf where a query may not look."""
    if len(q_BHKE) <= FEW:
        read_BHKE = F.scaled_dot_product_attention(q_BHKE, k_BHSE, v_BHSE, attn_mask=bias)
    else:
        scores_BHKS = (q_BHKE * q_BHKE.size(-1) ** -0.5) @ k_BHSE.transpose(2, 3)
        if bias is not None:
            scores_BHKS += bias
        read_BHKE = scores_BHKS.softmax(-1) @ v_BHSE
    return read_BHKE.transpose(1, 2).flatten(2)


class Slots:
    """Keys and values of all the hypotheses that a stream has had, in one layer."""

    def __init__(self) -> None:
        self.written = 0
        self.room_2BHSE: list[Tensor] = []

    def write(self, kv_2BHKE: list[Tensor]) -> list[Tensor]:
        """Append this step's keys and values; returns all of them."""
        rows, heads, new, width = kv_2BHKE[0].shape
        written, self.written = self.written, self.written + new
        if not self.room_2BHSE:
            self.room_2BHSE = [x_BHKE.new_empty(rows, heads, FIRST_SLOTS, width) for x_BHKE in kv_2BHKE]
        if self.written > self.room_2BHSE[0].size(2):
            for i, full_BHSE in enumerate(self.room_2BHSE):
                wider_BHSE = full_BHSE.new_empty(rows, full_BHSE.size(1), 2 * self.written, full_BHSE.size(3))
                wider_BHSE[:, :, :written] = full_BHSE[:, :, :written]
                self.room_2BHSE[i] = wider_BHSE
        for room_BHSE, x_BHKE in zip(self.room_2BHSE, kv_2BHKE):
            room_BHSE[:, :, written : self.written] = x_BHKE
        return self.kv_2BHSE

    @property
    def kv_2BHSE(self) -> list[Tensor]:
        return [room_BHSE[:, :, : self.written] for room_BHSE in self.room_2BHSE]

    def keep(self, rows: Tensor, changed: Tensor) -> None:
        for kept_BHSE in self.kv_2BHSE:
            move_rows(kept_BHSE, rows, changed)
        self.room_2BHSE = [room_BHSE[: len(rows)] for room_BHSE in self.room_2BHSE]


class LayerCache:
    """One decoder layer: the keys and values of its memories, and those written so far."""

    def __init__(self, layer: DecoderLayer, memories: Sequence[Tensor]) -> None:
        self.layer = layer
        self.heads = layer.self_attn.heads
        self.width = layer.head_width
        self.qkv = fuse(layer.projections())
        self.memories = []
        for (_, source), memory_BTD in zip(layer.sources(), memories, strict=True):
            kv_2BHTE = self.split(fuse([source.linear_k, source.linear_v])(memory_BTD), 2)
            self.memories.append([x_BHTE.contiguous() for x_BHTE in kv_2BHTE])
        self.slots = Slots()

    def split(self, x_BLD: Tensor, parts: int) -> list[Tensor]:
        """(B, L, parts * D) as one (B, H, L, E) for each part, without a copy."""
        return list(x_BLD.unflatten(-1, (parts, -1, self.width)).permute(2, 0, 3, 1, 4))

    def project(self, x_BKD: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Queries, and keys and values, of self-attention."""
        q_BHKE, *kv_2BHKE = self.split(self.qkv(self.layer.before(x_BKD, self.layer.norm1)), 3)
        return q_BHKE, kv_2BHKE

    def step(self, x_BKD: Tensor, own_bias: Tensor | None, memory_biases: Sequence[Tensor | None]) -> Tensor:
        q_BHKE, kv_2BHKE = self.project(x_BKD)
        return self.finish(x_BKD, read(q_BHKE, own_bias, *self.slots.write(kv_2BHKE)), memory_biases)

    def finish(self, x_BKD: Tensor, read_BKD: Tensor, memory_biases: Sequence[Tensor | None]) -> Tensor:
        """The rest of the layer, from what self-attention has read."""
        layer = self.layer
        x_BKD = layer.after(x_BKD + layer.dropout(layer.self_attn.linear_out(read_BKD)), layer.norm1)
        for (norm, source), kv_2BHTE, bias in zip(layer.sources(), self.memories, memory_biases):
            # The hypotheses of an utterance are the queries of one attention over its memory.
            q_BHKE = source.split(source.linear_q(layer.before(x_BKD, norm)))
            heard_BKD = source.linear_out(read(q_BHKE, bias, *kv_2BHTE))
            x_BKD = layer.after(x_BKD + layer.dropout(heard_BKD), norm)
        return layer.feed(x_BKD)

    def keep(self, rows: Tensor, changed: Tensor, frames: Sequence[int]) -> None:
        self.keep_memories(rows, changed, frames)
        self.slots.keep(rows, changed)

    def keep_memories(self, rows: Tensor, changed: Tensor, frames: Sequence[int]) -> None:
        self.memories = [
            [move_rows(x_BHTE, rows, changed)[:, :, :longest] for x_BHTE in kv_2BHTE]
            for kv_2BHTE, longest in zip(self.memories, frames)
        ]


class Memories:
    """What all hypotheses of an utterance read: lengths and masks."""

    def __init__(self, memories: Sequence[tuple[Tensor, Tensor]]) -> None:
        self.states = [x_BTD for x_BTD, _ in memories]
        self.dtype = self.states[0].dtype
        self.lengths = [lengths_B.to(x_BTD.device) for x_BTD, lengths_B in memories]
        self.frames = [x_BTD.size(1) for x_BTD in self.states]
        self.biases = self.make_biases()

    def make_biases(self) -> list[Tensor | None]:
        return [self.bias(padding_mask(lengths_B, frames)) for lengths_B, frames in zip(self.lengths, self.frames)]

    def bias(self, mask: Tensor | None) -> Tensor | None:
        """What is added to the scores of attention: -inf where the mask is false."""
        return None if mask is None else torch.zeros_like(mask, dtype=self.dtype).masked_fill_(~mask, -torch.inf)

    def keep(self, rows: Tensor) -> Tensor:
        """Go on with these utterances; returns the rows that have changed their place."""
        self.lengths = [lengths_B[rows] for lengths_B in self.lengths]
        self.frames = [int(lengths_B.max()) for lengths_B in self.lengths]
        self.biases = self.make_biases()
        return (rows != torch.arange(len(rows), device=rows.device)).nonzero()[:, 0]


def add_slots(ancestors_BKS: Tensor, hypotheses: int) -> Tensor:
    """The masks of ancestors once each hypothesis has written a slot of its own."""
    own = torch.eye(hypotheses, dtype=torch.bool, device=ancestors_BKS.device).expand(len(ancestors_BKS), -1, -1)
    return torch.cat([ancestors_BKS, own], dim=2)


def select(masks_BKS: Tensor, index_BK: Tensor) -> Tensor:
    """The masks of these hypotheses."""
    return masks_BKS.gather(1, index_BK[:, :, None].expand(-1, -1, masks_BKS.size(2)))


class CachedDecoder:
    """A decoder in the middle of decoding: a scorer for search.beam."""

    def __init__(
        self, decoder: TransformerDecoder, memory_BTD: Tensor, lengths_B: Tensor, *others: tuple[Tensor, Tensor]
    ) -> None:
        """`others` are the further memories of a decoder that has several."""
        self.decoder = decoder
        self.memories = Memories([(memory_BTD, lengths_B), *others])
        self.layers = [LayerCache(layer, self.memories.states) for layer in decoder.decoders]
        self.ancestors_BKS = torch.ones(len(memory_BTD), 1, 0, dtype=torch.bool, device=memory_BTD.device)
        self.steps = self.position = 0
        if decoder.prefix_B1D is not None:
            self.advance(decoder.prefix_of(memory_BTD))

    def states(self, tokens_BK: Tensor) -> Tensor:
        """(B, K, D): the last layer's state after one more token of each hypothesis."""
        x_BKD = self.advance(self.decoder.embedded_at(tokens_BK, self.position))
        self.position += 1
        return self.decoder.last(x_BKD)

    def advance(self, x_BKD: Tensor) -> Tensor:
        """What the last layer makes of one more vector of each hypothesis."""
        self.ancestors_BKS = add_slots(self.ancestors_BKS, x_BKD.size(1))
        # With one hypothesis at every step so far, all slots are its ancestors.
        one = self.ancestors_BKS.size(2) == self.steps + 1
        own_bias = None if one else self.memories.bias(self.ancestors_BKS[:, None])
        for layer in self.layers:
            x_BKD = layer.step(x_BKD, own_bias, self.memories.biases)
        self.steps += 1
        return x_BKD

    def step(self, tokens_BK: Tensor) -> Tensor:
        """(B, K, V): log-probabilities of what follows the given last token of each hypothesis."""
        return self.decoder.output(self.states(tokens_BK)).float().log_softmax(-1)

    def reorder(self, parents_BK: Tensor) -> None:
        """Hypothesis k of an utterance now continues what was its hypothesis parents[k]."""
        self.ancestors_BKS = select(self.ancestors_BKS, parents_BK)

    def keep(self, rows: Tensor) -> None:
        """Go on with these utterances only, in this order."""
        changed = self.memories.keep(rows)
        self.ancestors_BKS = self.ancestors_BKS[rows]
        for layer in self.layers:
            layer.keep(rows, changed, self.memories.frames)
