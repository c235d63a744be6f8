"""Base class for module wrappers."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["Wrapper"]


class Wrapper(nn.Module):
    """Base class for module wrappers.

    A wrapper has all attributes of the wrapped module; a subclass overrides some of its methods.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        # train and eval of a wrapper then reach the module only when they are called.
        self.training = module.training

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the wrapped module that this class does not define."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)
