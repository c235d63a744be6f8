"""A network in the clothes of another way of working."""

from __future__ import annotations

from typing import Any

from torch import nn

__all__ = ["Wrapper"]


class Wrapper(nn.Module):
    """Stands for a network, and has all that it has but what a subclass does in another way."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        # As it is: train and eval of this one are to reach that one, no more.
        self.training = module.training

    def __getattr__(self, name: str) -> Any:
        """Return what neither this class nor `nn.Module` has, such as a user's own method."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)
