"""interactive_film is interactive where nothing is modulated, and searches as it learns where something is."""

from pathlib import Path

import pytest
import torch

from tests.test_interactive import LAGS, compare_steps, make
from tests.test_models import batch_of, build, read


def test_at_the_start_it_is_interactive_to_the_bit(tmp_path: Path) -> None:
    plain, aware = build("interactive", tmp_path).eval(), build("interactive_film", tmp_path).eval()
    missing = aware.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing == ["tcn.ffn.weight"]
    batch = read(plain, plain.data_names, batch_of())
    assert torch.equal(plain(**batch)[0], aware(**batch)[0])
    with torch.no_grad():
        aware.tcn.ffn.weight[:, 1] += 0.3  # of the translation alone
    found, wanted = aware(**batch)[1], plain(**batch)[1]
    assert not torch.equal(found["loss_st"], wanted["loss_st"])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("wait_k", LAGS)
@torch.inference_mode()
def test_step_by_step_each_stream_is_modulated_as_in_training(wait_k: float, shared: bool, tmp_path: Path) -> None:
    model = make(tmp_path, "interactive_film", wait_k=wait_k, inter_weight=0.5, shared_decoder=shared)
    torch.nn.init.normal_(model.tcn.ffn.weight)
    compare_steps(model, wait_k)
