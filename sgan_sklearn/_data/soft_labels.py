"""Class probabilities of the rows as `y`, in place of labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sgan_sklearn._data.targets import as_code

__all__ = ["SoftLabels", "soft_labels_of"]

# How far from 1 the sum of the probabilities of a row may be: they may be rounded.
TOLERANCE = 0.01


class SoftLabels(NamedTuple):
    """Classes, and the probability of each for each row."""

    classes: np.ndarray
    """Sorted class labels, shape (n_classes,)."""

    probabilities: np.ndarray
    """Shape (n, n_classes), float32; zeros for unlabeled rows."""


def soft_labels_of(y: Any, unlabeled_value: Any) -> SoftLabels | None:
    """Return the class probabilities in `y`, or None if it holds labels.

    Raises ValueError if a table of numbers does not hold class probabilities.
    """
    if not hasattr(y, "shape") or len(y.shape) != 2 or y.shape[1] < 2:
        return None
    try:
        values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
        if values.dtype.kind not in "fO":
            return None
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        return None
    classes = np.arange(values.shape[1])
    if hasattr(y, "columns"):
        classes = np.array(list(y.columns))
        order = np.argsort(classes)
        classes, values = classes[order], values[:, order]
    if len(np.unique(classes)) < len(classes):
        raise ValueError(
            "The columns of y, which are the classes of class probabilities, must differ from each "
            f"other. Got {classes.tolist()}."
        )
    if unlabeled_value in classes.tolist():
        raise ValueError(
            "The columns of y are the classes of class probabilities, so they must not hold "
            f"unlabeled_value={as_code(unlabeled_value)}. Omit this column: rows of NaN are "
            "unlabeled."
        )
    is_labeled = ~np.isnan(values).all(axis=1)
    known = values[is_labeled]
    sums = known.sum(axis=1)
    wrong = ~((known >= 0).all(axis=1) & (np.abs(sums - 1) <= TOLERANCE))
    if wrong.any():
        row = int(np.flatnonzero(is_labeled)[wrong.argmax()])
        raise ValueError(
            "y of several columns must hold class probabilities, which are not negative and add up "
            "to 1 in each row, or NaN in all columns of an unlabeled row. Row "
            f"{row} holds {values[row].tolist()[:10]}. For several targets use "
            "MultiOutputClassifier(SGANClassifier())."
        )
    probabilities = np.zeros(values.shape, dtype=np.float32)
    probabilities[is_labeled] = known / sums[:, np.newaxis]
    return SoftLabels(classes, probabilities)
