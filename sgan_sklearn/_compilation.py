"""Networks whose steps torch.compile has made one program of."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

__all__ = ["Compiled", "check_compiles"]

# What losses and regularizers call of a network.
_FUNCTIONS = ("forward", "forward_features", "forward_head")


class Compiled(nn.Module):
    """A network whose functions are compiled when they are first called; the weights are shared."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        # As it is: train and eval of this one are to reach that one, no more.
        self.training = module.training
        for name in _FUNCTIONS:
            if hasattr(module, name):
                setattr(self, name, torch.compile(getattr(module, name)))


@cache
def check_compiles(device: torch.device) -> None:
    """Raise ValueError where torch.compile lacks what it needs, such as a C++ compiler."""
    try:
        torch.compile(lambda x: (x + 1).sin())(torch.zeros(8, device=device))
    except Exception as error:  # it may come from any of the programs that take part
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            "The 'compile' parameter of SGANClassifier must be False here: torch.compile does not "
            f"work on {device.type!r} ({type(error).__name__}: {reason}). Install what it needs, a "
            "C++ compiler on CPUs and Triton on GPUs, or leave it out."
        ) from error
