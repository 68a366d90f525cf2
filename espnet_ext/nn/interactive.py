"""Interactive attention: two streams of tokens whose decoder rows see each other; docs/interactive.md says how.

Stream 0 is the transcript, stream 1 the translation, which runs `wait_k` rows behind.
"""

# B utterances, S streams (both, or the one of a decoder of its own), N = B S rows of tokens with the streams of an
# utterance one after the other, L positions, D width, H heads, E width of a head

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.nn.attend import attend
from espnet_ext.nn.decoder import DecoderLayer, Source, TransformerDecoder, stack_streams, with_masks

FUSIONS = ("linear", "tanh", "gate")


class Fusion(nn.Module):
    """H = H_self + lambda f(H_inter), head by head; f(h) is h, tanh(h), or sigmoid(W [H_self; h] + b) h."""

    def __init__(self, kind: str, weight: float, head_width: int) -> None:
        super().__init__()
        if kind not in FUSIONS:
            raise ValueError(f"unknown fusion {kind!r}; choose from {', '.join(FUSIONS)}")
        self.kind = kind
        self.weight = weight
        self.gate = nn.Linear(2 * head_width, head_width) if kind == "gate" else None

    def forward(self, own: Tensor, inter: Tensor, seen: Tensor | None = None) -> Tensor:
        """Of what was read, (..., E) each; `seen` is 0 where there is nothing to see in the other stream, else 1."""
        if self.kind == "tanh":
            inter = inter.tanh()
        elif self.gate is not None:
            inter = inter * self.gate(torch.cat([own, inter], dim=-1)).sigmoid()
        if seen is None:
            return own + self.weight * inter
        return torch.addcmul(own, seen.to(inter.dtype), inter, value=self.weight)


class InteractiveLayer(DecoderLayer):
    """A decoder layer with interactive attention in the place of self-attention."""

    fusion: Fusion

    def project(self, x_NLD: Tensor) -> list[Tensor]:
        """Queries, keys and values, (N, L, D) each."""
        y_NLD, own = self.before(x_NLD, self.norm1), self.self_attn
        return [own.linear_q(y_NLD), own.linear_k(y_NLD), own.linear_v(y_NLD)]

    def interact(
        self, x_NLD: Tensor, qkv_3NLD: Sequence[Tensor], other_2NLD: Sequence[Tensor], visible: "Visible | None"
    ) -> Tensor:
        """x after interactive attention; `other_2NLD` are the keys and values of the other stream."""
        own = self.self_attn
        q_NHLE, k_NHLE, v_NHLE = (own.split(x) for x in qkv_3NLD)
        read_NHLE = own.attend(q_NHLE, k_NHLE, v_NHLE, None, causal=True)
        if visible is not None:
            dropout = own.dropout_rate if self.training else 0.0
            k_NHLE, v_NHLE = (own.split(x) for x in other_2NLD)
            inter_NHLE = attend(q_NHLE, k_NHLE, v_NHLE, visible.bias.to(q_NHLE.dtype), dropout)
            read_NHLE = self.fusion(read_NHLE, inter_NHLE, visible.seen)
        return self.after(x_NLD, self.norm1, own.linear_out(own.merge(read_NHLE)))


class InteractiveDecoder(TransformerDecoder):
    """One decoder for both streams, or one of two; alone it is a plain decoder."""

    inter_weight = 0.0

    def make_layer(self, *parts: Any) -> DecoderLayer:
        return InteractiveLayer(*parts)

    def use_fusion(self, fusion: str, inter_weight: float) -> None:
        """Let the rows of the streams see each other."""
        self.inter_weight = inter_weight
        for layer in self.decoders:
            own = layer.self_attn
            layer.fusion = Fusion(fusion, inter_weight, own.linear_q.out_features // own.heads)


class Visible:
    """Which rows of the other stream a row sees: (N, 1, L, L) to add to scores, and (N, 1, L, 1), 0 where none."""

    def __init__(self, mask_NLL: Tensor) -> None:
        mask = mask_NLL[:, None]
        # Finite, so that what a row reads that sees nothing is finite too, before it is multiplied by 0.
        self.bias = torch.zeros_like(mask, dtype=torch.float32).masked_fill_(~mask, torch.finfo(torch.float16).min)
        self.seen = mask.any(-1, keepdim=True).float()


def visible_rows(rows_2B: Sequence[Tensor], sizes: Sequence[int], wait_k: float) -> list[Tensor]:
    """(B, L, L') of each stream: row r of the translation sees rows <= r + k of the transcript, row r of that rows
    <= r - k of it: what exists when row r is computed. `rows_2B` count the rows, those of the last tokens included.
    """
    masks = []
    for own, other, lag in ((0, 1, -wait_k), (1, 0, wait_k)):
        row_L, column_L = (torch.arange(sizes[s], device=rows_2B[0].device) for s in (own, other))
        masks.append((column_L - row_L[:, None] <= lag) & (column_L < rows_2B[other][:, None, None]))
    return masks


def interactive_states(
    decoders: Sequence[InteractiveDecoder],
    memory: tuple[Tensor, Tensor],
    tokens_2BL: Sequence[Tensor],
    rows_2B: Sequence[Tensor],
    wait_k: float,
) -> list[Tensor]:
    """(B, L, D) of each stream, teacher-forced, in one pass; `decoders` are the one that both share, or one each."""
    shared, groups = len(decoders) == 1, list(tokens_2BL)
    if shared:
        tokens_B2L = stack_streams(tokens_2BL)
        groups, sizes = [tokens_B2L.flatten(0, 1)], [tokens_B2L.size(2)] * 2
    else:
        sizes = [tokens_BL.size(1) for tokens_BL in tokens_2BL]
    visible: list[Visible | None] = [None] * len(decoders)
    if decoders[0].inter_weight:
        masks = visible_rows(rows_2B, sizes, wait_k)
        visible = [Visible(mask) for mask in ([torch.stack(masks, dim=1).flatten(0, 1)] if shared else masks)]
    memories = with_masks([memory])
    xs = [decoder.embed(tokens_NL) for decoder, tokens_NL in zip(decoders, groups, strict=True)]
    for layers in zip(*(decoder.decoders for decoder in decoders), strict=True):
        xs = lockstep(layers, xs, memories, visible)
    xs = [decoder.last(x_NLD) for decoder, x_NLD in zip(decoders, xs, strict=True)]
    if shared:
        xs = list(xs[0].unflatten(0, (-1, 2)).unbind(1))
    return [x_BLD[:, : tokens_BL.size(1)] for x_BLD, tokens_BL in zip(xs, tokens_2BL, strict=True)]


def lockstep(
    layers: Sequence[InteractiveLayer], xs: list[Tensor], memories: list[Source], visible: list[Visible | None]
) -> list[Tensor]:
    """One layer of both streams: keys and values of both first, as each reads the other's."""
    projected = [layer.project(x_NLD) for layer, x_NLD in zip(layers, xs, strict=True)]
    others: list[Sequence[Tensor]] = [()] * len(layers)
    if visible[0] is not None:
        others = [qkv[1:] for qkv in reversed(projected)]
        if len(layers) == 1:
            others = [[swap_streams(x_NLD) for x_NLD in others[0]]]
    return [
        layer.look_outside(layer.interact(x_NLD, qkv, other, seen), memories)
        for layer, x_NLD, qkv, other, seen in zip(layers, xs, projected, others, visible, strict=True)
    ]


def swap_streams(x_NLD: Tensor) -> Tensor:
    """What belongs to the other stream in the place of one's own."""
    return x_NLD.unflatten(0, (-1, 2)).flip(1).flatten(0, 1)
