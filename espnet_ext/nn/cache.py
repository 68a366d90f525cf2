"""The Transformer decoder one position at a time, for many utterances and hypotheses at once.

Nothing is ever reordered: the keys and values of every hypothesis that an utterance has had stay where they were
written, and a mask says which of them are ancestors of which hypothesis. Memory is kept once per utterance.
"""

# B utterances, K hypotheses of each, S slots written so far (K per step), T memory frames, D width, H heads, E width of
# a head, V vocabulary

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.nn.attention import padding_mask
from espnet_ext.nn.decoder import DecoderLayer, TransformerDecoder
from espnet_ext.nn.packed import PackedLinear

FIRST_SLOTS = 128  # room at the start; doubled when full
FEW = 4  # utterances; for more, plain matrix products beat the fused attention on CPUs


def fuse(parts: list[nn.Linear]) -> Callable[[Tensor], Tensor]:
    """Several linear layers on the same input as one product."""
    if not isinstance(parts[0], nn.Linear | PackedLinear):  # int8 layers keep their weights to themselves
        return lambda x: torch.cat([part(x) for part in parts], dim=-1)
    weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
    if isinstance(parts[0], PackedLinear):
        return PackedLinear(weight, bias)
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


class LayerCache:
    """Keys and values of one decoder layer: those of the memory and those written so far."""

    def __init__(self, layer: DecoderLayer, memory_BTD: Tensor) -> None:
        self.layer = layer
        own, source = layer.self_attn, layer.src_attn
        self.heads = own.heads
        self.qkv = fuse([own.linear_q, own.linear_k, own.linear_v])
        memory_kv = self.split(fuse([source.linear_k, source.linear_v])(memory_BTD), 2)
        self.memory_2BHTE = [x_BHTE.contiguous() for x_BHTE in memory_kv]
        rows, width = len(memory_BTD), self.memory_2BHTE[0].size(3)
        self.slots_2BHSE = [memory_BTD.new_empty(rows, self.heads, FIRST_SLOTS, width) for _ in range(2)]

    def split(self, x_BLD: Tensor, parts: int) -> list[Tensor]:
        """(B, L, parts * D) as one (B, H, L, E) for each part, without a copy."""
        return list(x_BLD.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4))

    def write(self, kv_2BHKE: list[Tensor], written: int) -> list[Tensor]:
        """Append this step's keys and values; returns all of them."""
        rows, _, new, _ = kv_2BHKE[0].shape
        if written + new > self.slots_2BHSE[0].size(2):
            for i, full_BHSE in enumerate(self.slots_2BHSE):
                wider_BHSE = full_BHSE.new_empty(rows, self.heads, 2 * (written + new), full_BHSE.size(3))
                wider_BHSE[:, :, :written] = full_BHSE[:, :, :written]
                self.slots_2BHSE[i] = wider_BHSE
        for slots_BHSE, x_BHKE in zip(self.slots_2BHSE, kv_2BHKE):
            slots_BHSE[:, :, written : written + new] = x_BHKE
        return [slots_BHSE[:, :, : written + new] for slots_BHSE in self.slots_2BHSE]

    def self_attention(self, y_BKD: Tensor, bias: Tensor | None, written: int) -> Tensor:
        q_BHKE, *kv_2BHKE = self.split(self.qkv(y_BKD), 3)
        return self.layer.self_attn.linear_out(read(q_BHKE, bias, *self.write(kv_2BHKE, written)))

    def source_attention(self, y_BKD: Tensor, bias: Tensor | None) -> Tensor:
        # The hypotheses of an utterance are the queries of one attention over its memory.
        source = self.layer.src_attn
        return source.linear_out(read(source.split(source.linear_q(y_BKD)), bias, *self.memory_2BHTE))

    def step(self, x_BKD: Tensor, own_bias: Tensor | None, memory_bias: Tensor | None, written: int) -> Tensor:
        layer = self.layer
        x_BKD = layer.add(x_BKD, layer.norm1, lambda y: self.self_attention(y, own_bias, written))
        x_BKD = layer.add(x_BKD, layer.norm2, lambda y: self.source_attention(y, memory_bias))
        return layer.add(x_BKD, layer.norm3, layer.feed_forward)

    def keep(self, rows: Tensor, changed: Tensor, frames: int, written: int) -> None:
        self.memory_2BHTE = [move_rows(x_BHTE, rows, changed)[:, :, :frames] for x_BHTE in self.memory_2BHTE]
        for slots_BHSE in self.slots_2BHSE:
            move_rows(slots_BHSE[:, :, :written], rows, changed)
        self.slots_2BHSE = [slots_BHSE[: len(rows)] for slots_BHSE in self.slots_2BHSE]


