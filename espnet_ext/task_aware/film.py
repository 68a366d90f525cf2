"""How a task embedding t_e enters a network: FiLM on every block (eqs. 6, 7), or t_e before source and target.

B batch (1: the same embedding for all), T positions, D width.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from espnet_ext.nn.decoder import TransformerDecoder


class FiLM(nn.Module):
    """O = gamma * f(v) + beta for every block f that it wraps, with gamma = t_e[:D] and beta = t_e[D:].

    It wraps a block by a hook, so the block keeps its name and its parameters theirs.
    """

    def __init__(self, blocks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.given: tuple[torch.Tensor, torch.Tensor] | None = None  # gamma and beta of the pass, (B, 1, D) each
        for block in blocks:
            block.register_forward_hook(lambda _module, _inputs, output: self(output))

    @contextmanager
    def by(self, embedding_BE: torch.Tensor | None) -> Iterator[None]:
        """Modulate what is computed inside by t_e, E = 2 D; (B, L, E) is one for each position, None is nothing."""
        if embedding_BE is not None:
            embedding_B1E = embedding_BE if embedding_BE.dim() == 3 else embedding_BE[:, None]
            gamma_B1D, beta_B1D = embedding_B1E.chunk(2, dim=-1)
            self.given = gamma_B1D, beta_B1D
        try:
            yield
        finally:
            self.given = None

    def forward(self, output: Any) -> Any:
        """What a block gives, modulated; of several things, as ESPnet's layers give, the first."""
        if self.given is None:
            return output
        if isinstance(output, tuple):
            return self(output[0]), *output[1:]
        gamma_B1D, beta_B1D = (x.to(output.dtype) for x in self.given)
        return gamma_B1D * output + beta_B1D

    def source(self, x: Any, lengths_B: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """What the encoder's blocks read."""
        return self(x), lengths_B

    @staticmethod
    def start(tasks: int, width: int) -> torch.Tensor:
        """(S, 2 D): the t_e that each task starts at; gamma = 1 and beta = 0 change nothing."""
        return torch.cat([torch.ones(tasks, width), torch.zeros(tasks, width)], dim=1)


class Prefix(nn.Module):
    """t_e[:D] as one more vector before the source, t_e[D:] before the target."""

    def __init__(self, decoder: TransformerDecoder) -> None:
        super().__init__()
        self.decoder = [decoder]  # in a list, so that it is no child and its parameters are not here, too
        self.given: torch.Tensor | None = None

    @contextmanager
    def by(self, embedding_BE: torch.Tensor | None) -> Iterator[None]:
        """Put it before what is computed inside."""
        if embedding_BE is not None:
            self.given, self.decoder[0].prefix_B1D = embedding_BE[:, None].chunk(2, dim=-1)
        try:
            yield
        finally:
            self.given = self.decoder[0].prefix_B1D = None

    def source(self, x: Any, lengths_B: torch.Tensor) -> tuple[Any, torch.Tensor]:
        """What the encoder's blocks read."""
        if self.given is None:
            return x, lengths_B
        if isinstance(x, tuple):
            raise ValueError("condition: input needs an encoder with absolute positions: pos_enc_layer_type: abs_pos")
        return torch.cat([self.given.to(x.dtype).expand(len(x), -1, -1), x], dim=1), lengths_B + 1

    @staticmethod
    def start(tasks: int, width: int) -> torch.Tensor:
        """(S, 2 D): the t_e that each task starts at, as large as the embeddings that it stands among."""
        return torch.randn(tasks, 2 * width)
