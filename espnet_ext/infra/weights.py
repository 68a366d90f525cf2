"""Saved tensors, read only if every byte is as it was written."""

import zipfile
from pathlib import Path
from typing import Any


class DamagedError(ValueError):
    """A file of tensors cannot be read; the message names it and what is wrong."""


def load_tensors(path: Path, device: Any = "cpu") -> Any:
    """What torch.save wrote; it keeps a checksum of each tensor, which torch.load does not look at. Or safetensors."""
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path, device=str(device))
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if (name := archive.testzip()) is not None:
                    raise DamagedError(f"{path}: damaged: the checksum of {name} differs")
        return torch.load(path, map_location=device, weights_only=True)
    except (FileNotFoundError, PermissionError, DamagedError):
        raise
    except Exception as error:  # what unpickling a damaged file may raise is not listed anywhere
        # Not its message: torch's says how to load a pickle that runs code.
        raise DamagedError(
            f"{path}: damaged, or no file of tensors (read with weights_only: {type(error).__name__})"
        ) from error
