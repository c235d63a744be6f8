"""Number of threads of torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

__all__ = ["limit_threads_after_fork", "threads_for"]

# Networks with at most this many weights train on one thread. Operations on small tensors gain
# nothing from more threads, which wait for each other where other programs need the processors.
MAX_WEIGHTS = 500_000

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


class _OneThread:
    """Blocks in which torch, NumPy and SciPy compute with one thread.

    Each thread of the process has its own number of threads, but the number set last is that of
    threads that use torch for the first time. So the number to restore is that from before the
    first of several blocks that overlap.
    """

    def __init__(self) -> None:
        self._libraries: ThreadpoolController | None = None
        self.reset()

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._n_users = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        """Run a block with one thread."""
        with self._lock:
            if self._n_users == 0:
                self._former = torch.get_num_threads()
                # Finding the libraries takes several milliseconds. The imports of this package
                # have loaded those of NumPy and SciPy.
                self._libraries = self._libraries or ThreadpoolController()
                self._blas = self._libraries.limit(limits=1, user_api="blas")
            # A thread that uses torch for the first time has the number of the other blocks.
            own = torch.get_num_threads()
            former = own if own > 1 else self._former
            self._n_users += 1
            torch.set_num_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._n_users -= 1
                torch.set_num_threads(former)
                if self._n_users == 0:
                    self._blas.restore_original_limits()


_one_thread = _OneThread()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_one_thread.reset)


@contextmanager
def threads_for(*networks: nn.Module) -> Iterator[None]:
    """Run a block that trains networks with one thread if they are small, else as many as set.

    The choice depends on the networks alone, so that the model does not depend on the number of
    threads that torch is set to.
    """
    weights = [weight for network in networks for weight in network.parameters()]
    # Convolutions use each weight at every pixel.
    is_small = all(weight.ndim < 3 for weight in weights)
    if is_small and sum(weight.numel() for weight in weights) <= MAX_WEIGHTS:
        with _one_thread.active():
            yield
    else:
        yield
