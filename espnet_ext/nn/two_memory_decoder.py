"""A decoder that looks at two memories: the encoder's states, and then those of another decoder."""

# N rows of tokens, L positions, D width

from typing import Any

from torch import nn

from espnet_ext.nn.attention import Attention
from espnet_ext.nn.decoder import EPSILON, DecoderLayer, TransformerDecoder


class TwoSourceLayer(DecoderLayer):
    """Self-attention, attention to the encoder, attention to the other decoder, feed-forward."""

    def __init__(self, width: int, self_attn: Attention, src_attn: Attention, *parts: Any) -> None:
        super().__init__(width, self_attn, src_attn, *parts)
        self.text_attn = Attention(src_attn.heads, width, src_attn.dropout_rate)
        self.norm_text = nn.LayerNorm(width, eps=EPSILON)

    def sources(self) -> list[tuple[nn.Module, Attention]]:
        return [*super().sources(), (self.norm_text, self.text_attn)]


class TwoSourceDecoder(TransformerDecoder):
    """Its `states` take the other decoder's states and their lengths after the tokens."""

    def make_layer(self, *parts: Any) -> DecoderLayer:
        return TwoSourceLayer(*parts)
