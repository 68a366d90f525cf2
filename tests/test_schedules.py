"""Learning rates over a training, and what is told of odd ones."""

import re

import pytest
import torch

from espnet_ext.training.schedules import WarmupLinearLR, oddities


@pytest.mark.parametrize("total, rates", [(None, [0.5, 1, 1, 1, 1]), (4, [0.5, 1, 2 / 3, 1 / 3, 0])])
def test_warm_up_and_linear_decay(total, rates):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = WarmupLinearLR(optimizer, warmup_steps=2)
    if total:
        schedule.end_at(total)
    seen = []
    for _ in rates:
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx(rates)


@pytest.mark.parametrize(
    ("warmup", "updates", "made", "last", "said"),
    [
        (2, 20, 0, None, []),
        (2, 20, 10, 0.6, []),  # goes on within one training
        (20, 20, 0, None, ["rises for 20 updates .* and the whole training has 20"]),
        (2, 20, 10, 0.05, [r"goes up again, from 5.0e-02 to 5.3e-01 \(53% of its peak\)"]),  # more epochs than before
        (2, 20, 18, 0.06, []),
    ],
)
def test_an_odd_schedule_is_told(warmup, updates, made, last, said):
    schedule = WarmupLinearLR(torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0), warmup_steps=warmup)
    schedule.end_at(updates)
    schedule.last_epoch = made
    found = list(oddities(schedule, updates, last))
    assert len(found) == len(said)
    for line, pattern in zip(found, said):
        assert re.search(pattern, line)
