"""Interactive attention: two streams of tokens whose decoder rows see each other; docs/interactive.md says how.

Stream 0 is the transcript, stream 1 the translation, which runs `wait_k` rows behind.
"""

# B utterances, L positions of a stream, R rows that a decoder has (L, or 2 L if it has both streams, one after the
# other), S = 2 L rows of both streams, N = B or 2 B, D width, H heads, E width of a head

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from espnet_ext.machine.fast_dropout import drop
from espnet_ext.nn.decoder import DecoderLayer, Source, TransformerDecoder, stack_streams, with_masks

FUSIONS = ("linear", "tanh", "gate")
UNSEEN = -30000.0  # far below any score, and with one added still a number of fp16, which ends at -65504


class Fusion(nn.Module):
    """H = H_self + lambda f(H_inter), head by head; f(h) is h, tanh(h), or sigmoid(W [H_self; h] + b) h."""

    def __init__(self, kind: str, weight: float, head_width: int) -> None:
        super().__init__()
        if kind not in FUSIONS:
            raise ValueError(f"unknown fusion {kind!r}; choose from {', '.join(FUSIONS)}")
        self.kind = kind
        self.weight = weight
        self.gate = nn.Linear(2 * head_width, head_width) if kind == "gate" else None

    def forward(self, own: Tensor, inter: Tensor) -> Tensor:
        """Of what was read of one's own stream and of the other, (..., E) each."""
        if self.kind == "tanh":
            inter = inter.tanh()
        elif self.gate is not None:
            inter = inter * self.gate(torch.cat([own, inter], dim=-1)).sigmoid()
        return own + self.weight * inter


class Visible:
    """What rows see of both streams, L rows each; R rows of both, or of one: (B, 1, R, 2 L)."""

    def __init__(self, bias: Tensor, shares: list[Tensor]) -> None:
        self.bias = bias  # added to scores: 0, or UNSEEN; finite, as a row may see nothing of the other stream
        self.shares = shares  # what weights are multiplied by before each sum over the values

    @classmethod
    def of(cls, masks_2BLL: Sequence[Tensor], fusion: Fusion, one_sum: bool) -> "Visible":
        """From what the rows of each stream see of the other; of their own they see what is not after them."""
        size, utterances = masks_2BLL[0].size(-1), len(masks_2BLL[0])
        past = torch.ones(size, size, dtype=torch.bool, device=masks_2BLL[0].device).tril().expand(utterances, -1, -1)
        seen = torch.cat([torch.cat([past, masks_2BLL[0]], 2), torch.cat([masks_2BLL[1], past], 2)], 1)[:, None]
        own = torch.block_diag(*2 * [torch.ones(size, size, device=seen.device)]).expand(utterances, 1, -1, -1)
        inter = seen * (1 - own)
        bias = torch.zeros_like(inter).masked_fill_(~seen, UNSEEN)
        return cls(bias, [own + fusion.weight * inter] if one_sum else [own, inter])

    def to(self, dtype: torch.dtype) -> "Visible":
        if self.bias.dtype == dtype:
            return self
        return Visible(self.bias.to(dtype), [share.to(dtype) for share in self.shares])

    def split(self) -> list["Visible"]:
        """For decoders that have one stream each."""
        parts = (x.chunk(2, dim=2) for x in (self.bias, *self.shares))
        return [Visible(bias, list(shares)) for bias, *shares in zip(*parts, strict=True)]


class InteractiveLayer(DecoderLayer):
    """A decoder layer with interactive attention in the place of self-attention."""

    fusion: Fusion

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.inter_qkv: nn.ModuleList | None = None  # what reads the other stream, where self-attention's do not

    def projections(self) -> list[nn.Linear]:
        own = super().projections()
        if self.inter_qkv is None:
            return own
        return [linear for pair in zip(own, self.inter_qkv, strict=True) for linear in pair]  # type: ignore[misc]

    def project(self, x_BRD: Tensor) -> list[Tensor]:
        """Queries, keys and values, (B, R, D) each; with an attention of its own to the other stream twice D."""
        y_BRD = self.before(x_BRD, self.norm1)
        made = [linear(y_BRD) for linear in self.projections()]
        return made if self.inter_qkv is None else [torch.cat(made[i : i + 2], dim=-1) for i in (0, 2, 4)]

    def first(self, x: Tensor, dim: int) -> Tensor:
        """Of heads side by side, those that read one's own stream."""
        return x if self.inter_qkv is None else x.chunk(2, dim)[0]

    def last(self, x: Tensor, dim: int) -> Tensor:
        """Of heads side by side, those that read the other stream."""
        return x if self.inter_qkv is None else x.chunk(2, dim)[1]

    def interact(self, x_BRD: Tensor, q_BRD: Tensor, k_BSD: Tensor, v_BSD: Tensor, visible: Visible) -> Tensor:
        """x after interactive attention of its rows to the keys and values of both streams, S = 2 L.

        One product gives the scores for both streams; each stream has its own softmax.
        """
        own = self.self_attn
        heads = (x.unflatten(-1, (-1, self.head_width)).transpose(1, 2) for x in (q_BRD, k_BSD, v_BSD))
        q_BHRE, k_BHSE, v_BHSE = heads
        scores_BHRS = (q_BHRE * q_BHRE.size(-1) ** -0.5) @ k_BHSE.transpose(2, 3)
        weights_BHRS = (scores_BHRS + visible.bias).unflatten(-1, (2, -1)).softmax(-1).flatten(-2)
        weights_BHRS = drop(weights_BHRS, own.dropout_rate if self.training else 0.0)
        if len(visible.shares) == 1:
            read_BHRE = (weights_BHRS * visible.shares[0]) @ v_BHSE
        else:
            sides = zip((self.first, self.last), visible.shares, strict=True)
            read_BHRE = self.fusion(*((side(weights_BHRS, 1) * share) @ side(v_BHSE, 1) for side, share in sides))
        return self.after(x_BRD + self.dropout(own.linear_out(own.merge(read_BHRE))), self.norm1)


