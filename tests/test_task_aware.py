"""FiLM, the networks that characterise tasks, and meta-learning, each by itself."""

from typing import Any

import pytest
import torch

from espnet_ext.espnet.encoders import ConformerEncoder, TransformerEncoder
from espnet_ext.nn.decoder import TransformerDecoder
from espnet_ext.nn.decoder_cache import CachedDecoder
from espnet_ext.task_aware.film import FiLM, Prefix
from espnet_ext.task_aware.maml import halves, maml_loss
from espnet_ext.task_aware.tcn import ExplicitTCN, ImplicitTCN, derangement

SMALL: dict[str, Any] = {"attention_heads": 2, "linear_units": 24, "num_blocks": 2, "dropout_rate": 0.0}
SMALL |= {"positional_dropout_rate": 0.0}
WIDTH = 16


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("encoder", "conf"),
    [(TransformerEncoder, {}), (ConformerEncoder, {"rel_pos_type": "latest", "cnn_module_kernel": 7})],
)
def test_a_block_that_is_not_modulated_gives_the_same_bits(encoder: Any, conf: dict[str, Any]) -> None:
    torch.manual_seed(1)
    model = encoder(80, output_size=WIDTH, input_layer="conv2d_k3s2", **SMALL, **conf).eval()
    x_BTF, lengths_B = torch.randn(3, 64, 80), torch.tensor([64, 50, 33])
    before = model(x_BTF, lengths_B)[0]
    names = list(model.state_dict())
    film = FiLM(model.encoders)
    start_SE = film.start(3, WIDTH)
    with film.by(start_SE):
        assert torch.equal(model(x_BTF, lengths_B)[0], before)
    with film.by(start_SE * 1.5):
        assert not torch.allclose(model(x_BTF, lengths_B)[0], before)
    assert torch.equal(model(x_BTF, lengths_B)[0], before)
    assert list(model.state_dict()) == names


def test_modulation_is_the_equation() -> None:
    film, block = FiLM([]), torch.nn.Linear(4, 4)
    film = FiLM([block])
    x_BLD, t_BE = torch.randn(2, 3, 4), torch.randn(2, 8)
    plain = block(x_BLD)
    with film.by(t_BE):
        assert torch.equal(block(x_BLD), t_BE[:, None, :4] * plain + t_BE[:, None, 4:])


@pytest.mark.parametrize("kind", ["film", "input"])
def test_step_by_step_the_decoder_is_modulated_as_in_training(kind: str) -> None:
    torch.manual_seed(1)
    decoder = TransformerDecoder(20, WIDTH, **SMALL).eval()
    memory = torch.randn(2, 9, WIDTH), torch.tensor([9, 6])
    tokens_BL = torch.randint(0, 20, (2, 7))
    blocks = [decoder.entry, *(layer.out for layer in decoder.decoders)]
    enters = FiLM(blocks) if kind == "film" else Prefix(decoder)
    plain = decoder(*memory, tokens_BL)
    with enters.by(torch.randn(1, 2 * WIDTH)), torch.no_grad():
        wanted = decoder(*memory, tokens_BL).log_softmax(-1)
        cached = CachedDecoder(decoder, *memory)
        found = torch.stack([cached.step(tokens_BL[:, [i]])[:, 0] for i in range(7)], dim=1)
    assert (found - wanted).abs().max() < 1e-4
    assert not torch.allclose(wanted, plain.log_softmax(-1), atol=1e-2)


@pytest.mark.parametrize("size", range(2, 30))
def test_nothing_stays_at_its_place(size: int) -> None:
    order = derangement(size)
    assert sorted(order.tolist()) == list(range(size))
    assert not (order == torch.arange(size)).any()


def test_the_explicit_network_has_a_row_a_task() -> None:
    """The paper's 1,500 are 3 tasks x 2 x 256; its own width, 512, makes 3,072."""
    assert count(ExplicitTCN(FiLM.start(3, 256))) == 1536
    assert count(ExplicitTCN(FiLM.start(3, 512))) == 3072
    tcn = ExplicitTCN(torch.arange(12.0).view(3, 4))
    assert tcn(torch.tensor([1, 2])).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize(
    ("width", "conf", "parameters"),
    [
        (512, {"linear_units": 1024}, 5_255_168),
        (512, {"width": 192, "linear_units": 384}, 1_086_784),
        (256, {"linear_units": 256}, 1_054_208),
    ],
)
def test_the_implicit_networks_size(width: int, conf: dict[str, int], parameters: int) -> None:
    """The paper says roughly a million: a block of its own width alone has two."""
    assert count(ImplicitTCN(FiLM.start(1, width)[0], **conf)) == parameters


