"""Every encoder on the device: the states are those of the CPU, and padding changes none."""

import pytest
import torch

from espnet_ext.espnet.encoders import ENCODERS
from tests.test_padding import LENGTHS, encoder_of, roughen

MOST = 1e-4  # difference of states whose values are about 1


@pytest.mark.parametrize("layer", ["conv2d", "conv1d"])
@pytest.mark.parametrize("name", ENCODERS)
def test_states_are_those_of_the_cpu_and_of_no_padding(name: str, layer: str, device: str) -> None:
    encoder = roughen(encoder_of(name, layer))
    speech = torch.randn(len(LENGTHS), max(LENGTHS), 40)  # what stands behind an utterance is noise
    with torch.no_grad():
        wanted, sizes, _ = encoder(speech, torch.tensor(LENGTHS))
        there = encoder.to(device)
        together = there(speech.to(device), torch.tensor(LENGTHS, device=device))[0].cpu()
        for i, length in enumerate(LENGTHS):
            alone = there(speech[i : i + 1, :length].to(device), torch.tensor([length], device=device))[0].cpu()
            assert (together[i, : sizes[i]] - wanted[i, : sizes[i]]).abs().max() < MOST
            assert (together[i, : sizes[i]] - alone[0]).abs().max() < MOST
