"""Random choices of rows that keep the shares of the classes."""

from __future__ import annotations

import numpy as np

__all__ = ["allotted", "drawn"]


def drawn(
    codes: np.ndarray, wanted: np.ndarray, n_kept: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return places by chance: as many of each class as wanted, up to `n_kept` of any class."""
    shuffled = [rng.permutation(np.flatnonzero(codes == code)) for code in range(len(wanted))]
    kept = [rows[:n] for rows, n in zip(shuffled, wanted, strict=True)]
    rest = np.concatenate([rows[n:] for rows, n in zip(shuffled, wanted, strict=True)])
    return np.concatenate([*kept, rng.permutation(rest)[: n_kept - wanted.sum()]])


def allotted(counts: np.ndarray, n_kept: int) -> np.ndarray:
    """Return how many of each class to keep: one at least, the rest by the largest remainder."""
    exact = n_kept * counts / counts.sum()
    kept = np.maximum(np.minimum(exact.astype(int), counts), 1)
    while kept.sum() > n_kept:  # those that got their one by right of being a class
        kept[np.where(kept > 1, kept - exact, -np.inf).argmax()] -= 1
    while kept.sum() < n_kept:
        lacking = np.where(kept < counts, exact - kept, -np.inf)
        kept[lacking.argmax()] += 1
    return kept