def test_the_implicit_network_does_not_read_padding() -> None:
    torch.manual_seed(1)
    tcn = ImplicitTCN(torch.zeros(32), width=8, attention_heads=2).eval()
    torch.nn.init.normal_(tcn.ffn.weight)
    x, y = torch.randn(2, 7, 16), torch.randn(2, 5, 16)
    lengths = torch.tensor([7, 4]), torch.tensor([3, 5])
    found = tcn(x, lengths[0], y, lengths[1])
    for i in range(2):
        alone = tcn(x[[i], : lengths[0][i]], lengths[0][[i]], y[[i], : lengths[1][i]], lengths[1][[i]])
        assert (alone - found[i]).abs().max() < 1e-5


def test_how_large_the_source_is_does_not_matter_to_the_implicit_network() -> None:
    """What comes before an encoder of blocks that norm their input grows: that of mini's speech to 400."""
    torch.manual_seed(1)
    tcn = ImplicitTCN(torch.zeros(32), width=8, attention_heads=2).eval()
    torch.nn.init.normal_(tcn.ffn.weight)
    x, y, lengths = torch.randn(2, 7, 16, requires_grad=True), torch.randn(2, 5, 16), torch.tensor([5, 5])
    small, large = (tcn(factor * x, lengths, y, lengths) for factor in (1, 400))
    assert (small - large).abs().max() < 1e-4
    (gradient,) = torch.autograd.grad(large.square().sum(), x)
    (wanted,) = torch.autograd.grad(small.square().sum(), x)
    assert (gradient - wanted).abs().max() < 1e-3 * wanted.abs().max()


class Line(torch.nn.Module):
    """A tiny model whose tied weights, attention and network of another part are all differentiated twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.tcn = torch.nn.Linear(3, 4), torch.nn.Linear(4, 3), torch.nn.Linear(1, 4)
        self.third = torch.nn.Linear(3, 4)
        self.third.weight = self.first.weight
        self.again = self.second  # one module by two names, as the embedding of a text encoder is
        self.unused = torch.nn.Linear(1, 1)

    def loss_of(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict]:
        x = self.first(batch["text"]) * self.tcn(torch.ones(1, 1, dtype=torch.float64))
        x = torch.nn.functional.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None])[0, 0]
        x = self.third(torch.tanh(self.again(x)))
        return (x**2).sum() / len(x) + x.sum(), {}


def inner_gradients(model: Line, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of the meta-train half, for all that moves in the inner step."""
    own = {name: p for name, p in model.named_parameters() if not name.startswith(("tcn.", "unused."))}
    return dict(zip(own, torch.autograd.grad(model.loss_of(halves(batch)[0])[0], [*own.values()]), strict=True))


def outer_loss(model: Line, batch: dict[str, torch.Tensor], rate: float, gradients: dict[str, torch.Tensor]) -> float:
    """The loss of the meta-test half after a step, by moving the parameters themselves and back."""
    own = dict(model.named_parameters())
    kept = {name: own[name].detach().clone() for name in gradients}
    with torch.no_grad():
        for name, gradient in gradients.items():
            own[name] -= rate * gradient
        loss = float(model.loss_of(halves(batch)[1])[0])
        for name, value in kept.items():
            own[name].copy_(value)
    return loss


@pytest.mark.parametrize("order", [1, 2])
def test_the_outer_gradient_is_that_of_finite_differences(order: int) -> None:
    """In the first order g is a constant: it stays while theta moves by the difference."""
    torch.manual_seed(3)
    model, rate, step = Line().double(), 0.05, 1e-6
    batch = {"text": torch.randn(5, 3, dtype=torch.float64)}
    before = dict(model.named_parameters(remove_duplicate=False))
    loss, _ = maml_loss(model, model.loss_of, batch, rate, order, "tcn")
    loss.backward()
    after = dict(model.named_parameters(remove_duplicate=False))
    assert before.keys() == after.keys() and all(before[name] is after[name] for name in before)
    constant = inner_gradients(model, batch)
    assert loss.item() == pytest.approx(outer_loss(model, batch, rate, constant), abs=1e-12)

    for name, parameter in model.named_parameters():
        if name.startswith("unused."):
            assert parameter.grad is None
            continue
        for place in range(parameter.numel()):
            values = []
            for move in (step, -step):
                with torch.no_grad():
                    parameter.view(-1)[place] += move
                values.append(outer_loss(model, batch, rate, constant if order == 1 else inner_gradients(model, batch)))
                with torch.no_grad():
                    parameter.view(-1)[place] -= move
            wanted = (values[0] - values[1]) / (2 * step)
            assert float(parameter.grad.view(-1)[place]) == pytest.approx(wanted, abs=1e-6), name


def test_halves_of_a_batch_of_one_are_the_one() -> None:
    train, test = halves({"text": torch.zeros(1, 2), "text_lengths": torch.tensor([2])})
    assert len(train["text"]) == len(test["text"]) == 1
    train, test = halves({"text": torch.arange(5)})
    assert (train["text"].tolist(), test["text"].tolist()) == ([1, 3], [0, 2, 4])
