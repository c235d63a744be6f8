"""Networks at work in another precision than that of their weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgan_sklearn._runtime.wrapper import Wrapper

__all__ = ["PRECISIONS", "choose_precision", "in_precision"]

PRECISIONS = ("auto", "bfloat16", "float32")


def choose_precision(precision: str, device: torch.device, *, as_images: bool) -> str:
    """Return "float32" or "bfloat16", or raise ValueError where the device has no such thing."""
    on_gpu = device.type == "cuda"
    if precision == "auto":
        # Small layers gain nothing, and not every processor multiplies in it.
        pays = as_images and on_gpu and _gpu_has_bfloat16(device)
        return "bfloat16" if pays else "float32"
    if precision == "bfloat16" and on_gpu and not _gpu_has_bfloat16(device):
        raise ValueError(
            "The 'precision' parameter of Training must be 'float32' or 'auto' on "
            f"{torch.cuda.get_device_name(device)}, which does not multiply in bfloat16. Got "
            "'bfloat16'."
        )
    return precision


def _gpu_has_bfloat16(device: torch.device) -> bool:
    return torch.cuda.get_device_capability(device) >= (8, 0)


class _InBfloat16(Wrapper):
    """Let a network multiply in bfloat16, and return what it finds in float32.

    Weights, gradients, losses and averages stay in float32: only what costs is done by halves.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's output."""
        return self._call(self.module, x)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return a discriminator's last hidden layer."""
        return self._call(self.module.forward_features, x)

    def forward_head(self, features: Tensor) -> Tensor:
        """Return a discriminator's outputs from its last hidden layer."""
        return self._call(self.module.forward_head, features)

    def _call(self, function: Any, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, cache_enabled=True):
            result: Tensor = function(x)
        torch.clear_autocast_cache()  # which only the outermost autocast of a program does itself
        return result.float()


def in_precision(module: Any, precision: str) -> Any:
    """Return a network that works in a precision; its parameters are those of `module`."""
    return _InBfloat16(module) if precision == "bfloat16" else module
