"""Random choices of rows that keep the shares of the classes."""

from __future__ import annotations

import numpy as np

__all__ = ["allotted", "drawn", "sample_places"]

# What is learned from the rows before the training, such as the scaling, is learned from a sample
# of this many numbers at most.
MAX_SAMPLE_VALUES = 2**23


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


def sample_places(codes: np.ndarray, n_columns: int, rng: np.random.RandomState) -> np.ndarray:
    """Return places of rows to learn from what is learned before the training.

    All, if they are few. Otherwise as many labeled ones as there are, up to half of the sample,
    with the shares of the classes and one of each at least, and unlabeled ones by chance.
    """
    n_most = max(1, MAX_SAMPLE_VALUES // n_columns)
    if len(codes) <= n_most:
        return np.arange(len(codes))
    labeled, unlabeled = np.flatnonzero(codes >= 0), np.flatnonzero(codes < 0)
    classes, by_class = np.unique(codes[labeled], return_inverse=True)
    n_labeled = min(len(labeled), max(n_most // 2, n_most - len(unlabeled), len(classes)))
    n_unlabeled = min(len(unlabeled), n_most - n_labeled)
    if n_labeled:
        wanted = allotted(np.bincount(by_class), n_labeled)
        labeled = labeled[drawn(by_class, wanted, n_labeled, rng)]
    unlabeled = rng.permutation(unlabeled)[: max(n_unlabeled, 0)]
    return np.sort(np.concatenate([labeled, unlabeled]))
