"""Simple classifiers of the labeled rows, for regularizers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

__all__ = ["balanced_subset", "ignore_fit_warnings", "random_subset"]


@contextmanager
def ignore_fit_warnings() -> Iterator[None]:
    """Suppress the warnings of simple classifiers.

    They need not converge, and few labels per class are expected.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def balanced_subset(codes: np.ndarray, max_size: int) -> np.ndarray:
    """Return the indices of at most about `max_size` labeled rows, balanced over the classes."""
    classes = np.unique(codes[codes >= 0])
    return np.concatenate(
        [random_subset(np.flatnonzero(codes == code), max_size // len(classes)) for code in classes]
    )


def random_subset(indices: np.ndarray, max_size: int) -> np.ndarray:
    """Return a fixed random subset of at most `max_size` indices, and at least one."""
    if len(indices) <= max_size:
        return indices
    # A random subset, since rows may be sorted.
    return np.random.RandomState(0).permutation(indices)[: max(max_size, 1)]
