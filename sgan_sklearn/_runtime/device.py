"""The `device` parameter as a torch device, and errors of its memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from sgan_sklearn._runtime.processes import n_processes, process_index

__all__ = ["device_or_cpu", "resolve_device", "within_gpu_memory"]


def resolve_device(device: str) -> torch.device:
    """Return the torch device; "auto" is a GPU if there is one, else the CPU.

    It is the first GPU, or the GPU of this process if several processes train together.
    """
    if device == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        if n_processes() == 1:
            return torch.device("cuda")
        # torchrun numbers the processes of each machine.
        local_rank = int(os.environ.get("LOCAL_RANK", process_index()))
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = torch.device("meta")  # the name is unknown
    n_gpus = torch.cuda.device_count()
    is_available = resolved.type == "cpu" or (
        resolved.type == "cuda" and (resolved.index or 0) < n_gpus
    )
    if not is_available:
        raise ValueError(
            "The 'device' parameter of SGANClassifier must be 'auto', 'cpu', or a CUDA GPU that "
            f"torch finds ('cuda', 'cuda:1'). Got {device!r} instead; torch finds {n_gpus} "
            "GPUs."
        )
    return resolved


def device_or_cpu(device: str) -> torch.device:
    """Return the device if this machine has it, and the CPU otherwise."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")


@contextmanager
def within_gpu_memory(device: torch.device | str, batch_size: int) -> Iterator[None]:
    """Raise MemoryError with the remedy where a training needs more memory than a GPU has."""
    try:
        yield
    except torch.cuda.OutOfMemoryError as error:
        raise MemoryError(
            f"The memory of {device} is too small for this training. Lower batch_size (now "
            f"{batch_size}) or the widths of the architecture, or set device='cpu'."
        ) from error
