"""The settings of the program around: what enters this package works under the default ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
import torch
from sklearn import config_context, get_config

__all__ = ["plain_settings", "with_plain_settings"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Those of scikit-learn that decide what its transformers and its validation return.
PLAIN_CONFIG = {"transform_output": "default", "assume_finite": False, "array_api_dispatch": False}

# NumPy's answers to floating-point errors.
PLAIN_ERRORS: dict[str, Any] = {
    "divide": "warn",
    "over": "warn",
    "under": "ignore",
    "invalid": "warn",
}

# What networks may work on.
DEVICE_TYPES = ("cpu", "cuda") if torch.backends.cuda.is_built() else ("cpu",)


class _DefaultDtype:
    """torch's default dtype, which belongs to the whole process.

    It is float32 as long as any thread needs that; the last one puts the program's own back.
    """

    def __init__(self) -> None:
        self._own = threading.local()
        self._has_changed = False
        self._renew()

    def _renew(self) -> None:
        """Forget the other threads, which a forked process does not have."""
        self._lock = threading.Lock()
        self._n_users = self._depth

    @property
    def _depth(self) -> int:
        """How many blocks of this thread need float32, one inside the other."""
        return getattr(self._own, "depth", 0)

    @property
    def is_float32(self) -> bool:
        """Whether the dtype is float32, and not only for as long as another thread needs that."""
        # In this order: it is right at any moment, without the lock.
        return torch.get_default_dtype() is torch.float32 and not self._has_changed

    @contextmanager
    def float32(self) -> Iterator[None]:
        """Run a block with float32."""
        with self._lock:
            self._has_changed = True
            if self._n_users == 0:
                self._of_program = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
            self._n_users += 1
            self._own.depth = self._depth + 1
        try:
            yield
        finally:
            with self._lock:
                self._own.depth = self._depth - 1
                self._n_users -= 1
                if self._n_users == 0:
                    torch.set_default_dtype(self._of_program)

    def after_fork(self) -> None:
        """Put the program's dtype back where only threads of the parent needed float32."""
        is_changed = self._n_users > 0
        self._renew()
        if is_changed and self._n_users == 0:
            torch.set_default_dtype(self._of_program)


_default_dtype = _DefaultDtype()

# A default device is one of these modes. Where PyTorch does not tell their number there may be one.
_n_modes = getattr(torch._C, "_len_torch_function_stack", lambda: 1)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default_dtype.after_fork)


@contextmanager
def plain_settings() -> Iterator[None]:
    """Run a block under the libraries' default settings.

    scikit-learn's output and validation, NumPy's error state, and torch's gradients, autocast,
    default device and default dtype then are those of a fresh program, and afterwards again those
    of the program around.
    """
    with ExitStack() as stack:
        if not _is_plain():
            stack.enter_context(config_context(**PLAIN_CONFIG))
            # What the program ignores may come from a transformer of its own.
            ignored = {kind: answer for kind, answer in np.geterr().items() if answer == "ignore"}
            stack.enter_context(np.errstate(**PLAIN_ERRORS | ignored))
            stack.enter_context(torch.inference_mode(False))  # which turns gradients on as well
            for device_type in DEVICE_TYPES:
                if torch.is_autocast_enabled(device_type):
                    # An inner autocast would keep casts of old weights until this one ends.
                    off = torch.autocast(device_type, enabled=False, cache_enabled=False)
                    stack.enter_context(off)
            if torch.empty(0).device.type != "cpu":  # for it slows each operation down
                stack.enter_context(torch.device("cpu"))
            if not _default_dtype.is_float32:
                stack.enter_context(_default_dtype.float32())
        yield


def with_plain_settings(function: Function) -> Function:
    """Return a function that runs in a block of `plain_settings`."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _is_plain():  # no block is quicker than a block without effect
            return function(*args, **kwargs)
        with plain_settings():
            return function(*args, **kwargs)

    return cast("Function", run)


def _is_plain() -> bool:
    """Return whether all settings are the default ones; it is asked at each call of a method."""
    config = get_config()
    return (
        config["transform_output"] == "default"
        and not config["assume_finite"]
        and not config["array_api_dispatch"]
        and np.geterr() == PLAIN_ERRORS
        and torch.is_grad_enabled()
        and not torch.is_inference_mode_enabled()
        and not any(map(torch.is_autocast_enabled, DEVICE_TYPES))
        and not _n_modes()
        and _default_dtype.is_float32
    )
