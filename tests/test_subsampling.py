"""The input layers that ESPnet lacks."""

import pytest
import torch
from torch import nn

from espnet_ext.espnet.encoders import ENCODERS
from espnet_ext.nn.subsampling import INPUT_LAYERS, Conv1dSubsampling, Conv2dSubsampling


def conv1d_by_hand(layer: Conv1dSubsampling, x: torch.Tensor) -> torch.Tensor:
    """The definition, an output frame at a time: gated sums over 5 frames, every second position."""
    for conv in layer.conv:
        padded = nn.functional.pad(x, (0, 0, 2, 2))
        frames = range(0, x.size(0), 2)
        sums = torch.stack([(conv.weight * padded[t : t + 5].T).sum((1, 2)) + conv.bias for t in frames])
        signal, gate = sums.chunk(2, dim=1)
        x = signal * torch.sigmoid(gate)
    return x


def test_conv1d_is_two_gated_convolutions_of_kernel_5_and_stride_2() -> None:
    layer = Conv1dSubsampling(6, 4, nn.Identity(), channels=8)
    x = torch.randn(2, 13, 6)
    with torch.no_grad():
        got, lengths = layer(x, torch.tensor([13, 9]))
        assert lengths.tolist() == [4, 3]
        assert torch.allclose(got[0], conv1d_by_hand(layer, x[0]), atol=1e-5)
        assert torch.allclose(got[1, :3], conv1d_by_hand(layer, x[1, :9]), atol=1e-5)


def test_conv1d8_is_three_of_them() -> None:
    layer = INPUT_LAYERS["conv1d8"](6, 4, nn.Identity())
    x = torch.randn(2, 29, 6)
    with torch.no_grad():
        got, lengths = layer(x, torch.tensor([29, 17]))
        assert lengths.tolist() == [4, 3]
        assert torch.allclose(got[0], conv1d_by_hand(layer, x[0]), atol=1e-5)
        assert torch.allclose(got[1, :3], conv1d_by_hand(layer, x[1, :17]), atol=1e-5)


def test_conv2d_k3s2_halves_time_and_frequency_three_times() -> None:
    layer = Conv2dSubsampling(80, 16, nn.Identity(), channels=4)
    assert [(conv.kernel_size, conv.stride) for conv in layer.conv] == 3 * [((3, 3), (2, 2))]
    with torch.no_grad():
        got, lengths = layer(torch.randn(2, 100, 80), torch.tensor([100, 57]))
    assert got.shape == (2, 13, 16)
    assert lengths.tolist() == [13, 8]
    assert layer.out.in_features == 4 * 10


def test_conv2d_k3s2_is_three_convolutions_with_relu_and_a_linear_layer() -> None:
    layer = Conv2dSubsampling(12, 5, nn.Identity(), channels=3)
    x_TF = torch.randn(9, 12)
    with torch.no_grad():
        got = layer(x_TF[None], torch.tensor([9]))[0][0]
        y_CTF = x_TF[None]
        for conv in layer.conv:  # the definition, an output at a time: 3 x 3 values around every second place
            padded = nn.functional.pad(y_CTF, (1, 1, 1, 1))
            places = [
                [padded[:, t : t + 3, f : f + 3] for f in range(0, y_CTF.size(2), 2)]
                for t in range(0, y_CTF.size(1), 2)
            ]
            rows = [
                torch.stack([(conv.weight * place).sum((1, 2, 3)) + conv.bias for place in row], 1) for row in places
            ]
            y_CTF = torch.stack(rows, 1).clamp(min=0)
        wanted = y_CTF.transpose(0, 1).flatten(1) @ layer.out.weight.T + layer.out.bias
    assert torch.allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_takes_them_with_its_own_positions(name: str) -> None:
    conf = {"output_size": 16, "attention_heads": 2, "num_blocks": 1}
    ours = ENCODERS[name](input_size=80, input_layer="conv1d", **conf)
    linear = ENCODERS[name](input_size=80, input_layer="linear", **conf)
    expected = nn.Identity if name.startswith("contextual") else type(linear.embed[-1])
    assert type(ours.embed.position) is expected


def test_an_unknown_input_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown input_layer: conv3d"):
        ENCODERS["conformer"](input_size=80, input_layer="conv3d")


def test_one_frame_is_enough() -> None:
    """A batch of a single tiny utterance does not stop the training."""
    for layer in ("conv1d", "conv1d8", "conv2d_k3s2", "conv2d"):
        encoder = ENCODERS["transformer"](
            input_size=80, output_size=16, attention_heads=2, num_blocks=1, input_layer=layer
        )
        states, lengths, _ = encoder(torch.randn(1, 1, 80), torch.tensor([1]))
        assert states.shape == (1, 1, 16)
        assert lengths.tolist() == [1]
