"""Guesses from the labeled rows, for the regularizers that make some."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sklearn.exceptions import ConvergenceWarning

__all__ = ["guessing", "thinned", "thinned_labels"]


@contextmanager
def guessing() -> Iterator[None]:
    """Fit simple classifiers without their warnings.

    A guess need not have converged, and few labels a class are what this is for.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def thinned_labels(codes: np.ndarray, n_most: int) -> np.ndarray:
    """Return the indices of about `n_most` labeled rows at most, as many of each class."""
    classes = np.unique(codes[codes >= 0])
    return np.concatenate(
        [thinned(np.flatnonzero(codes == code), n_most // len(classes)) for code in classes]
    )


def thinned(indices: np.ndarray, n_most: int) -> np.ndarray:
    """Return at most `n_most` of the indices (but one at least), the same ones each time."""
    if len(indices) <= n_most:
        return indices
    # At random, since rows may come in a regular order.
    return np.random.RandomState(0).permutation(indices)[: max(n_most, 1)]
