"""The faster ways of attention and dropout on a CPU give what torch's give."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from espnet_ext.machine import fast_dropout
from espnet_ext.machine.fast_attention import attend
from espnet_ext.machine.fast_dropout import Dropout, drop, use_fast_dropout
from espnet_ext.machine.process import keep_freed_memory


def heads(length: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(2, 3, length, 8).to(dtype).requires_grad_()


KEYS = (torch.arange(9) < torch.tensor([9, 4])[:, None])[:, None, None]
BIAS = torch.randn(2, 3, 7, 9, dtype=torch.bfloat16)


@pytest.mark.parametrize(
    ("queries", "mask", "causal"), [(7, None, False), (7, KEYS, False), (7, BIAS, False), (9, None, True)]
)
def test_bf16_attention_is_torchs(queries: int, mask: torch.Tensor | None, causal: bool) -> None:
    torch.manual_seed(0)
    q, k, v = heads(queries, torch.bfloat16), heads(9, torch.bfloat16), heads(9, torch.bfloat16)
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    got = attend(q, k, v, mask, 0.0, causal)
    double_mask = mask.double() if mask is not None and mask.dtype != torch.bool else mask
    wanted = F.scaled_dot_product_attention(*exact, double_mask, 0.0, causal)
    assert (got - wanted).abs().max() < 0.03
    weight = torch.randn_like(wanted)
    (got * weight).sum().backward()
    (wanted * weight).sum().backward()
    for ours, theirs in zip((q, k, v), exact, strict=True):
        assert (ours.grad - theirs.grad).abs().max() < 0.02 * theirs.grad.abs().max()


def test_a_query_that_may_look_nowhere_reads_nothing() -> None:
    q, k, v = (heads(4, torch.bfloat16) for _ in range(3))
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[0] = False
    assert not attend(q, k, v, mask)[:, :, 0].any()
    assert attend(q, k, v, mask)[:, :, 1].any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_right_share_and_the_mean(dtype: torch.dtype, p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(500, 400, dtype=dtype, requires_grad=True)
    y = drop(x, p)
    kept = y.detach() != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 0.01
    assert torch.allclose(y.detach()[kept].double(), torch.tensor(1 / (1 - p), dtype=torch.float64), rtol=0.005)
    assert abs(torch.corrcoef(torch.stack([kept[:, :-1].flatten(), kept[:, 1:].flatten()]).double())[0, 1]) < 0.01
    y.sum().backward()
    assert torch.equal(x.grad != 0, kept)


def test_dropout_repeats_with_torchs_seed_only() -> None:
    torch.manual_seed(7)
    first, second = drop(torch.ones(100), 0.5), drop(torch.ones(100), 0.5)
    assert not torch.equal(first, second)
    torch.manual_seed(7)
    assert torch.equal(drop(torch.ones(100), 0.5), first)
    assert torch.equal(drop(torch.ones(100), 0.0), torch.ones(100))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_masks_are_independent(dtype: torch.dtype) -> None:
    """Of each other, though all of them come from one pool of bits, and of their neighbours within one mask."""
    torch.manual_seed(3)
    masks = torch.stack([drop(torch.ones(1 << 18, dtype=dtype), 0.5) for _ in range(8)]).double() - 1
    assert torch.allclose(masks @ masks.T / masks.size(1), torch.eye(8).double(), atol=0.01)
    for distance in (1, 2, 64):
        assert (masks[:, distance:] * masks[:, :-distance]).mean(1).abs().max() < 0.01


def test_a_mask_does_not_depend_on_what_was_dropped_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed run has made other masks than one that was never stopped."""

    def mask(size: int) -> torch.Tensor:
        torch.manual_seed(7)
        return drop(torch.ones(size), 0.5)

    monkeypatch.setattr(fast_dropout, "_pool", torch.empty(0, dtype=torch.int64))
    first = mask(100)
    mask(3 * fast_dropout.PLACES)
    assert torch.equal(mask(100), first)


def test_every_dropout_of_a_model_is_replaced() -> None:
    model = nn.Sequential(nn.Dropout(0.3), nn.ModuleDict({"inner": nn.Dropout(0.2)}))
    use_fast_dropout(model)
    found = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert [(type(module), module.p) for module in found] == [(Dropout, 0.3), (Dropout, 0.2)]
    assert torch.equal(found[0].eval()(torch.ones(9)), torch.ones(9))


def test_the_allocator_takes_the_settings() -> None:
    assert keep_freed_memory()
