"""Networks that compute in a lower precision than that of their weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sgan_sklearn._runtime.wrapper import Wrapper

__all__ = ["PRECISIONS", "choose_precision", "has_bfloat16", "in_precision"]

PRECISIONS = ("auto", "bfloat16", "float32")


def choose_precision(
    precision: str, device: torch.device, *, for_gpus: bool, for_cpus: bool
) -> str:
    """Return "float32" or "bfloat16"; raise ValueError if the device does not support it.

    `for_gpus` and `for_cpus` say whether the networks are large enough to be faster in bfloat16.
    """
    on_gpu = device.type == "cuda"
    if precision == "auto":
        is_faster = (for_gpus if on_gpu else for_cpus) and has_bfloat16(device)
        return "bfloat16" if is_faster else "float32"
    if precision == "bfloat16" and on_gpu and not has_bfloat16(device):
        raise ValueError(
            "The 'precision' parameter of Training must be 'float32' or 'auto' on "
            f"{torch.cuda.get_device_name(device)}, which does not support bfloat16. Got "
            "'bfloat16'."
        )
    return precision


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16; older versions of torch do not tell."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


class _InBfloat16(Wrapper):
    """Run a network under autocast to bfloat16, and return its outputs as float32.

    Weights, gradients, losses and averages stay in float32; only expensive operations use half
    precision.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the network."""
        return self._call(self.module, x)

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last hidden layer of a discriminator."""
        return self._call(self.module.forward_features, x)

    def matched_features(self, x: Tensor) -> Tensor:
        """Return the features of a discriminator that feature matching compares."""
        return self._call(self.module.matched_features, x)

    def forward_head(self, features: Tensor) -> Tensor:
        """Return the outputs of a discriminator, given its last hidden layer."""
        return self._call(self.module.forward_head, features)

    def _call(self, function: Any, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, dtype=torch.bfloat16, cache_enabled=True):
            result: Tensor = function(x)
        torch.clear_autocast_cache()  # otherwise only the outermost autocast clears it
        return result.float()


def in_precision(module: Any, precision: str) -> Any:
    """Return a module that runs `module` in a precision; both share the parameters."""
    return _InBfloat16(module) if precision == "bfloat16" else module
