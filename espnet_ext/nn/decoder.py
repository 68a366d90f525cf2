"""The Transformer decoder: ESPnet's parameters, teacher-forced here, step by step in cache.py."""

# B batch, L target positions, T memory frames, D width, V vocabulary

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.nn.attention import Attention, padding_mask

EPSILON = 1e-12  # of ESPnet's layer normalisation


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

    def add(self, x_BLD: Tensor, norm: nn.Module, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x plus what `part` makes of it, normalised before (or after, if the decoder says so)."""
        if self.normalize_before:
            return x_BLD + self.dropout(part(norm(x_BLD)))
        return norm(x_BLD + self.dropout(part(x_BLD)))

    def forward(self, x_BLD: Tensor, memory_BTD: Tensor, memory_mask: Tensor | None) -> Tensor:
        # Rows look back only, and padding comes last: no mask of the tokens is needed.
        x_BLD = self.add(x_BLD, self.norm1, lambda y: self.self_attn(y, y, causal=True))
        x_BLD = self.add(x_BLD, self.norm2, lambda y: self.src_attn(y, memory_BTD, memory_mask))
        return self.add(x_BLD, self.norm3, self.feed_forward)


class TransformerDecoder(nn.Module):
    """Logits of the next token at every position; constructor and parameters are named as in ESPnet."""

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

    def states(self, memory_BTD: Tensor, memory_lengths_B: Tensor, tokens_BL: Tensor) -> Tensor:
        """(B, L, D): the last layer at every position, before the output layer."""
        memory_mask = padding_mask(memory_lengths_B, memory_BTD.size(1))
        x_BLD = self.embed(tokens_BL)
        for layer in self.decoders:
            x_BLD = layer(x_BLD, memory_BTD, memory_mask)
        return x_BLD if self.after_norm is None else self.after_norm(x_BLD)

    def output(self, x_BLD: Tensor) -> Tensor:
        return x_BLD if self.output_layer is None else self.output_layer(x_BLD)

    def forward(
        self, memory_BTD: Tensor, memory_lengths_B: Tensor, tokens_BL: Tensor, token_lengths_B: Tensor | None = None
    ) -> Tensor:
        """(B, L, V) for inputs that begin with the start tokens; pad them with any valid id.

        Positions past `token_lengths_B` carry no meaning: nothing before them depends on them.
        """
        return self.output(self.states(memory_BTD, memory_lengths_B, tokens_BL))
