"""Simultaneous translation on the device: every rule writes what it writes on the CPU, and those that learn do."""

from pathlib import Path
from typing import Any

import pytest
import torch

from espnet_ext.simul.live import LiveTranslator
from tests.gpu.test_models import moved, steppers_of
from tests.support.tiny_simultaneous import CONF, make_systems
from tests.test_models import batch_of, build, read

TEXT = "a cat sat on the mat and saw a bat"
LEARNED: dict[str, dict[str, Any]] = {  # so that waiting costs, and some trajectories more than others
    "tn": {"trajectories": 3, "d": 0, "alpha": 1.0},
    "sl": {},
    "rl": {"trajectories": 3, "cw": 1, "alpha": 1.0},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simultaneous")
    make_systems(folder)
    return folder


def written(exp: Path, reuse: str, device: str) -> list[tuple[str, list[int]]]:
    """What is written after each word of the text, and what had been seen when."""
    text = LiveTranslator(exp, reuse=reuse, device=device).begin()
    found, words = [], TEXT.split()
    for count in range(1, len(words) + 1):
        text.read_on(" ".join(words[:count]), last=count == len(words))
        found.append((text.text, list(text.loops.rows[0].seen)))
    return found


@pytest.mark.parametrize("reuse", ["none", "decoder", "encoder"])
@pytest.mark.parametrize("rule", CONF)
def test_a_text_that_grows_is_written_as_on_the_cpu(root: Path, rule: str, reuse: str, device: str) -> None:
    wanted = written(root / "exp" / rule, reuse, "cpu")
    assert wanted[-1][0]
    assert written(root / "exp" / rule, reuse, device) == wanted


@pytest.mark.parametrize("sizes", [(5, 3, 1), (1, 1, 1)])
@pytest.mark.parametrize("rule", LEARNED)
def test_a_rule_learns(rule: str, sizes: tuple[int, ...], tmp_path: Path, device: str) -> None:
    """Also where no sentence has a decision in it."""
    model = build("simultaneous", tmp_path, model_conf={"rule": rule, "hidden": 8, **LEARNED[rule]}).to(device)
    (stepper,) = steppers_of(model, tmp_path, device, "none")
    before = [p.detach().cpu().clone() for p in model.rule.parameters()]
    batch = moved(read(model, model.data_names, batch_of(sizes)), device)
    for _ in range(2):
        torch.manual_seed(1)
        outcome = stepper.step([(["a", "b", "c"], batch)], "here")
    assert outcome.updated
    changed = [not torch.equal(a, p.detach().cpu()) for a, p in zip(before, model.rule.parameters(), strict=True)]
    assert any(changed) == (max(sizes) > 1)
