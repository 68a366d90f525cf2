"""The device that all tests of this folder use: `python -m pytest tests/gpu --device cuda`, or `make test-gpu`."""

import os
from collections.abc import Iterator

import pytest

DEVICES = ("cuda", "cpu", "pretend")


def pytest_addoption(parser: pytest.Parser) -> None:
    help = "cuda; cpu or pretend (tests/support/pretend_gpu.py) are rehearsals without a GPU"
    parser.addoption("--device", choices=DEVICES, default="cuda", help=help)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to begin without the device, and choose what a process can choose once only."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS then gives the same bits each time
    import torch

    name = config.getoption("--device")
    if name == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError(
            f"--device cuda: torch {torch.__version__} finds no GPU here; rehearse with --device cpu (make test-gpu "
            "DEVICE=cpu)"
        )
    if name == "pretend":
        from tests.support import pretend_gpu

        pretend_gpu.install()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`amp`: the number formats in which the training command trains on the device."""
    if "amp" in metafunc.fixturenames:
        cuda = metafunc.config.getoption("--device") == "cuda"
        metafunc.parametrize("amp", ["none", "bf16", "fp16"] if cuda else ["none", "bf16"])


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """fp32 is fp32: no test here wants the tensor cores' 10 bits in its place."""
    import torch

    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture()
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.config.getoption("--device")
    if name != "pretend":
        yield name
        return
    from tests.support import pretend_gpu

    with pretend_gpu.present():
        yield name
