"""An utterance gives the same states alone and in a batch with longer ones, and ESPnet's own states when alone."""

import pytest
import torch
from espnet2.tasks.st import encoder_choices as espnet_encoders

from espnet_ext.espnet.encoders import ENCODERS
from espnet_ext.nn.subsampling import INPUT_LAYERS

ESPNET_LAYERS = {
    "transformer": ("conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "conv1d2", "linear"),
    "conformer": ("conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "linear"),
    "e_branchformer": ("conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "conv1d1", "conv1d2", "conv1d3", "linear"),
    "contextual_block_transformer": ("conv2d", "conv2d6", "conv2d8", "linear"),
    "contextual_block_conformer": ("conv2d", "conv2d6", "conv2d8", "linear"),
}
CASES = [(name, layer) for name, layers in ESPNET_LAYERS.items() for layer in (*layers, *INPUT_LAYERS)]
LENGTHS = (150, 97, 91, 64, 31, 17)
VARIANTS = {
    "conformer": (
        {},
        {"rel_pos_type": "latest", "macaron_style": True},
        {"pos_enc_layer_type": "abs_pos", "selfattention_layer_type": "selfattn", "positionwise_layer_type": "conv1d"},
    ),
    "e_branchformer": ({}, {"use_ffn": True, "macaron_ffn": True, "rel_pos_type": "legacy"}),
    "transformer": ({}, {"normalize_before": False}),
}


def conf_of(name: str, layer: str) -> dict:
    conf = {"output_size": 16, "attention_heads": 2, "num_blocks": 2, "input_layer": layer}
    if name != "e_branchformer":
        conf["linear_units"] = 24
    if name.startswith("contextual"):
        conf |= {"block_size": 8, "hop_size": 3, "look_ahead": 3}
    return conf


def encoder_of(name: str, layer: str, **more: object) -> torch.nn.Module:
    torch.manual_seed(1)
    return ENCODERS[name](input_size=40, **conf_of(name, layer), **more).eval()


def roughen(module: torch.nn.Module) -> torch.nn.Module:
    """Biases and running statistics away from zero, so that what leaks shows."""
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            if value.dtype == torch.float32 and value.dim() < 2:
                value.add_(0.3 * torch.rand_like(value))
    return module


@pytest.mark.parametrize(("name", "layer"), CASES)
def test_states_do_not_depend_on_padding(name: str, layer: str) -> None:
    encoder = roughen(encoder_of(name, layer))
    speech = torch.randn(len(LENGTHS), max(LENGTHS), 40)  # what stands behind an utterance is noise, not zeros
    with torch.no_grad():
        together, sizes, _ = encoder(speech, torch.tensor(LENGTHS))
        for i, length in enumerate(LENGTHS):
            alone, size, _ = encoder(speech[i : i + 1, :length], torch.tensor([length]))
            assert size.item() == sizes[i].item() == alone.size(1)
            assert (together[i, : sizes[i]] - alone[0]).abs().max() < 1e-4, (length, LENGTHS)


@pytest.mark.parametrize(("name", "more"), [(name, more) for name, variants in VARIANTS.items() for more in variants])
def test_variants_do_not_depend_on_padding(name: str, more: dict) -> None:
    encoder = roughen(encoder_of(name, "conv2d", **more))
    speech = torch.randn(2, 150, 40)
    with torch.no_grad():
        together, sizes, _ = encoder(speech, torch.tensor([150, 80]))
        alone, _, _ = encoder(speech[1:, :80], torch.tensor([80]))
    assert (together[1, : sizes[1]] - alone[0]).abs().max() < 1e-4


@pytest.mark.parametrize(("name", "layer"), [case for case in CASES if case[1] not in INPUT_LAYERS])
@pytest.mark.parametrize("length", [150, 31])
def test_alone_the_states_are_espnets(name: str, layer: str, length: int) -> None:
    ours = roughen(encoder_of(name, layer))
    theirs = espnet_encoders.get_class(name)(input_size=40, **conf_of(name, layer)).eval()
    theirs.load_state_dict(ours.state_dict())
    speech = torch.randn(1, length, 40)
    with torch.no_grad():
        got, size, _ = ours(speech, torch.tensor([length]))
        wanted, wanted_size, _ = theirs(speech, torch.tensor([length]))
    assert size.item() == wanted_size.item()
    assert (got - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_do_not_depend_on_padding(name: str) -> None:
    """The loss of a padded batch moves the parameters as the sum over its utterances does."""
    encoder = roughen(encoder_of(name, "conv1d", dropout_rate=0.0, positional_dropout_rate=0.0))
    speech, lengths = torch.randn(2, 120, 40), (120, 70)
    states, sizes, _ = encoder(speech, torch.tensor(lengths))
    sum(states[i, : sizes[i]].square().sum() for i in range(2)).backward()
    together = [parameter.grad.clone() for parameter in encoder.parameters()]
    encoder.zero_grad()
    for i, length in enumerate(lengths):
        encoder(speech[i : i + 1, :length], torch.tensor([length]))[0].square().sum().backward()
    for got, parameter in zip(together, encoder.parameters(), strict=True):
        assert torch.allclose(got, parameter.grad, rtol=1e-3, atol=1e-3 * float(got.abs().max()) + 1e-5)
