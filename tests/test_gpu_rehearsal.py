"""The tests for a GPU can begin where there is one, say so where there is none, and no tensor is left on the CPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
NO_GPU = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=ROOT, env=NO_GPU, capture_output=True, text=True)


def test_they_are_all_found() -> None:
    done = run(*PYTEST, "tests/gpu", "--device", "cpu", "--collect-only")
    assert done.returncode == 0, done.stdout + done.stderr
    found = set(re.findall(r"^tests/gpu/(\w+)\.py::", done.stdout, re.MULTILINE))
    assert found == {path.stem for path in ROOT.glob("tests/gpu/test_*.py")}


@pytest.mark.parametrize("command", [(*PYTEST, "tests/gpu"), (sys.executable, "-m", "tests.bench.gpu")])
def test_without_a_gpu_they_end_in_one_line(command: tuple[str, ...]) -> None:
    done = run(*command)
    assert done.returncode not in (0, 5)
    assert "finds no GPU here; rehearse with --device cpu" in done.stderr + done.stdout


# Every system once; what learns in turn, and from examples; what decides while it reads.
PRETENDED = "numbers and plain or learns and (mutual or task_aware) or grows and none and (le or tn)"


def test_no_tensor_is_left_on_the_cpu() -> None:
    """On a device whose tensors refuse those of the CPU, and with the number formats of CUDA's autocast."""
    files = ("tests/gpu/test_models.py", "tests/gpu/test_simultaneous.py")
    done = run(*PYTEST, *files, "--device", "pretend", "-k", PRETENDED)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


PROGRAM = """
import torch
from tests.support import pretend_gpu
pretend_gpu.install()
with pretend_gpu.present():
    there, here = torch.ones(3, 3, device="pretend"), torch.ones(3, 3)
    place = torch.tensor([0, 1])
    good = {
        "number": lambda: there * torch.tensor(2.0), "index": lambda: there[place], "copy": lambda: there.copy_(here),
        "back": lambda: there.cpu() + here, "list": lambda: there[[0, 1]], "made": lambda: there + there.new_zeros(3),
    }
    bad = {
        "sum": lambda: there + here, "product": lambda: there @ here, "stack": lambda: torch.stack([there, here]),
        "numbers": lambda: torch.stack([there.sum(), torch.tensor(1.0)]), "numpy": lambda: there.numpy(),
        "index": lambda: here[place.to("pretend")], "values": lambda: there.__setitem__(place, here[:2]),
        "embedding": lambda: torch.nn.functional.embedding(place, there),
    }
    for name, call in good.items():
        call()
    for name, call in bad.items():
        try:
            call()
        except (RuntimeError, TypeError):
            continue
        print(name, "was not refused")
"""


def test_the_device_that_is_none_refuses_what_a_gpu_refuses() -> None:
    done = run(sys.executable, "-c", PROGRAM)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr[-2000:]


def test_the_step_with_fixed_places_is_the_decoders() -> None:
    """What is measured as an experiment computes what the product computes."""
    import torch

    from espnet_ext.nn.decoder import TransformerDecoder
    from tests.bench.gpu.fixed_step import FixedStep

    torch.manual_seed(0)
    decoder = TransformerDecoder(20, 16, attention_heads=2, linear_units=24, num_blocks=2).eval()
    memory_BTD, lengths_B = torch.randn(2, 7, 16), torch.tensor([7, 4])
    tokens_NL = torch.randint(20, (6, 4))  # three hypotheses of each
    with torch.inference_mode():
        states = [decoder(memory_BTD, lengths_B, tokens_NL[k::3]).log_softmax(-1) for k in range(3)]
        step = FixedStep(decoder, memory_BTD, lengths_B, 3, 8)
        for place in range(4):
            given = tokens_NL[:, place].view(2, 3), torch.arange(6), torch.tensor([place])
            found_BKV = step(*given)
            for k in range(3):
                assert (found_BKV[:, k] - states[k][:, place]).abs().max() < 1e-5
