"""Ends of a training run that the user must read about, and what they are told."""

from collections.abc import Sequence
from typing import Any

NAMED_IDS = 8  # enough to find the batch; a thousand ids would bury the message


class TrainError(RuntimeError):
    """Training cannot go on; the message says why and what to do."""


class Interrupted(Exception):
    """The run was asked to stop (SIGTERM, SIGINT) and its state is saved."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of the three ways in which torch says that memory is used up."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in str(error) or "not enough memory" in str(error)
    )


def describe_batch(utt_ids: Sequence[str], batch: dict[str, Any]) -> str:
    """The ids and tensor sizes of a batch, short enough for a message."""
    import torch

    ids = ", ".join(utt_ids[:NAMED_IDS]) + (", ..." if len(utt_ids) > NAMED_IDS else "")
    sizes = [
        f"{name} {' x '.join(map(str, value.shape))}"
        for name, value in batch.items()
        if isinstance(value, torch.Tensor) and value.dim() > 1
    ]
    return f"{len(utt_ids)} utterances ({ids}); {'; '.join(sizes)}"


def out_of_memory(place: str, utt_ids: Sequence[str], batch: dict[str, Any], batch_bins: int | None) -> TrainError:
    """The error for a batch that did not fit."""
    return TrainError(
        f"{place}: out of memory on a batch of {describe_batch(utt_ids, batch)}. "
        f"Lower batch_bins (now {batch_bins}), and raise accum_grad by the same factor to keep the effective batch."
    )
