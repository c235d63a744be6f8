"""Simple classifiers of the labeled rows, for regularizers and ensembles."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold

if TYPE_CHECKING:
    from sgan_sklearn._data.rows import Rows

__all__ = [
    "balanced_subset",
    "flat_rows",
    "ignore_fit_warnings",
    "label_spreading_accuracy",
    "most_frequent",
    "random_subset",
    "seeded_clone",
]

# Maximum numbers of labeled and of unlabeled rows for label spreading, and of folds.
MAX_SPREAD_ROWS = 2_000
MAX_SPLITS = 5

# Number of neighbors, clamping factor and steps of label spreading, sufficient for two moons.
N_NEIGHBORS = 7
ALPHA = 0.8
SPREADING_STEPS = 100


@contextmanager
def ignore_fit_warnings() -> Iterator[None]:
    """Suppress the warnings of simple classifiers.

    They need not converge, and few labels per class are expected. Some BLAS kernels report invalid
    values in products of finite numbers, so callers check the results instead.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield


def seeded_clone(classifier: Any, draw_seed: Callable[[], int]) -> Any:
    """Return an unfitted copy whose random states have seeds, so that training is reproducible."""
    copy = clone(classifier)
    unseeded = {
        name: draw_seed()
        for name, value in sorted(copy.get_params().items())
        if name.split("__")[-1] == "random_state" and value is None
    }
    return copy.set_params(**unseeded)


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


def flat_rows(rows: Rows, places: np.ndarray | slice) -> np.ndarray:
    """Return rows as a 2-D array."""
    wanted = places if isinstance(places, slice) else torch.from_numpy(places)
    return rows[wanted].flatten(1).cpu().numpy()


def label_spreading_accuracy(X: Rows, codes: np.ndarray) -> float:
    """Return the chance-adjusted balanced accuracy of label spreading, from 0 to 1.

    Classes with a single labeled row cannot be evaluated. If fewer than two classes have more, the
    result is 1, so that the network learns from the unlabeled rows without a teacher.
    """
    from sklearn.neighbors import kneighbors_graph
    from sklearn.semi_supervised import LabelSpreading

    n_classes = len(np.unique(codes[codes >= 0]))
    labeled = balanced_subset(codes, max(MAX_SPREAD_ROWS, 2 * n_classes))
    y = np.unique(codes[labeled], return_inverse=True)[1]
    evaluated = np.flatnonzero(np.bincount(y)[y] > 1)
    true = y[evaluated]
    if len(np.unique(true)) < 2:
        return 1.0
    unlabeled = random_subset(np.flatnonzero(codes < 0), MAX_SPREAD_ROWS)
    # Equal rows would only have each other as neighbors, which would stop the spreading.
    seen = flat_rows(X, np.concatenate([labeled, unlabeled]))
    rows, places = np.unique(seen, axis=0, return_inverse=True)
    places = places.ravel()[: len(labeled)]
    n_neighbors = min(N_NEIGHBORS, 1 + len(rows) // (2 * n_classes))
    graph = kneighbors_graph(rows, n_neighbors, include_self=True)
    # Each step shrinks the changes by ALPHA, so that the last one is within the tolerance.
    # Otherwise there would be a warning, which can only be silenced for all threads.
    tol = len(rows) * 10 * ALPHA**SPREADING_STEPS
    spreading = LabelSpreading(
        kernel=lambda *_: graph, alpha=ALPHA, max_iter=SPREADING_STEPS, tol=tol
    )
    right = np.empty(len(evaluated))
    splits = StratifiedKFold(min(MAX_SPLITS, np.bincount(true).max()), shuffle=True, random_state=0)
    with ignore_fit_warnings():
        for _, hidden in splits.split(evaluated, true):
            shown = np.setdiff1d(np.arange(len(y)), evaluated[hidden])
            spreading.fit(rows, most_frequent(y[shown], places[shown], len(rows), n_classes))
            shares = np.zeros((len(hidden), n_classes))
            shares[:, spreading.classes_] = spreading.label_distributions_[
                places[evaluated[hidden]]
            ]
            # If no label reached a row, all classes are equally likely.
            likeliest = shares == shares.max(axis=1, keepdims=True)
            chances = likeliest / likeliest.sum(axis=1, keepdims=True)
            right[hidden] = chances[np.arange(len(hidden)), true[hidden]]
    recalls = [right[true == code].mean() for code in np.unique(true)]
    chance = 1 / len(recalls)
    return max(0.0, float((np.mean(recalls) - chance) / (1 - chance)))


def most_frequent(y: np.ndarray, places: np.ndarray, n_places: int, n_classes: int) -> np.ndarray:
    """Return the most frequent class of the labels of each distinct row, -1 without labels."""
    counts = np.zeros((n_places, n_classes))
    np.add.at(counts, (places, y), 1)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
