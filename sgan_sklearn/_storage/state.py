"""Networks, optimizers and results of a training as NumPy arrays, with checks of file contents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = [
    "RESULTS",
    "check_generator_state",
    "check_moments",
    "check_progress",
    "check_weights",
    "history_records",
    "is_tensor_of",
    "moments",
    "plain_history",
    "restore_history",
    "restore_moments",
    "to_arrays",
    "to_tensors",
]

# State that Adam keeps for each weight besides the number of steps.
_MOMENTS = ("exp_avg", "exp_avg_sq")

# Upper limit on the number of training steps.
MAX_STEPS = 2**53

# What a training leaves in a net besides tensors and the history, with the initial values.
RESULTS: dict[str, Any] = {
    "n_steps_": 0,
    "n_epochs_resumed_": 0,
    "loss_names_": [],
    "stop_training_": False,
    "diverged_": False,
    "interrupted_": False,
}

# Byte offsets of the position in the state of torch's CPU generator, and its size.
_LEFT, _SEEDED, _NEXT, _N_STATE, _STATE_BYTES = 8, 12, 16, 624, 5056


def to_arrays(state: Any) -> Any:
    """Return a state dict with tensors replaced by arrays."""
    return _map_leaves(state, _to_array)


def to_tensors(state: Any) -> Any:
    """Return a state dict with arrays replaced by tensors."""
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
    # Copy, since a memory map may be read-only, and keep the memory order.
    return torch.from_numpy(np.array(leaf)) if isinstance(leaf, np.ndarray) else leaf


def check_weights(module: nn.Module, arrays: Any) -> None:
    """Raise ValueError if arrays do not match the state of a network, or are not finite."""
    expected = module.state_dict()
    if not isinstance(arrays, dict) or set(arrays) != set(expected):
        raise ValueError("The weights do not match the networks.")
    for name, tensor in expected.items():
        _check_like(tensor, arrays[name], f"the weights {name}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"The weights {name} are not finite.")
        if name.endswith("running_var") and (arrays[name] < 0).any():
            raise ValueError(f"The variances {name} are negative.")


def _check_like(tensor: Tensor, array: Any, name: str) -> None:
    matches = (
        isinstance(array, np.ndarray)
        and array.shape == tuple(tensor.shape)
        and torch.from_numpy(np.empty(0, array.dtype)).dtype == tensor.dtype
    )
    if not matches:
        raise ValueError(f"The shape or the dtype of {name} does not match the networks.")


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the learning rate of an optimizer and the moments of its weights as arrays."""
    state = optimizer.state_dict()
    return {"lr": float(state["param_groups"][0]["lr"]), "state": to_arrays(state["state"])}


def check_moments(parameters: Sequence[Tensor], saved: Any) -> None:
    """Raise ValueError if `saved` does not match an optimizer of these parameters."""
    if not (isinstance(saved, dict) and set(saved) == {"lr", "state"}):
        raise ValueError("An optimizer must have a learning rate and the moments of its weights.")
    if not (isinstance(saved["lr"], float) and 0 <= saved["lr"] < np.inf):
        raise ValueError(
            f"A learning rate must be a finite number of at least 0. Got {saved['lr']!r}."
        )
    for index, values in saved["state"].items():
        if type(index) is not int or not 0 <= index < len(parameters):
            raise ValueError(f"The file has moments for a weight {index!r} that does not exist.")
        if not isinstance(values, dict) or set(values) != {"step", *_MOMENTS}:
            raise ValueError(f"The moments of weight {index} are not those of Adam.")
        _check_like(torch.zeros((), dtype=torch.float32), values["step"], "the number of steps")
        for name in _MOMENTS:
            _check_like(parameters[index], values[name], f"the moments of weight {index}")
        finite = all(np.isfinite(value).all() for value in values.values())
        if not (finite and values["step"] >= 0 and (values["exp_avg_sq"] >= 0).all()):
            raise ValueError(f"The moments of weight {index} are negative or not finite.")


