"""Default settings of NumPy, scikit-learn and torch for the public methods of this package."""

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

# Settings of scikit-learn that change what its transformers and its validation return.
PLAIN_CONFIG = {"transform_output": "default", "assume_finite": False, "array_api_dispatch": False}

# Default handling of floating-point errors in NumPy.
PLAIN_ERRORS: dict[str, Any] = {
    "divide": "warn",
    "over": "warn",
    "under": "ignore",
    "invalid": "warn",
}

# Types of devices that networks run on.
DEVICE_TYPES = ("cpu", "cuda") if torch.backends.cuda.is_built() else ("cpu",)


class _DefaultDtype:
    """Default dtype of torch, which all threads of the process share.

    It is float32 while any thread needs it; the last of these threads restores the former dtype.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._has_changed = False
        self._reset()

    def _reset(self) -> None:
        """Count only this thread: a forked process has no other one."""
        self._lock = threading.Lock()
        self._n_users = self._depth

    @property
    def _depth(self) -> int:
        """Number of nested blocks of this thread that need float32."""
        return getattr(self._local, "depth", 0)

    @property
    def is_float32(self) -> bool:
        """Whether the dtype is float32, and not only while another thread needs it."""
        # This order is correct at any moment, without the lock.
        return torch.get_default_dtype() is torch.float32 and not self._has_changed

    @contextmanager
    def float32(self) -> Iterator[None]:
        """Run a block with float32 as the default dtype."""
        with self._lock:
            self._has_changed = True
            if self._n_users == 0:
                self._former = torch.get_default_dtype()
            torch.set_default_dtype(torch.float32)
            self._n_users += 1
            self._local.depth = self._depth + 1
        try:
            yield
        finally:
            with self._lock:
                self._local.depth = self._depth - 1
                self._n_users -= 1
                if self._n_users == 0:
                    torch.set_default_dtype(self._former)

    def after_fork(self) -> None:
        """Restore the former dtype if only threads of the parent process needed float32."""
        is_changed = self._n_users > 0
        self._reset()
        if is_changed and self._n_users == 0:
            torch.set_default_dtype(self._former)


_default_dtype = _DefaultDtype()

# A default device is one of these modes. Without their number, assume that there is one.
_n_modes = getattr(torch._C, "_len_torch_function_stack", lambda: 1)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default_dtype.after_fork)


@contextmanager
def plain_settings() -> Iterator[None]:
    """Run a block under the default settings of the libraries.

    These are the output and validation of scikit-learn, the error state of NumPy, and the
    gradients, autocast, default device and default dtype of torch. The former settings are
    restored afterwards.
    """
    with ExitStack() as stack:
        if not _is_plain():
            stack.enter_context(config_context(**PLAIN_CONFIG))
            # Errors that the program ignores may come from one of its own transformers.
            ignored = {
                kind: handling for kind, handling in np.geterr().items() if handling == "ignore"
            }
            stack.enter_context(np.errstate(**PLAIN_ERRORS | ignored))
            stack.enter_context(torch.inference_mode(False))  # also enables gradients
            for device_type in DEVICE_TYPES:
                if torch.is_autocast_enabled(device_type):
                    # An inner autocast would cache casts of old weights until the outer one ends.
                    off = torch.autocast(device_type, enabled=False, cache_enabled=False)
                    stack.enter_context(off)
            if torch.empty(0).device.type != "cpu":  # which slows down each operation
                stack.enter_context(torch.device("cpu"))
            if not _default_dtype.is_float32:
                stack.enter_context(_default_dtype.float32())
        yield


def with_plain_settings(function: Function) -> Function:
    """Return a function that runs in a block of `plain_settings`."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        if _is_plain():  # skipping the block is faster than entering it without effect
            return function(*args, **kwargs)
        with plain_settings():
            return function(*args, **kwargs)

    return cast("Function", run)


def _is_plain() -> bool:
    """Return whether all settings are the default ones; each public method calls this."""
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
