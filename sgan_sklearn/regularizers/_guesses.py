"""Simple classifiers of the labeled rows, for regularizers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

__all__ = ["guessing", "thinned", "thinned_labels"]


@contextmanager
def guessing() -> Iterator[None]:
    """Suppress the warnings of simple classifiers.

    They need not converge, and few labels per class are expected.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def thinned_labels(codes: np.ndarray, n_most: int) -> np.ndarray:
    """Return the indices of at most about `n_most` labeled rows, balanced over the classes."""
    classes = np.unique(codes[codes >= 0])
    return np.concatenate(
        [thinned(np.flatnonzero(codes == code), n_most // len(classes)) for code in classes]
    )


def thinned(indices: np.ndarray, n_most: int) -> np.ndarray:
    """Return a fixed random subset of at most `n_most` indices, and at least one."""
    if len(indices) <= n_most:
        return indices
    # A random subset, since rows may be sorted.
    return np.random.RandomState(0).permutation(indices)[: max(n_most, 1)]
