"""Tensors as numpy arrays, for pickles that hold no torch object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["to_arrays", "to_tensors"]


def to_arrays(state: Any) -> Any:
    """Return a state dict with arrays in place of tensors."""
    return _map_leaves(state, _to_array)


def to_tensors(state: Any) -> Any:
    """Return a state dict with tensors in place of arrays."""
    return _map_leaves(state, _to_tensor)


def _map_leaves(tree: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(tree, dict):
        return {key: _map_leaves(value, function) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_map_leaves(value, function) for value in tree]
    return function(tree)


def _to_array(leaf: Any) -> Any:
    return leaf.detach().cpu().numpy().copy(order="K") if isinstance(leaf, Tensor) else leaf


def _to_tensor(leaf: Any) -> Any:
    # A copy, since a memory map may be read-only, with the same order of memory.
    return torch.from_numpy(np.array(leaf)) if isinstance(leaf, np.ndarray) else leaf
