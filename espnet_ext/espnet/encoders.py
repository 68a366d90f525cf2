"""ESPnet's encoders under their own names and parameter names, mended: no padding leaks, attention is SDPA.

B batch, T frames, D width, N blocks, S frames of a block with its two context vectors.
"""

from typing import Any

import torch
from espnet2.asr.encoder.conformer_encoder import ConformerEncoder as EspnetConformer
from espnet2.asr.encoder.contextual_block_conformer_encoder import (
    ContextualBlockConformerEncoder as EspnetBlockConformer,
)
from espnet2.asr.encoder.contextual_block_transformer_encoder import (
    ContextualBlockTransformerEncoder as EspnetBlockTransformer,
)
from espnet2.asr.encoder.e_branchformer_encoder import EBranchformerEncoder as EspnetEBranchformer
from espnet2.asr.encoder.transformer_encoder import TransformerEncoder as EspnetTransformer
from torch import nn

from espnet_ext.espnet.attention import use_sdpa
from espnet_ext.nn.padding import PaddingFreeConvolutions, length_mask, zero_padding
from espnet_ext.nn.subsampling import INPUT_LAYERS

SLICE_FRAMES = 1000  # of an input that is convolved at once


class PaddingSafeEncoder(nn.Module):
    """What every encoder shares: our input layers beside ESPnet's, lengths that follow the convolutions."""

    embed: Any  # the input layer
    positions_per_block = False  # whether positions are added to blocks, not by the input layer

    def __init__(
        self, input_size: int, output_size: int = 256, input_layer: str | None = "conv2d", **conf: Any
    ) -> None:
        make_input_layer = INPUT_LAYERS.get(input_layer or "")  # one of ours
        espnets = "linear" if make_input_layer else input_layer
        super().__init__(input_size=input_size, output_size=output_size, input_layer=espnets, **conf)
        if getattr(self, "interctc_layer_idx", []):
            raise ValueError("interctc_layer_idx: intermediate CTC is not offered; remove it from encoder_conf")
        self.follows_lengths = make_input_layer is not None
        if make_input_layer:
            # The last part of ESPnet's `linear` layer adds the positions.
            add_positions = nn.Identity() if self.positions_per_block else self.embed[-1]
            self.embed = make_input_layer(input_size, output_size, add_positions)
        self.input_kernels = [] if make_input_layer else kernels_and_strides(self.embed)
        for module in self.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = True  # spares a copy of the widest states
        self.convolutions = PaddingFreeConvolutions(self.encoders)
        use_sdpa(self.encoders)

    def embed_input(self, xs: torch.Tensor, lengths_B: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """The input layer, with the length that each utterance would have alone."""
        if self.follows_lengths:
            return self.embed(xs, lengths_B)
        if not self.input_kernels:
            return xs if self.embed is None else self.embed(xs), lengths_B
        needed = 1
        for kernel, stride in reversed(self.input_kernels):
            needed = (needed - 1) * stride + kernel
        if xs.size(1) < needed:  # only when the whole batch is so short
            xs = nn.functional.pad(xs, (0, 0, 0, needed - xs.size(1)))
        for kernel, stride in self.input_kernels:
            lengths_B = (lengths_B - kernel) // stride + 1
        return self.convolve(xs), lengths_B.clamp(min=1)

    def convolve(self, x_BTF: torch.Tensor) -> Any:
        """ESPnet's subsampling; on a CPU a few utterances at a time, so that freed memory is used again.

        The memory allocator hands blocks over 32 MB back to the system, and clearing new ones takes longer than a
        convolution's own work on them.
        """
        rows = max(1, SLICE_FRAMES // x_BTF.size(1))
        if x_BTF.device.type != "cpu" or rows >= x_BTF.size(0):
            return self.embed(x_BTF, None)[0]
        slices = [self.embed(part, None)[0] for part in x_BTF.split(rows)]
        if isinstance(slices[0], tuple):  # relative positions are the same for all
            return torch.cat([x for x, _ in slices]), slices[0][1]
        return torch.cat(slices)


def kernels_and_strides(input_layer: Any) -> list[tuple[int, int]]:
    """Of the convolutions over time of an input layer of ESPnet's; none where it does not subsample."""
    layers = getattr(input_layer, "conv", ())
    return [(m.kernel_size[0], m.stride[0]) for m in layers if isinstance(m, nn.Conv1d | nn.Conv2d)]


class FullContext(PaddingSafeEncoder):
    """Encoders whose every frame sees the whole utterance."""

    def forward(
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        return self.blocks(*self.embed_input(xs_pad, ilens))

    def blocks(self, xs: Any, lengths_B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        """All that follows the input layer."""
        size = (xs[0] if isinstance(xs, tuple) else xs).size(1)
        mask_BT = length_mask(lengths_B, size)
        mask_B1T = None if mask_BT is None else mask_BT[:, None, :]
        self.convolutions.mask_BT = mask_BT
        drop = getattr(self.encoders, "layer_drop_rate", 0.0) if self.training else 0.0
        for layer in self.encoders:
            if drop == 0.0 or float(torch.rand(())) >= drop:
                xs, _ = layer(xs, mask_B1T)
        self.convolutions.mask_BT = None
        x_BTD = xs[0] if isinstance(xs, tuple) else xs
        if getattr(self, "normalize_before", True):
            x_BTD = self.after_norm(x_BTD)
        return x_BTD, lengths_B, None


class TransformerEncoder(FullContext, EspnetTransformer):
    pass


class ConformerEncoder(FullContext, EspnetConformer):
    pass


class EBranchformerEncoder(FullContext, EspnetEBranchformer):
    pass


class BlockContext(PaddingSafeEncoder):
    """Streaming encoders: every frame sees its block and, through a context vector, the blocks before it.

    ESPnet cuts the blocks by the longest utterance of the batch, so a short one gets other blocks than alone;
    here each utterance has its own last block. Decoding as a stream (`infer_mode`) stays ESPnet's.
    """

    positions_per_block = True

    def forward_train(
        self, xs_pad: torch.Tensor, ilens: torch.Tensor, prev_states: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        x_BTD, lengths_B = self.embed_input(xs_pad, ilens)
        x_BTD = zero_padding(x_BTD, length_mask(lengths_B, x_BTD.size(1)))
        if self.block_size == 0 or x_BTD.size(1) <= self.block_size:
            y_BTD = self.whole(x_BTD, lengths_B)
        else:
            y_BTD = self.blockwise(x_BTD, lengths_B)
            short_B = lengths_B <= self.block_size
            if short_B.any():  # alone, these are not cut into blocks
                short_size = int(lengths_B[short_B].max())
                y_short = self.whole(x_BTD[short_B, :short_size], lengths_B[short_B])
                y_BTD = y_BTD.index_put(
                    (short_B.nonzero()[:, 0],), nn.functional.pad(y_short, (0, 0, 0, x_BTD.size(1) - short_size))
                )
        return (self.after_norm(y_BTD) if self.normalize_before else y_BTD), lengths_B, None

    def whole(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        mask_BT = length_mask(lengths_B, x_BTD.size(1))
        self.convolutions.mask_BT = mask_BT
        mask_B1T = None if mask_BT is None else mask_BT[:, None, :]
        y_BTD = self.encoders(self.pos_enc(x_BTD), mask_B1T, False, None, None)[0]
        self.convolutions.mask_BT = None
        return y_BTD

    def blockwise(self, x_BTD: torch.Tensor, lengths_B: torch.Tensor) -> torch.Tensor:
        block, hop = self.block_size, self.hop_size
        last_B = torch.div((lengths_B - block).clamp(min=0) + hop - 1, hop, rounding_mode="floor")
        blocks = int(last_B.max()) + 1
        size = (blocks - 1) * hop + block

        def cut(z_BTD: torch.Tensor) -> torch.Tensor:
            padded = nn.functional.pad(z_BTD, (0, 0, 0, size - z_BTD.size(1)))
            return padded.unfold(1, block, hop).transpose(2, 3)  # (B, N, block, D)

        real_BT = torch.arange(x_BTD.size(1), device=x_BTD.device) < lengths_B[:, None]
        frames_BN1 = cut(real_BT[:, :, None].to(x_BTD.dtype)).sum(2).clamp(min=1)
        context_BND = cut(x_BTD).sum(2) / frames_BN1
        if self.ctx_pos_enc:
            context_BND = self.pos_enc(context_BND)
        x_BTD = self.pos_enc(x_BTD).masked_fill(~real_BT[:, :, None], 0.0)
        before_BND = torch.cat([context_BND[:, :1], context_BND[:, :-1]], 1)
        x_BNSD = torch.cat([before_BND[:, :, None], cut(x_BTD), context_BND[:, :, None]], 2)
        # The context of a block reads its frames and the context before it; nothing reads the last row's key.
        mask_BNSS = x_BTD.new_zeros(1, 1, block + 2, block + 2, dtype=torch.bool)
        mask_BNSS[..., 1:, : block + 1] = True
        mask_BNSS = mask_BNSS.expand(x_BTD.size(0), blocks, -1, -1).contiguous()
        y_BNSD = self.encoders(x_BNSD, mask_BNSS, False, x_BNSD)[0].reshape(x_BNSD.shape)
        return self.frames_of_blocks(y_BNSD, last_B, x_BTD.size(1))

    def frames_of_blocks(self, y_BNSD: torch.Tensor, last_B: torch.Tensor, size: int) -> torch.Tensor:
        """Each frame's output from the block that has it between past and look-ahead."""
        past = self.block_size - self.hop_size - self.look_ahead
        frame_T = torch.arange(size, device=y_BNSD.device)
        block_BT = torch.minimum(((frame_T - past) // self.hop_size).clamp(min=0)[None], last_B[:, None])
        place_BT = (frame_T[None] - block_BT * self.hop_size + 1).clamp(max=self.block_size + 1)
        index_BT = block_BT * y_BNSD.size(2) + place_BT
        flat = y_BNSD.flatten(1, 2)
        return flat.gather(1, index_BT[:, :, None].expand(-1, -1, flat.size(-1)))


class ContextualBlockTransformerEncoder(BlockContext, EspnetBlockTransformer):
    pass


class ContextualBlockConformerEncoder(BlockContext, EspnetBlockConformer):
    pass


ENCODERS = {
    "transformer": TransformerEncoder,
    "conformer": ConformerEncoder,
    "e_branchformer": EBranchformerEncoder,
    "contextual_block_transformer": ContextualBlockTransformerEncoder,
    "contextual_block_conformer": ContextualBlockConformerEncoder,
}