class InteractiveDecoder(TransformerDecoder):
    """One decoder for both streams, or one of two; alone it is a plain decoder."""

    inter_weight = 0.0

    def make_layer(self, *parts: Any) -> DecoderLayer:
        return InteractiveLayer(*parts)

    def of_streams(self, streams: Sequence[int], sizes: Sequence[int]) -> AbstractContextManager:
        """Inside it the rows that pass are those of these streams, so many of each; a variant may tell them apart."""
        return nullcontext()

    def use_fusion(self, fusion: str, inter_weight: float, own_attention: bool) -> None:
        """Let the rows of the streams see each other, by self-attention's projections or by others."""
        self.inter_weight = inter_weight
        for layer in self.decoders:
            layer.fusion = Fusion(fusion, inter_weight, layer.head_width)
            if own_attention:
                width = layer.head_width * layer.self_attn.heads
                layer.inter_qkv = nn.ModuleList(nn.Linear(width, width) for _ in range(3))


def visible_rows(rows_2B: Sequence[Tensor], size: int, wait_k: float) -> list[Tensor]:
    """(B, L, L) of each stream: row r of the translation sees rows <= r + k of the transcript, row r of that rows
    <= r - k of it: what exists when row r is computed. `rows_2B` count the rows, those of the last tokens included.
    """
    row_L = torch.arange(size, device=rows_2B[0].device)
    ahead_LL = row_L - row_L[:, None]  # how far a row of the other stream lies ahead of one's own
    lags = (-wait_k, rows_2B[1]), (wait_k, rows_2B[0])
    return [(ahead_LL <= lag) & (row_L < other_B[:, None, None]) for lag, other_B in lags]


def interactive_states(
    decoders: Sequence[InteractiveDecoder],
    memory: tuple[Tensor, Tensor],
    tokens_2BL: Sequence[Tensor],
    rows_2B: Sequence[Tensor],
    wait_k: float,
) -> list[Tensor]:
    """(B, L, D) of each stream, teacher-forced, in one pass; `decoders` are the one that both share, or one each."""
    tokens_BSL = stack_streams(tokens_2BL)
    masks = visible_rows(rows_2B, tokens_BSL.size(2), wait_k)
    first = decoders[0].decoders[0]
    # The linear fusion of what the same heads read is one sum over the values of both streams.
    one_sum = first.fusion.kind == "linear" and first.inter_qkv is None
    visible = Visible.of(masks, first.fusion, one_sum)
    parts, memories = len(decoders), with_masks([memory])
    tokens = [x_BSL.flatten(0, 1) for x_BSL in tokens_BSL.chunk(parts, dim=1)]
    xs = [decoder.embed(tokens_NL) for decoder, tokens_NL in zip(decoders, tokens, strict=True)]
    xs = [x_NLD.unflatten(0, (len(tokens_BSL), -1)).flatten(1, 2) for x_NLD in xs]  # (B, R, D): stream after stream
    sizes, streams = [tokens_BSL.size(2)] * 2, [0, 1]
    with ExitStack() as inside:
        for i, decoder in enumerate(decoders):
            inside.enter_context(decoder.of_streams(*((streams, sizes) if parts == 1 else ([i], sizes[:1]))))
        xs = [decoder.entry(x_BRD) for decoder, x_BRD in zip(decoders, xs, strict=True)]
        for layers in zip(*(decoder.decoders for decoder in decoders), strict=True):
            xs, visible = lockstep(layers, xs, memories, visible)
    last = [decoder.last(x_BRD) for decoder, x_BRD in zip(decoders, xs, strict=True)]
    both = last if parts == 2 else last[0].chunk(2, dim=1)
    return [x_BLD[:, : tokens_BL.size(1)] for x_BLD, tokens_BL in zip(both, tokens_2BL, strict=True)]


def lockstep(
    layers: Sequence[InteractiveLayer], xs: list[Tensor], memories: list[Source], visible: Visible
) -> tuple[list[Tensor], Visible]:
    """One layer of both streams, keys and values of both first, as each reads the other's; `visible` in their type."""
    queries, keys, values = zip(*(layer.project(x_BRD) for layer, x_BRD in zip(layers, xs, strict=True)), strict=True)
    k_BSD, v_BSD = ((parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)) for parts in (keys, values))
    visible = visible.to(k_BSD.dtype)
    return [
        layer.look_outside(layer.interact(x_BRD, q_BRD, k_BSD, v_BSD, seen), memories)
        for layer, x_BRD, q_BRD, seen in zip(
            layers, xs, queries, [visible] if len(layers) == 1 else visible.split(), strict=True
        )
    ], visible
