"""From scikit-learn's ``random_state`` to torch's random numbers, leaving no trace behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

from sgan_sklearn._threads import mind_fork

RandomState = int | np.random.RandomState | None

__all__ = ["RandomState", "draw_seed", "next_seed", "reseed", "seeded", "turn_given_up"]


class _Turn(threading.local):
    """How often this thread has taken the lock, without which torch's generators are another's."""

    depth = 0


# torch's generators belong to the whole process: threads take turns. A child process that is forked
# while another thread has its turn needs a lock of its own.
_lock = threading.RLock()
_turn = _Turn()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()
    _turn.depth = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


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
    depend on `seed` alone, and the program around never notices. Other threads wait for their turn.
    """
    mind_fork()
    with _lock, torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        _turn.depth += 1
        try:
            reseed(seed, device)
            yield
        finally:
            _turn.depth -= 1


@contextmanager
def turn_given_up(device: torch.device) -> Iterator[None]:
    """Run foreign code, which may wait for threads of its own, within a `seeded` block."""
    devices = [device] if device.type == "cuda" else []
    depth, lock = _turn.depth, _lock
    with torch.random.fork_rng(devices=devices):
        for _ in range(depth):
            lock.release()
        _turn.depth = 0
        try:
            yield
        finally:
            for _ in range(depth):
                lock.acquire()
            _turn.depth = depth


def reseed(seed: int, device: torch.device) -> None:
    """Seed torch's generators of the CPU and of a device, within a `seeded` block."""
    # Not torch.manual_seed, which seeds every GPU.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
