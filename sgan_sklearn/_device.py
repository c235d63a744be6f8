"""From the `device` parameter to a torch device."""

from __future__ import annotations

import torch

__all__ = ["device_or_cpu", "resolve_device"]


def resolve_device(device: str) -> torch.device:
    """Return the torch device; "auto" is the first GPU if there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"The 'device' parameter of SGANClassifier must be 'auto' or a device that torch can "
            f"use here, such as 'cpu'. Got {device!r} instead ({reason})."
        ) from error
    return resolved


def device_or_cpu(device: str) -> torch.device:
    """Return the device if this machine has it, else the CPU."""
    try:
        return resolve_device(device)
    except ValueError:
        return torch.device("cpu")
