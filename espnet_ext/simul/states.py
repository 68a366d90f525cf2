"""The decoder's states of many translations, each at a position of its own, over a memory that changes."""

# N rows, R of them at work, L new positions, S positions so far, T memory positions, D width, H heads of width E

import torch
from torch import Tensor
from torch.nn import functional as F

from espnet_ext.nn.decoder import DecoderLayer, TransformerDecoder
from espnet_ext.nn.decoder_cache import fuse, read

FIRST_ROOM = 32  # positions; more when needed


def padded(x_NHSE: Tensor, size: int) -> Tensor:
    """The same with room for at least `size` positions."""
    more = size - x_NHSE.size(2)
    return x_NHSE if more <= 0 else F.pad(x_NHSE, (0, 0, 0, max(more, x_NHSE.size(2))))


class LayerStates:
    """Keys and values of one layer: of what is written, and of the memory."""

    def __init__(self, layer: DecoderLayer, rows: int, like: Tensor) -> None:
        self.layer, own = layer, layer.self_attn
        self.heads = own.heads
        self.qkv = fuse([own.linear_q, own.linear_k, own.linear_v])
        ((self.norm, self.source),) = layer.sources()
        self.memory_kv = fuse([self.source.linear_k, self.source.linear_v])
        shape = (rows, self.heads, FIRST_ROOM, like.size(-1) // self.heads)
        self.own_2NHSE = [like.new_zeros(shape) for _ in range(2)]
        self.memory_2NHTE = [like.new_zeros(shape) for _ in range(2)]

    def split(self, x_RLD: Tensor, parts: int) -> list[Tensor]:
        """(R, L, parts * D) as one (R, H, L, E) for each part."""
        return list(x_RLD.unflatten(-1, (parts, self.heads, -1)).permute(2, 0, 3, 1, 4))

    def look_at(self, rows_R: Tensor, memory_RTD: Tensor) -> None:
        frames = memory_RTD.size(1)
        for i, x_RHTE in enumerate(self.split(self.memory_kv(memory_RTD), 2)):
            self.memory_2NHTE[i] = padded(self.memory_2NHTE[i], frames)
            self.memory_2NHTE[i][rows_R, :, :frames] = x_RHTE

    def write(self, x_RLD: Tensor, rows_R: Tensor, places_RL: Tensor, biases: tuple[Tensor, Tensor]) -> Tensor:
        """The layer's output at new positions."""
        layer, (own_bias, memory_bias) = self.layer, biases
        q_RHLE, *kv = self.split(self.qkv(layer.before(x_RLD, layer.norm1)), 3)
        positions = own_bias.size(-1)
        for i, x_RHLE in enumerate(kv):
            self.own_2NHSE[i] = padded(self.own_2NHSE[i], int(places_RL.max()) + 1)
            self.own_2NHSE[i][rows_R[:, None], :, places_RL] = x_RHLE.transpose(1, 2)
        k_RHSE, v_RHSE = (x_NHSE[rows_R, :, :positions] for x_NHSE in self.own_2NHSE)
        read_RLD = layer.self_attn.linear_out(read(q_RHLE, own_bias, k_RHSE, v_RHSE))
        x_RLD = layer.after(x_RLD + layer.dropout(read_RLD), layer.norm1)
        q_RHLE = self.source.split(self.source.linear_q(layer.before(x_RLD, self.norm)))
        k_RHTE, v_RHTE = (x_NHTE[rows_R, :, : memory_bias.size(-1)] for x_NHTE in self.memory_2NHTE)
        heard_RLD = self.source.linear_out(read(q_RHLE, memory_bias, k_RHTE, v_RHTE))
        return layer.feed(layer.after(x_RLD + layer.dropout(heard_RLD), self.norm))


class DecoderStates:
    """A decoder over `rows` translations; padding and other rows do not matter to any of them."""

    def __init__(self, decoder: TransformerDecoder, rows: int, like: Tensor) -> None:
        self.decoder = decoder
        self.layers = [LayerStates(layer, rows, like) for layer in decoder.decoders]
        self.frames_N = torch.zeros(rows, dtype=torch.long, device=like.device)
        self.like = like

    def look_at(self, rows_R: Tensor, memory_RTD: Tensor, lengths_R: Tensor) -> None:
        """These rows read another memory from now on."""
        self.frames_N[rows_R] = lengths_R
        for layer in self.layers:
            layer.look_at(rows_R, memory_RTD)

    def write(self, rows_R: Tensor, tokens_RL: Tensor, first_R: Tensor, counts_R: Tensor) -> Tensor:
        """(R, D): the state after the last of `counts_R` tokens, which stand at `first_R` and after it.

        What stood there before, or comes later, is forgotten.
        """
        steps_L = torch.arange(tokens_RL.size(1), device=tokens_RL.device)
        places_RL = first_R[:, None] + steps_L
        longest, frames_R = int((first_R + counts_R).max()), self.frames_N[rows_R]
        biases = self.bias(places_RL + 1, longest), self.bias(frames_R[:, None], int(frames_R.max()))
        embed, encode = self.decoder.embed
        x_RLD = embed(tokens_RL) * encode.scale + encode.rows(0, int(places_RL.max()) + 1)[places_RL]
        for layer in self.layers:
            x_RLD = layer.write(x_RLD, rows_R, places_RL, biases)
        rows = torch.arange(len(rows_R), device=rows_R.device)
        return self.decoder.last(x_RLD[rows, counts_R - 1])

    def bias(self, visible_RL: Tensor, size: int) -> Tensor:
        """(R, 1, L, size): 0 at the first `visible` positions, -inf at others."""
        hidden = torch.arange(size, device=visible_RL.device) >= visible_RL[..., None]
        return self.like.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None]
