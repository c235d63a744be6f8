"""torch's threads in processes that were forked."""

from __future__ import annotations

import os

import torch

__all__ = ["mind_fork"]

_is_fork = False


def _remember_fork() -> None:
    global _is_fork
    _is_fork = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_remember_fork)


def mind_fork() -> None:
    """Let torch do with one thread in a forked process, before its first computation there.

    OpenMP's threads do not come along into a fork, which would wait for them forever: torch's own
    data loaders do the same.
    """
    global _is_fork
    if _is_fork:
        torch.set_num_threads(1)
        _is_fork = False
