"""Threads of torch in forked processes."""

from __future__ import annotations

import os

import torch

__all__ = ["limit_threads_after_fork"]

_is_fork = False


def _remember_fork() -> None:
    global _is_fork
    _is_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_fork)


def limit_threads_after_fork() -> None:
    """Limit torch to one thread in a forked process; call it before the first computation.

    A fork does not copy the threads of OpenMP, and a computation that uses them would never
    return. The data loaders of torch use one thread for the same reason.
    """
    global _is_fork
    if _is_fork:
        torch.set_num_threads(1)
        _is_fork = False
