"""ESPnet's commands with our encoders, for systems whose input layer ESPnet does not have.

python -m espnet_ext.espnet.register espnet2.bin.st_inference --st_train_config exp_espnet/e2e/config.yaml ...
"""

import importlib
import runpy
import sys


def registered_name(encoder: str) -> str:
    """What one of our encoders is called in a configuration of ESPnet's."""
    return f"espnet_ext_{encoder}"


def register() -> None:
    """Offer our encoders to ESPnet's tasks, beside its own."""
    from espnet_ext.espnet.encoders import ENCODERS

    for task in ("asr", "mt", "st"):
        choices = importlib.import_module(f"espnet2.tasks.{task}").encoder_choices
        choices.classes |= {registered_name(name): encoder for name, encoder in ENCODERS.items()}


if __name__ == "__main__":
    if len(sys.argv) < 2 or not sys.argv[1].startswith("espnet2.bin."):
        sys.exit(f"{__doc__}\nfound {sys.argv[1:2] or 'nothing'}; give one of ESPnet's commands, espnet2.bin.NAME")
    register()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
