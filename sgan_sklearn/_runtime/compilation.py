"""Networks that torch.compile compiles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

from sgan_sklearn._runtime.wrapper import Wrapper

__all__ = ["Compiled", "check_compiles", "compiling"]

# What losses and regularizers call of a network.
_FUNCTIONS = ("forward", "forward_features", "forward_head")

# Programs that PyTorch may make of one function in a process.
_MANY = 2**20


class Compiled(Wrapper):
    """A network whose functions are compiled when they are first called; the weights are shared."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        for name in _FUNCTIONS:
            if hasattr(module, name):
                # A program for each size of a batch: one for all sizes would come with the second.
                compiled = torch.compile(getattr(module, name), dynamic=False)
                setattr(self, name, compiled)


@contextmanager
def compiling() -> Iterator[None]:
    """Lift PyTorch's limit, beyond which it goes on uncompiled and draws other random numbers.

    It counts what earlier fits have compiled, which are not to change the models of later ones.
    Errors within get a hint at their likely cause, which the compiler's own seldom name.
    """
    # These names are older than those of PyTorch 2.6, and still known.
    limits = torch._dynamo.config.patch(cache_size_limit=_MANY, accumulated_cache_size_limit=_MANY)
    try:
        with limits, _without_warnings():
            yield
    except Exception as error:  # whichever it is, it goes on
        error.add_note("The networks were compiled: try compile=False.")
        raise


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Hide PyTorch's warnings about itself: its compiler uses what other parts of it deprecate."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
        yield


@cache
def check_compiles(device: torch.device) -> None:
    """Raise ValueError where torch.compile lacks what it needs, such as a C++ compiler."""
    try:
        with _without_warnings():
            torch.compile(lambda x: (x + 1).sin())(torch.zeros(8, device=device))
    except Exception as error:  # it may come from any of the programs that take part
        lines = [line.strip() for line in str(error).splitlines()]
        reason = next((line for line in lines if line and line[-1] != ":"), "no reason given")
        raise ValueError(
            "The 'compile' parameter of SGANClassifier must be False here: torch.compile does not "
            f"work on {device.type!r} ({type(error).__name__}: {reason}). Install what it needs, a "
            "working C++ compiler with Python's headers on CPUs and Triton on GPUs, or leave it "
            "out."
        ) from error
