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

FIRST_SLOTS = 64  # room at the start; doubled when full


def fuse(parts: list[nn.Linear]) -> Callable[[Tensor], Tensor]:
    """Several linear layers on the same input as one product."""
    if any(type(part) is not nn.Linear for part in parts):  # int8 layers keep their weights to themselves
        return lambda x: torch.cat([part(x) for part in parts], dim=-1)
    weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
    return lambda x: F.linear(x, weight, bias)


def move_rows(buffer: Tensor, rows: Tensor, changed: Tensor) -> Tensor:
    """`buffer[rows]` in place: only rows that change their position are copied."""
    if len(changed):
        buffer[changed] = buffer[rows[changed]]
    return buffer[: len(rows)]


class LayerCache:
    """Keys and values of one decoder layer: those of the memory and those written so far."""

    def __init__(self, layer: DecoderLayer, memory_BTD: Tensor) -> None:
        self.layer = layer
        self.heads = layer.self_attn.heads
        source = layer.src_attn
        self.qkv = fuse([layer.self_attn.linear_q, layer.self_attn.linear_k, layer.self_attn.linear_v])
        self.memory_BT2HE = self.split(fuse([source.linear_k, source.linear_v])(memory_BTD), 2)
        self.slots_BS2HE = self.memory_BT2HE.new_empty(len(memory_BTD), FIRST_SLOTS, *self.memory_BT2HE.shape[2:])

    def split(self, x_BLD: Tensor, parts: int) -> Tensor:
        return x_BLD.unflatten(-1, (parts, self.heads, -1))

    def write(self, kv_BK2HE: Tensor, written: int) -> Tensor:
        """Append this step's keys and values; returns all of them."""
        rows, new = kv_BK2HE.shape[:2]
        if written + new > self.slots_BS2HE.size(1):
            wider = self.slots_BS2HE.new_empty(rows, 2 * (written + new), *kv_BK2HE.shape[2:])
            wider[:, :written] = self.slots_BS2HE[:, :written]
            self.slots_BS2HE = wider
        self.slots_BS2HE[:, written : written + new] = kv_BK2HE
        return self.slots_BS2HE[:, : written + new]

    def self_attention(self, y_BKD: Tensor, mask_B1KS: Tensor | None, written: int) -> Tensor:
        q_BK1HE, kv_BK2HE = self.split(self.qkv(y_BKD), 3).split([1, 2], dim=2)
        return self.read(q_BK1HE[:, :, 0], self.write(kv_BK2HE, written), mask_B1KS, self.layer.self_attn.linear_out)

    def source_attention(self, y_BKD: Tensor, mask_B11T: Tensor | None) -> Tensor:
        # The hypotheses of an utterance are the queries of one attention over its memory.
        q_BKHE = self.layer.src_attn.linear_q(y_BKD).unflatten(-1, (self.heads, -1))
        return self.read(q_BKHE, self.memory_BT2HE, mask_B11T, self.layer.src_attn.linear_out)

    def read(self, q_BKHE: Tensor, kv_BS2HE: Tensor, mask: Tensor | None, out: nn.Module) -> Tensor:
        k_BSHE, v_BSHE = kv_BS2HE.unbind(2)
        read_BHKE = F.scaled_dot_product_attention(
            q_BKHE.transpose(1, 2), k_BSHE.transpose(1, 2), v_BSHE.transpose(1, 2), attn_mask=mask
        )
        return out(read_BHKE.transpose(1, 2).flatten(2))

    def step(self, x_BKD: Tensor, self_mask: Tensor | None, memory_mask: Tensor | None, written: int) -> Tensor:
        layer = self.layer
        x_BKD = layer.add(x_BKD, layer.norm1, lambda y: self.self_attention(y, self_mask, written))
        x_BKD = layer.add(x_BKD, layer.norm2, lambda y: self.source_attention(y, memory_mask))
        return layer.add(x_BKD, layer.norm3, layer.feed_forward)

    def keep(self, rows: Tensor, changed: Tensor, frames: int, written: int) -> None:
        self.memory_BT2HE = move_rows(self.memory_BT2HE, rows, changed)[:, :frames]
        move_rows(self.slots_BS2HE[:, :written], rows, changed)
        self.slots_BS2HE = self.slots_BS2HE[: len(rows)]


class CachedDecoder:
    """A decoder in the middle of decoding: a scorer for search.beam."""

    def __init__(self, decoder: TransformerDecoder, memory_BTD: Tensor, lengths_B: Tensor) -> None:
        self.decoder = decoder
        self.lengths_B = lengths_B.to(memory_BTD.device)
        self.memory_mask = padding_mask(self.lengths_B, memory_BTD.size(1))
        self.layers = [LayerCache(layer, memory_BTD) for layer in decoder.decoders]
        self.ancestors_BKS = torch.ones(len(memory_BTD), 1, 0, dtype=torch.bool, device=memory_BTD.device)
        self.position = 0

    def states(self, tokens_BK: Tensor) -> Tensor:
        """(B, K, D): the last layer's state after one more token of each hypothesis."""
        hypotheses, written = tokens_BK.size(1), self.ancestors_BKS.size(2)
        own = torch.eye(hypotheses, dtype=torch.bool, device=tokens_BK.device).expand(len(tokens_BK), -1, -1)
        self.ancestors_BKS = torch.cat([self.ancestors_BKS, own], dim=2)
        # With one hypothesis at every step so far, all slots are its ancestors.
        mask = None if written + hypotheses == self.position + 1 else self.ancestors_BKS[:, None]
        embed, encode = self.decoder.embed
        x_BKD = embed(tokens_BK) * encode.scale + encode.rows(self.position, self.position + 1)
        for layer in self.layers:
            x_BKD = layer.step(x_BKD, mask, self.memory_mask, written)
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
        self.memory_mask = padding_mask(self.lengths_B, frames)
        for layer in self.layers:
            layer.keep(rows, changed, frames, written)
