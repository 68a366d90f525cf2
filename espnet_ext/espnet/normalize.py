"""ESPnet's GlobalMVN, which can also be built without its statistics: a trained model's file holds them."""

import torch
from espnet2.layers.abs_normalize import AbsNormalize
from espnet2.layers.global_mvn import GlobalMVN as EspnetGlobalMVN


class GlobalMVN(EspnetGlobalMVN):
    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        stats_file: str | None = None,
        norm_means: bool = True,
        norm_vars: bool = True,
        eps: float = 1.0e-20,
        size: int = 80,
    ) -> None:
        if stats_file is not None:
            super().__init__(stats_file, norm_means, norm_vars, eps)
        else:
            AbsNormalize.__init__(self)
            self.stats_file, self.norm_means, self.norm_vars, self.eps = None, norm_means, norm_vars, eps
            self.register_buffer("mean", torch.zeros(size))
            self.register_buffer("std", torch.ones(size))
        self.mean, self.std = self.mean.float(), self.std.float()
