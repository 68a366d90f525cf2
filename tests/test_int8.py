"""Linear layers in int8: near to what they stand for."""

import pytest
import torch
from torch import nn

from espnet_ext.machine.int8_linear import Int8Linear, quantised
from espnet_ext.machine.onednn_linear import PackedLinear
from espnet_ext.nn.decoder_cache import fuse


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_near_and_the_model_stays(bias):
    model = nn.Sequential(nn.Linear(64, 48, bias=bias), nn.ReLU())
    copy, x = quantised(model), torch.randn(3, 7, 64)
    assert type(copy[0]) is Int8Linear and type(model[0]) is nn.Linear
    assert (copy(x) - model(x)).abs().max() < 0.05 < model(x).abs().max()


def test_every_output_has_its_own_scale():
    linear = nn.Linear(64, 2)
    with torch.no_grad():
        linear.weight[0] *= 1000
    x = torch.randn(5, 64)
    small = (Int8Linear(linear.weight, linear.bias)(x) - linear(x))[:, 1]
    assert small.abs().max() < 0.05


def test_a_row_of_zeros():
    made = Int8Linear(torch.zeros(4, 8), torch.ones(4))(torch.randn(2, 8))
    assert torch.allclose(made, torch.ones(2, 4))


@pytest.mark.parametrize("kind", [Int8Linear, PackedLinear])
def test_layers_are_joined_once(kind):
    parts, x = [kind(torch.randn(6, 16), torch.randn(6)) for _ in range(3)], torch.randn(5, 16)
    joined = fuse(parts)
    assert torch.allclose(joined(x), torch.cat([part(x) for part in parts], dim=-1), atol=1e-4)
    assert fuse(parts) is joined
