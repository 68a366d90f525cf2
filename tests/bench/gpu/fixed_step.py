"""An experiment: the decoder's step with places for all tokens from the start, so that a CUDA graph can repeat it.

The product's step (nn/decoder_cache.py) keeps every hypothesis where it was written and grows; this one copies the keys
and values of the hypotheses that go on, and always computes with as many places as there are.
"""

# B utterances, K hypotheses, N = B K rows, P places, T memory frames, D width, H heads, E width of a head, V vocabulary

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from espnet_ext.nn.attention import padding_mask
from espnet_ext.nn.decoder import DecoderLayer, TransformerDecoder


class FixedLayer(nn.Module):
    """One layer with its places."""

    def __init__(self, layer: DecoderLayer, memory_BTD: Tensor, rows: int, places: int) -> None:
        super().__init__()
        self.layer, source = layer, layer.src_attn
        self.memory = [source.split(linear(memory_BTD)) for linear in (source.linear_k, source.linear_v)]
        heads = layer.self_attn.heads
        self.own = [memory_BTD.new_zeros(rows, heads, places, memory_BTD.size(-1) // heads) for _ in range(2)]

    def forward(self, x_BKD: Tensor, parents_N: Tensor, place: Tensor, seen_1P: Tensor, mask: Tensor | None) -> Tensor:
        layer, own = self.layer, self.layer.self_attn
        y_BKD = layer.before(x_BKD, layer.norm1)
        for kept_NHPE, linear in zip(self.own, (own.linear_k, own.linear_v), strict=True):
            kept_NHPE.copy_(kept_NHPE[parents_N])
            kept_NHPE.index_copy_(2, place, linear(y_BKD).view(len(parents_N), own.heads, 1, -1))
        q_NHE = own.linear_q(y_BKD).view(len(parents_N), own.heads, 1, -1)
        read_NHE = F.scaled_dot_product_attention(q_NHE, *self.own, attn_mask=seen_1P)
        x_BKD = layer.after(x_BKD + own.linear_out(read_NHE.view_as(x_BKD)), layer.norm1)
        q_BHKE = layer.src_attn.split(layer.src_attn.linear_q(layer.before(x_BKD, layer.norm2)))
        heard_BHKE = F.scaled_dot_product_attention(q_BHKE, *self.memory, attn_mask=mask)
        x_BKD = layer.after(x_BKD + layer.src_attn.linear_out(layer.src_attn.merge(heard_BHKE)), layer.norm2)
        return layer.feed(x_BKD)


class FixedStep(nn.Module):
    """A decoder in the middle of decoding, all of whose tensors stay where they are."""

    def __init__(
        self, decoder: TransformerDecoder, memory_BTD: Tensor, lengths_B: Tensor, hypotheses: int, places: int
    ):
        super().__init__()
        self.decoder, self.mask = decoder, padding_mask(lengths_B, memory_BTD.size(1))
        rows = len(memory_BTD) * hypotheses
        self.layers = nn.ModuleList(FixedLayer(layer, memory_BTD, rows, places) for layer in decoder.decoders)
        self.places_P = torch.arange(places, device=memory_BTD.device)

    def forward(self, tokens_BK: Tensor, parents_N: Tensor, place: Tensor) -> Tensor:
        """(B, K, V): log-probabilities of what follows `tokens`, which stand at `place` (1,) after their parents."""
        embed, encode = self.decoder.embed
        x_BKD = embed(tokens_BK) * encode.scale + encode.table_LD[place]
        for layer in self.layers:
            x_BKD = layer(x_BKD, parents_N, place, (self.places_P <= place)[None], self.mask)
        return self.decoder.output(self.decoder.last(x_BKD)).float().log_softmax(-1)


def captured(step: FixedStep, tokens_BK: Tensor, parents_N: Tensor, place: Tensor) -> Callable[[], Tensor]:
    """The step as a CUDA graph that reads these very tensors; what it gives is overwritten by the next call."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step(tokens_BK, parents_N, place)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found_BKV = step(tokens_BK, parents_N, place)

    def run() -> Tensor:
        graph.replay()
        return found_BKV

    return run
