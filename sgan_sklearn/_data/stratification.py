"""Random choices of rows that preserve the class proportions."""

from __future__ import annotations

import numpy as np

__all__ = ["draw_stratified", "sample_indices", "stratified_counts"]

# Preprocessing before training, such as scaling, is fitted on a sample of at most this many
# numbers.
MAX_SAMPLE_VALUES = 2**23


def draw_stratified(
    codes: np.ndarray, class_counts: np.ndarray, n_total: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return `n_total` random indices, at least `class_counts` of each class."""
    shuffled = [rng.permutation(np.flatnonzero(codes == code)) for code in range(len(class_counts))]
    kept = [rows[:n] for rows, n in zip(shuffled, class_counts, strict=True)]
    others = np.concatenate([rows[n:] for rows, n in zip(shuffled, class_counts, strict=True)])
    return np.concatenate([*kept, rng.permutation(others)[: n_total - class_counts.sum()]])


def stratified_counts(counts: np.ndarray, n_total: int) -> np.ndarray:
    """Divide `n_total` among the classes in proportion to `counts`, with at least one for each.

    Remaining rows go to the classes with the largest remainders.
    """
    exact = n_total * counts / counts.sum()
    kept = np.maximum(np.minimum(exact.astype(int), counts), 1)
    while kept.sum() > n_total:  # small classes were rounded up to one
        kept[np.where(kept > 1, kept - exact, -np.inf).argmax()] -= 1
    while kept.sum() < n_total:
        remainders = np.where(kept < counts, exact - kept, -np.inf)
        kept[remainders.argmax()] += 1
    return kept


def sample_indices(codes: np.ndarray, n_columns: int, rng: np.random.RandomState) -> np.ndarray:
    """Return the indices of the rows on which preprocessing is fitted.

    Small data sets are used in full. Otherwise up to half of the sample are labeled rows, drawn in
    proportion to the classes with at least one row of each, and the other rows are random
    unlabeled ones.
    """
    max_rows = max(1, MAX_SAMPLE_VALUES // n_columns)
    if len(codes) <= max_rows:
        return np.arange(len(codes))
    labeled, unlabeled = np.flatnonzero(codes >= 0), np.flatnonzero(codes < 0)
    classes, by_class = np.unique(codes[labeled], return_inverse=True)
    n_labeled = min(len(labeled), max(max_rows // 2, max_rows - len(unlabeled), len(classes)))
    n_unlabeled = min(len(unlabeled), max_rows - n_labeled)
    if n_labeled:
        class_counts = stratified_counts(np.bincount(by_class), n_labeled)
        labeled = labeled[draw_stratified(by_class, class_counts, n_labeled, rng)]
    unlabeled = rng.permutation(unlabeled)[: max(n_unlabeled, 0)]
    return np.sort(np.concatenate([labeled, unlabeled]))