def restore_moments(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Restore the state returned by `moments` in a new optimizer."""
    groups = optimizer.state_dict()["param_groups"]
    groups[0]["lr"] = saved["lr"]
    optimizer.load_state_dict({"state": to_tensors(saved["state"]), "param_groups": groups})


def check_generator_state(generator: torch.Generator, state: Any) -> None:
    """Raise ValueError if a state is not valid for a random generator.

    On the CPU, the state includes a position in an array, which torch reads without bounds checks.
    """
    expected = generator.get_state()
    _check_like(expected, state, "the random generator")
    if generator.device.type != "cpu" or len(state) != _STATE_BYTES:
        return

    def integer(offset: int, n_bytes: int) -> int:
        return int.from_bytes(state[offset : offset + n_bytes].tobytes(), "little")

    left, seeded, following = integer(_LEFT, 4), integer(_SEEDED, 4), integer(_NEXT, 8)
    is_new = (left, following) == (1, 0)
    if seeded != 1 or not (is_new or (1 <= left <= _N_STATE and left + following == _N_STATE + 1)):
        raise ValueError("The state of the random generator has a position out of its range.")


def check_progress(results: dict[str, Any]) -> None:
    """Raise ValueError if results of a training, some or all of `RESULTS`, are not valid."""
    for name, value in results.items():
        if type(value) is not type(RESULTS[name]):
            kind = type(RESULTS[name]).__name__
            raise ValueError(f"The result {name} must be of type {kind}. Got {value!r}.")
        if type(value) is int and not 0 <= value < MAX_STEPS:
            raise ValueError(f"The result {name} must be at least 0. Got {value!r}.")
    if not all(isinstance(name, str) for name in results["loss_names_"]):
        raise ValueError("The names of losses must be strings.")


def is_tensor_of(value: Any, *shape: int) -> bool:
    """Return whether a value is a finite float32 tensor of a shape."""
    matches = isinstance(value, Tensor) and value.dtype == torch.float32 and value.shape == shape
    return matches and bool(value.isfinite().all())


def plain_history(records: Iterable[dict[str, Any]]) -> dict[str, tuple[np.ndarray, Any]]:
    """Return the epochs and the values of each name in a record for each epoch.

    Floats are an array: with a number in JSON for each, files of 20,000 epochs would be too large.
    """
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for epoch, record in enumerate(records):
        for name, value in record.items():
            if name != "batches":
                epochs, values = columns.setdefault(name, ([], []))
                epochs.append(epoch)
                values.append(value)
    return {
        name: (
            np.array(epochs, dtype=np.int64),
            np.array(values) if all(isinstance(value, float) for value in values) else values,
        )
        for name, (epochs, values) in columns.items()
    }


def history_records(history: Any) -> list[dict[str, Any]]:
    """Return a record for each epoch of a plain history, or raise ValueError."""
    if isinstance(history, list):  # format 3
        records = history
    else:
        try:
            # An array of 10**12 rows of no columns needs no bytes in a file.
            for epochs, values in history.values():
                if epochs.ndim != 1 or epochs.dtype != np.int64 or np.ndim(values) != 1:
                    raise ValueError
            n_epochs = len(history["epoch"][0]) if history else 0
            records = [{} for _ in range(n_epochs)]
            for name, (epochs, values) in history.items():
                is_complete = name != "epoch" or np.array_equal(epochs, np.arange(n_epochs))
                if not (is_complete and (epochs >= 0).all()):
                    raise ValueError
                values = values.tolist() if isinstance(values, np.ndarray) else values
                for epoch, value in zip(epochs.tolist(), values, strict=True):
                    records[epoch][name] = value
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            raise ValueError(
                "The history must have an array of epochs and as many values for each name."
            ) from None
    if not all(
        isinstance(record, dict)
        and all(isinstance(name, str) and isinstance(v, Real) for name, v in record.items())
        for record in records
    ):
        raise ValueError("The history must have numbers by name for each epoch.")
    return records


def restore_history(net: Any, history: Any) -> None:
    """Append the epochs of a plain history to the history of a net."""
    # The methods of History take seconds for ten thousand epochs. Callbacks of skorch expect that
    # each epoch has a batch.
    net.history.extend({"batches": [{}], **record} for record in history_records(history))
