"""The Transformer decoder: ESPnet's parameters, teacher-forced here, step by step in decoder_cache.py."""

# B batch, L target positions, T memory frames, D width, V vocabulary; N = B S rows of tokens, where the S streams of an
# utterance stand one after the other (S is 1 where a decoder writes one stream at a time)

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.nn.attention import Attention, padding_mask

EPSILON = 1e-12  # of ESPnet's layer normalisation
Source = tuple[Tensor, Tensor | None]  # a memory (B, T, D) and where it is no padding


def with_masks(memories: Iterable[tuple[Tensor, Tensor]]) -> list[Source]:
    """Memories and their lengths as memories and their masks."""
    return [(x_BTD, padding_mask(lengths_B, x_BTD.size(1))) for x_BTD, lengths_B in memories]


def stack_streams(tokens_SBL: Sequence[Tensor]) -> Tensor:
    """(B, S, L): the tokens of several streams, padded with 0 to a common length."""
    size = max(tokens_BL.size(1) for tokens_BL in tokens_SBL)
    return torch.stack([F.pad(tokens_BL, (0, size - tokens_BL.size(1))) for tokens_BL in tokens_SBL], dim=1)


class PositionalEncoding(nn.Module):
    """sqrt(D) x plus the sinusoid of its position, with dropout; has no parameters, like ESPnet's."""

    table_LD: Tensor

    def __init__(self, width: int, dropout_rate: float) -> None:
        super().__init__()
        self.scale = math.sqrt(width)
        self.dropout = nn.Dropout(dropout_rate)
        self.register_buffer("table_LD", sinusoids(512, width), persistent=False)

    def rows(self, start: int, end: int) -> Tensor:
        if end > len(self.table_LD):
            with torch.inference_mode(False):  # training may go on with this table
                self.table_LD = sinusoids(2 * end, self.table_LD.size(1)).to(self.table_LD)
        return self.table_LD[start:end]

    def forward(self, x_BLD: Tensor, start: int = 0) -> Tensor:
        return self.dropout(x_BLD * self.scale + self.rows(start, start + x_BLD.size(1)))


def sinusoids(length: int, width: int) -> Tensor:
    """(length, width): sines at even, cosines at odd places."""
    rates = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
    angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


class FeedForward(nn.Module):
    """Two linear layers with a rectifier between."""

    def __init__(self, width: int, hidden: int, dropout_rate: float) -> None:
        super().__init__()
        self.w_1 = nn.Linear(width, hidden)
        self.w_2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x_BLD: Tensor) -> Tensor:
        return self.w_2(self.dropout(F.relu_(self.w_1(x_BLD))))


class DecoderLayer(nn.Module):
    """Self-attention, source attention and feed-forward, each added to its input."""

    def __init__(
        self, width: int, self_attn: Attention, src_attn: Attention, feed_forward: nn.Module, dropout_rate: float
    ) -> None:
        super().__init__()
        self.self_attn = self_attn
        self.src_attn = src_attn
        self.feed_forward = feed_forward
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.norm3 = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout_rate)
        self.normalize_before = True
        self.out = nn.Identity()  # the layer's output goes through it, however it is computed: what modulates hooks on

    @property
    def head_width(self) -> int:
        return self.norm1.normalized_shape[0] // self.self_attn.heads

    def before(self, x_NLD: Tensor, norm: nn.Module) -> Tensor:
        """What a part of the layer reads."""
        return norm(x_NLD) if self.normalize_before else x_NLD

    def after(self, x_NLD: Tensor, norm: nn.Module) -> Tensor:
        """What a part of the layer leaves; ESPnet's decoders may normalise here instead."""
        return x_NLD if self.normalize_before else norm(x_NLD)

    def projections(self) -> list[nn.Linear]:
        """What makes the queries, then the keys, then the values of tokens; as many of each."""
        return [self.self_attn.linear_q, self.self_attn.linear_k, self.self_attn.linear_v]

    def sources(self) -> list[tuple[nn.Module, Attention]]:
        """The attentions to something outside, each with its normalisation, in their order."""
        return [(self.norm2, self.src_attn)]

    def forward(self, x_NLD: Tensor, memories: Sequence[Source]) -> Tensor:
        # Rows look back only, and padding comes last: no mask of the tokens is needed.
        y_NLD = self.before(x_NLD, self.norm1)
        x_NLD = x_NLD + self.dropout(self.self_attn(y_NLD, y_NLD, causal=True))
        return self.look_outside(self.after(x_NLD, self.norm1), memories)

    def look_outside(self, x_NLD: Tensor, memories: Sequence[Source]) -> Tensor:
        """What comes after self-attention; `memories` is one (B, T, D) and its mask for each of `sources`."""
        for (norm, attention), (memory_BTD, mask) in zip(self.sources(), memories, strict=True):
            # The streams of an utterance are queries of one attention, so its keys and values are made once.
            y_BLD = self.before(x_NLD, norm).reshape(len(memory_BTD), -1, x_NLD.size(-1))
            x_NLD = x_NLD + self.dropout(attention(y_BLD, memory_BTD, mask).view_as(x_NLD))
            x_NLD = self.after(x_NLD, norm)
        return self.feed(x_NLD)

    def feed(self, x_NLD: Tensor) -> Tensor:
        """The layer's last part."""
        x_NLD = x_NLD + self.dropout(self.feed_forward(self.before(x_NLD, self.norm3)))
        return self.out(self.after(x_NLD, self.norm3))


