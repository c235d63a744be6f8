"""Random generators of torch, seeded from ``random_state`` and restored afterwards."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

from sgan_sklearn._runtime.threads import limit_threads_after_fork

RandomState = int | np.random.RandomState | None

__all__ = [
    "RandomState",
    "RandomStream",
    "draw_seed",
    "next_seed",
    "released_lock",
    "reseed",
    "seeded",
    "yield_lock",
]


class _GeneratorLock:
    """Reentrant lock for torch's random generators, which all threads of the process share.

    It knows how many threads wait for it, so that its owner can let them go first.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._count_lock = threading.Lock()
        self._local = threading.local()
        self.n_waiting = 0

    def acquire(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._count(1)
            self._lock.acquire()
            self._count(-1)
        self._local.depth = self.depth + 1

    def release(self) -> None:
        self._local.depth = self.depth - 1
        self._lock.release()

    @property
    def depth(self) -> int:
        """How many times this thread has acquired the lock without releasing it."""
        return getattr(self._local, "depth", 0)

    def _count(self, change: int) -> None:
        with self._count_lock:
            self.n_waiting += change


_lock = _GeneratorLock()


def _replace_lock() -> None:
    global _lock
    _lock = _GeneratorLock()


# A process that is forked while another thread owns the lock could never acquire it.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock)


def draw_seed(random_state: RandomState) -> int:
    """Draw one seed for torch from a scikit-learn ``random_state``."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def next_seed() -> int:
    """Draw a seed from the CPU generator of torch, within a `seeded` block."""
    return int(torch.randint(2**31 - 1, ()))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block with torch's generators seeded with `seed`, then restore their state.

    Weights, latent vectors, noise and the random layers of any network depend on `seed` alone,
    and random numbers outside the block do not change. Other threads wait for the lock, see
    `yield_lock`.
    """
    limit_threads_after_fork()
    lock = _lock
    lock.acquire()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            reseed(seed, device)
            yield
    finally:
        lock.release()


@contextmanager
def released_lock(device: torch.device) -> Iterator[None]:
    """Release the lock for a part of a `seeded` block, such as code that waits for threads.

    Other threads can run their own `seeded` blocks meanwhile. The state of the generators is
    restored afterwards.
    """
    lock, depth = _lock, _lock.depth
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(depth):
            lock.release()
        try:
            yield
        finally:
            for _ in range(depth):
                lock.acquire()


def yield_lock(device: torch.device) -> None:
    """Let another thread acquire the lock within a `seeded` block, if one waits for it."""
    if _lock.n_waiting:
        with released_lock(device):
            time.sleep(1e-3)  # otherwise this thread would acquire the lock again


def reseed(seed: int, device: torch.device) -> None:
    """Seed the generators of the CPU and of a device, within a `seeded` block."""
    # torch.manual_seed would seed every GPU.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


class RandomStream:
    """Separate stream of torch's random numbers, for callbacks.

    Callbacks that draw random numbers then do not change the model. The stream is seeded again in
    each epoch, so that a resumed training continues with the same numbers.

    Parameters
    ----------
    seed : int
        Seed of the stream, besides the number of the epoch.
    device : device
        Device whose generator the stream uses, besides that of the CPU.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self.start_epoch(0)

    def start_epoch(self, epoch: int) -> None:
        """Start the stream of an epoch."""
        self._epoch = epoch
        self._states: list[torch.Tensor] | None = None  # None until the first use

    @contextmanager
    def active(self) -> Iterator[None]:
        """Run a block whose random numbers come from the stream."""
        if self._device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            yield  # a recording must not change the state of the generators
            return
        with self._restored():
            if self._states is None:
                sequence = np.random.SeedSequence((self._seed, self._epoch))
                reseed(int(sequence.generate_state(1)[0]), self._device)
            else:
                self._set_states(self._states)
            try:
                yield
            finally:
                self._states = self._get_states()

    @contextmanager
    def _restored(self) -> Iterator[None]:
        before = self._get_states()
        try:
            yield
        finally:
            self._set_states(before)

    def _get_states(self) -> list[torch.Tensor]:
        states = [torch.get_rng_state()]
        if self._device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self._device))
        return states

    def _set_states(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self._device)