class CachedDecoder:
    """A decoder in the middle of decoding: a scorer for search.beam."""

    def __init__(self, decoder: TransformerDecoder, memory_BTD: Tensor, lengths_B: Tensor) -> None:
        self.decoder = decoder
        self.lengths_B = lengths_B.to(memory_BTD.device)
        self.dtype = memory_BTD.dtype
        self.memory_bias = self.bias(padding_mask(self.lengths_B, memory_BTD.size(1)))
        self.layers = [LayerCache(layer, memory_BTD) for layer in decoder.decoders]
        self.ancestors_BKS = torch.ones(len(memory_BTD), 1, 0, dtype=torch.bool, device=memory_BTD.device)
        self.position = 0

    def bias(self, mask: Tensor | None) -> Tensor | None:
        """What is added to the scores of attention: -inf where the mask is false."""
        return None if mask is None else torch.zeros_like(mask, dtype=self.dtype).masked_fill_(~mask, -torch.inf)

    def states(self, tokens_BK: Tensor) -> Tensor:
        """(B, K, D): the last layer's state after one more token of each hypothesis."""
        hypotheses, written = tokens_BK.size(1), self.ancestors_BKS.size(2)
        own = torch.eye(hypotheses, dtype=torch.bool, device=tokens_BK.device).expand(len(tokens_BK), -1, -1)
        self.ancestors_BKS = torch.cat([self.ancestors_BKS, own], dim=2)
        # With one hypothesis at every step so far, all slots are its ancestors.
        one = written + hypotheses == self.position + 1
        own_bias = None if one else self.bias(self.ancestors_BKS[:, None])
        embed, encode = self.decoder.embed
        x_BKD = embed(tokens_BK) * encode.scale + encode.rows(self.position, self.position + 1)
        for layer in self.layers:
            x_BKD = layer.step(x_BKD, own_bias, self.memory_bias, written)
        self.position += 1
        return x_BKD if self.decoder.after_norm is None else self.decoder.after_norm(x_BKD)

    def step(self, tokens_BK: Tensor) -> Tensor:
        """(B, K, V): log-probabilities of what follows the given last token of each hypothesis."""
        return self.decoder.output(self.states(tokens_BK)).float().log_softmax(-1)

    def reorder(self, parents_BK: Tensor) -> None:
        """Hypothesis k of an utterance now continues what was its hypothesis parents[k]."""
        index = parents_BK[:, :, None].expand(-1, -1, self.ancestors_BKS.size(2))
        self.ancestors_BKS = self.ancestors_BKS.gather(1, index)

    def keep(self, rows: Tensor) -> None:
        """Go on with these utterances only, in this order."""
        changed = (rows != torch.arange(len(rows), device=rows.device)).nonzero()[:, 0]
        self.lengths_B = self.lengths_B[rows]
        frames, written = int(self.lengths_B.max()), self.ancestors_BKS.size(2)
        self.ancestors_BKS = self.ancestors_BKS[rows]
        self.memory_bias = self.bias(padding_mask(self.lengths_B, frames))
        for layer in self.layers:
            layer.keep(rows, changed, frames, written)
