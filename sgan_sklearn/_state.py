"""Tensors as numpy arrays, for pickles that hold no torch object."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "check_generator_state",
    "check_history",
    "check_moments",
    "check_progress",
    "check_weights",
    "is_tensor_of",
    "moments",
    "restore_history",
    "restore_moments",
    "to_arrays",
    "to_tensors",
]

# What Adam keeps of each weight besides the number of its steps.
_MOMENTS = ("exp_avg", "exp_avg_sq")

# A training makes fewer steps than this.
MAX_STEPS = 2**53

# Results of a training that are no flags.
_COUNTED = ("n_steps_", "loss_names_")

# Where the state of torch's generator on the CPU has its position, and how many numbers it holds.
_LEFT, _SEEDED, _NEXT, _N_STATE, _STATE_BYTES = 8, 12, 16, 624, 5056


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


def check_weights(module: nn.Module, arrays: Any) -> None:
    """Raise ValueError where arrays are not like the state of a network, or are not finite."""
    expected = module.state_dict()
    if not isinstance(arrays, dict) or set(arrays) != set(expected):
        raise ValueError("The weights are not those of the networks.")
    for name, tensor in expected.items():
        _check_like(tensor, arrays[name], f"the weights {name}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"The weights {name} are not finite.")
        if name.endswith("running_var") and (arrays[name] < 0).any():
            raise ValueError(f"The variances {name} are negative.")


def _check_like(tensor: Tensor, array: Any, name: str) -> None:
    same = (
        isinstance(array, np.ndarray)
        and array.shape == tuple(tensor.shape)
        and torch.from_numpy(np.empty(0, array.dtype)).dtype == tensor.dtype
    )
    if not same:
        raise ValueError(f"The sizes of the networks are not those of {name}.")


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the learning rate of an optimizer, and the moments of its weights, as arrays."""
    state = optimizer.state_dict()
    return {"lr": float(state["param_groups"][0]["lr"]), "state": to_arrays(state["state"])}


def check_moments(parameters: Sequence[Tensor], kept: Any) -> None:
    """Raise ValueError where `moments` are not those of an optimizer of these parameters."""
    if not (isinstance(kept, dict) and set(kept) == {"lr", "state"}):
        raise ValueError("An optimizer has a learning rate and the moments of its weights.")
    if not (isinstance(kept["lr"], float) and 0 <= kept["lr"] < np.inf):
        raise ValueError(f"A learning rate is a finite number of at least 0, not {kept['lr']!r}.")
    for place, values in kept["state"].items():
        if type(place) is not int or not 0 <= place < len(parameters):
            raise ValueError(f"There is no weight {place!r} whose moments the file has.")
        if not isinstance(values, dict) or set(values) != {"step", *_MOMENTS}:
            raise ValueError(f"The moments of weight {place} are not those of Adam.")
        _check_like(torch.zeros((), dtype=torch.float32), values["step"], "the number of steps")
        for name in _MOMENTS:
            _check_like(parameters[place], values[name], f"the moments of weight {place}")
        finite = all(np.isfinite(value).all() for value in values.values())
        if not (finite and values["step"] >= 0 and (values["exp_avg_sq"] >= 0).all()):
            raise ValueError(f"The moments of weight {place} are negative or not finite.")


def restore_moments(optimizer: torch.optim.Optimizer, kept: dict[str, Any]) -> None:
    """Give a new optimizer what `moments` has returned."""
    groups = optimizer.state_dict()["param_groups"]
    groups[0]["lr"] = kept["lr"]
    optimizer.load_state_dict({"state": to_tensors(kept["state"]), "param_groups": groups})


def check_generator_state(generator: torch.Generator, state: Any) -> None:
    """Raise ValueError where a state is none that a random generator can have.

    On the CPU it holds a position among random numbers, behind whose end torch would read on.
    """
    expected = generator.get_state()
    _check_like(expected, state, "the random generator")
    if generator.device.type != "cpu" or len(state) != _STATE_BYTES:
        return

    def whole(place: int, n_bytes: int) -> int:
        return int.from_bytes(state[place : place + n_bytes].tobytes(), "little")

    left, seeded, following = whole(_LEFT, 4), whole(_SEEDED, 4), whole(_NEXT, 8)
    is_new = (left, following) == (1, 0)
    if seeded != 1 or not (is_new or (1 <= left <= _N_STATE and left + following == _N_STATE + 1)):
        raise ValueError("The state of the random generator has a position out of its range.")


def check_progress(results: dict[str, Any]) -> None:
    """Raise ValueError where the results of a training, by name, are none that it can have."""
    n_steps, names = results["n_steps_"], results["loss_names_"]
    if type(n_steps) is not int or not 0 <= n_steps < MAX_STEPS:
        raise ValueError(f"The number of steps is an integer of at least 0, not {n_steps!r}.")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("The names of losses are strings.")
    flags = {name: value for name, value in results.items() if name not in _COUNTED}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        raise ValueError(f"The results {sorted(flags)} of a training are booleans.")


def is_tensor_of(value: Any, *shape: int) -> bool:
    """Whether a value is a tensor of finite float32 of a shape."""
    known = isinstance(value, Tensor) and value.dtype == torch.float32 and value.shape == shape
    return known and bool(value.isfinite().all())


def check_history(history: Any) -> None:
    """Raise ValueError where a history is not a list of records of numbers by name."""
    if not isinstance(history, list) or not all(
        isinstance(record, dict)
        and all(isinstance(name, str) and isinstance(v, Real) for name, v in record.items())
        for record in history
    ):
        raise ValueError("The history is a list of dicts from names to numbers.")


def restore_history(net: Any, history: list[dict[str, Any]]) -> None:
    """Append records to the history of a net."""
    # Not by its own methods, which take seconds for ten thousand epochs.
    # Each has a batch, as skorch's callbacks expect.
    net.history.extend({"batches": [{}], **record} for record in history)
