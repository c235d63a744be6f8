"""From scikit-learn's ``random_state`` to torch's random numbers, leaving no trace behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

from sgan_sklearn._threads import mind_fork

RandomState = int | np.random.RandomState | None

__all__ = [
    "OwnNumbers",
    "RandomState",
    "draw_seed",
    "give_way",
    "next_seed",
    "reseed",
    "seeded",
    "turn_given_up",
]


class _Turns:
    """torch's generators belong to the whole process: the threads that seed them take turns."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._own = threading.local()
        self.n_waiting = 0

    def take(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._count(1)
            self._lock.acquire()
            self._count(-1)
        self._own.depth = self.depth + 1

    def end(self) -> None:
        self._own.depth = self.depth - 1
        self._lock.release()

    @property
    def depth(self) -> int:
        """How often this thread has taken its turn without an end, one inside the other."""
        return getattr(self._own, "depth", 0)

    def _count(self, change: int) -> None:
        with self._counting:
            self.n_waiting += change


_turns = _Turns()


def _renew_turns() -> None:
    global _turns
    _turns = _Turns()


# A process that is forked while another thread has its turn would wait for it for ever.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_turns)


def draw_seed(random_state: RandomState) -> int:
    """Draw one seed for torch from a scikit-learn ``random_state``."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def next_seed() -> int:
    """Draw a seed from torch's generator of the CPU, within a `seeded` block."""
    return int(torch.randint(2**31 - 1, ()))


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block on torch's generators seeded with `seed`, then put their old state back.

    Weights, latent vectors, noise and whatever random layers a user's network holds then
    depend on `seed` alone, and the program around never notices. Other threads wait for
    their turn, see `give_way`.
    """
    mind_fork()
    turns = _turns
    turns.take()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            reseed(seed, device)
            yield
    finally:
        turns.end()


@contextmanager
def turn_given_up(device: torch.device) -> Iterator[None]:
    """Run foreign code, which may wait for threads of its own, within a `seeded` block.

    Other threads may have their turn meanwhile; the random numbers go on where they were.
    """
    turns, depth = _turns, _turns.depth
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(depth):
            turns.end()
        try:
            yield
        finally:
            for _ in range(depth):
                turns.take()


def give_way(device: torch.device) -> None:
    """Let another thread have its turn within a `seeded` block, if one waits for it."""
    if _turns.n_waiting:
        with turn_given_up(device):
            time.sleep(1e-3)  # or this thread would be the next one again


def reseed(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of a device, within a `seeded` block."""
    # Not torch.manual_seed, which seeds every GPU.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


class OwnNumbers:
    """A stream of torch's random numbers for foreign code, apart from those of the training.

    It begins anew with each epoch, so that a training that is resumed goes on with the same.

    Parameters
    ----------
    seed : int
        What the stream depends on besides the epoch.
    device : device
        Where numbers are drawn, besides the CPU.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._seed, self._device = seed, device
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Begin the stream of an epoch."""
        self._epoch = epoch
        self._states: list[torch.Tensor] | None = None  # of a stream that nobody has drawn from

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Run a block that draws from the stream."""
        if self._device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            yield  # a recording, whose random numbers must stay as they are
            return
        with self._kept():
            if self._states is None:
                numbers = np.random.SeedSequence((self._seed, self._epoch))
                reseed(int(numbers.generate_state(1)[0]), self._device)
            else:
                self._set(self._states)
            try:
                yield
            finally:
                self._states = self._now()

    @contextmanager
    def _kept(self) -> Iterator[None]:
        before = self._now()
        try:
            yield
        finally:
            self._set(before)

    def _now(self) -> list[torch.Tensor]:
        states = [torch.get_rng_state()]
        if self._device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self._device))
        return states

    def _set(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self._device)