class TransformerDecoder(nn.Module):
    """Logits of the next token at every position; constructor and parameters are named as in ESPnet."""

    prefix_B1D: Tensor | None = None  # a vector that stands before the tokens, in the pass for which it is set

    def __init__(
        self,
        vocab_size: int,
        encoder_output_size: int,
        attention_heads: int = 4,
        linear_units: int = 2048,
        num_blocks: int = 6,
        dropout_rate: float = 0.1,
        positional_dropout_rate: float = 0.1,
        self_attention_dropout_rate: float = 0.0,
        src_attention_dropout_rate: float = 0.0,
        input_layer: str = "embed",
        use_output_layer: bool = True,
        normalize_before: bool = True,
        concat_after: bool = False,
        layer_drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if input_layer != "embed" or concat_after or layer_drop_rate:
            raise ValueError(
                f"decoder: input_layer {input_layer!r}, concat_after {concat_after}, layer_drop_rate {layer_drop_rate};"
                " only 'embed', false and 0 are supported"
            )
        width = encoder_output_size
        self.vocab_size = vocab_size
        self.embed = nn.Sequential(nn.Embedding(vocab_size, width), PositionalEncoding(width, positional_dropout_rate))
        self.entry = nn.Identity()  # as DecoderLayer.out: what the first layer reads goes through it
        self.decoders = nn.ModuleList(
            self.make_layer(
                width,
                Attention(attention_heads, width, self_attention_dropout_rate),
                Attention(attention_heads, width, src_attention_dropout_rate),
                FeedForward(width, linear_units, dropout_rate),
                dropout_rate,
            )
            for _ in range(num_blocks)
        )
        for layer in self.decoders:
            layer.normalize_before = normalize_before
        self.after_norm = nn.LayerNorm(width, eps=EPSILON) if normalize_before else None
        self.output_layer = nn.Linear(width, vocab_size) if use_output_layer else None

    def make_layer(self, *parts: object) -> DecoderLayer:
        return DecoderLayer(*parts)  # type: ignore[arg-type]

    def states(
        self, memory_BTD: Tensor, memory_lengths_B: Tensor, tokens_NL: Tensor, *others: tuple[Tensor, Tensor]
    ) -> Tensor:
        """(N, L, D): the last layer at every position, before the output layer; `others` are further memories."""
        memories = with_masks([(memory_BTD, memory_lengths_B), *others])
        x_NLD = self.embedded(tokens_NL)
        if self.prefix_B1D is not None:
            x_NLD = torch.cat([self.prefix_of(x_NLD), x_NLD], dim=1)
        for layer in self.decoders:
            x_NLD = layer(x_NLD, memories)
        return self.last(x_NLD[:, x_NLD.size(1) - tokens_NL.size(1) :])

    def embedded(self, tokens_NL: Tensor) -> Tensor:
        """What the first layer reads."""
        return self.entry(self.embed(tokens_NL))

    def embedded_at(self, tokens_BK: Tensor, position: int) -> Tensor:
        """What the first layer reads of tokens that all stand at one position."""
        embed, encode = self.embed
        return self.entry(embed(tokens_BK) * encode.scale + encode.rows(position, position + 1))

    def prefix_of(self, x_NLD: Tensor) -> Tensor:
        return self.prefix_B1D.to(x_NLD.dtype).expand(len(x_NLD), -1, -1)  # type: ignore[union-attr]

    def last(self, x_NLD: Tensor) -> Tensor:
        return x_NLD if self.after_norm is None else self.after_norm(x_NLD)

    def output(self, x_BLD: Tensor) -> Tensor:
        return x_BLD if self.output_layer is None else self.output_layer(x_BLD)

    def forward(
        self, memory_BTD: Tensor, memory_lengths_B: Tensor, tokens_BL: Tensor, token_lengths_B: Tensor | None = None
    ) -> Tensor:
        """(B, L, V) for inputs that begin with the start tokens; pad them with any valid id.

        Positions past `token_lengths_B` carry no meaning: nothing before them depends on them.
        """
        return self.output(self.states(memory_BTD, memory_lengths_B, tokens_BL))
