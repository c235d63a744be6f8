"""Class probabilities of the rows as `y`, in place of labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from sgan_sklearn._data.targets import as_array, as_code, plain_labels
from sgan_sklearn._data.validation import is_missing

__all__ = ["SoftLabels", "soft_labels_of"]


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
    shape = getattr(y, "shape", None)
    if not (isinstance(shape, tuple) and len(shape) == 2 and shape[1] > 1):
        return None
    values = _numbers_of(y)
    if values is None:
        return None
    names = getattr(y, "column_names", getattr(y, "columns", None))  # pyarrow has the first
    if names is None:
        classes = np.arange(values.shape[1])
    else:
        classes = _classes_of(list(names))
        order = np.argsort(classes)
        classes, values = classes[order], values[:, order]
    if unlabeled_value in classes.tolist():
        remedy = "Omit this column" if names is not None else "Pass a DataFrame with other columns"
        raise ValueError(
            "The columns of y are the classes of class probabilities, so they must not hold "
            f"unlabeled_value={as_code(unlabeled_value)}. {remedy}, or set another "
            "unlabeled_value: rows of NaN are unlabeled."
        )
    is_labeled = ~np.isnan(values).all(axis=1)
    if unlabeled_value is None and not is_labeled.all():
        raise ValueError(
            f"y holds class probabilities with NaN in {(~is_labeled).sum()} of {len(values)} rows, "
            "but unlabeled_value=None means that every row is labeled. With another "
            "unlabeled_value, such as -1, these rows are unlabeled."
        )
    known = values[is_labeled]
    sums = known.sum(axis=1)
    # Probabilities may be rounded to two digits.
    tolerance = 0.005 * max(2, values.shape[1]) + 1e-6
    _check_rows(np.isfinite(known).all(axis=1), values, is_labeled, "be numbers, or all NaN")
    _check_rows((known >= 0).all(axis=1), values, is_labeled, "not be negative")
    sums_to_one = np.abs(sums - 1) <= tolerance
    _check_rows(sums_to_one, values, is_labeled, "add up to 1 in each row")
    probabilities = np.zeros(values.shape, dtype=np.float32)
    probabilities[is_labeled] = known / sums[:, np.newaxis]
    return SoftLabels(classes, probabilities)


def _numbers_of(y: Any) -> np.ndarray | None:
    """Return a table as floats, NaN where missing, or None if it does not hold floats."""
    if isinstance(y, np.ma.MaskedArray):
        return np.ma.filled(y.astype(np.float64), np.nan) if y.dtype.kind == "f" else None
    try:
        if hasattr(y, "iloc"):  # pandas
            if not all(getattr(dtype, "kind", "O") in "fO" for dtype in y.dtypes):
                return None
            return np.asarray(y.to_numpy(dtype=np.float64, na_value=np.nan))
        if hasattr(y, "column_names"):  # pyarrow
            return np.column_stack([y[name].to_numpy() for name in y.column_names]).astype(float)
        values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
        return values.astype(np.float64) if values.dtype.kind in "fO" else None
    except (TypeError, ValueError):  # text
        return None


def _classes_of(names: list[Any]) -> np.ndarray:
    """Return the names of columns as class labels, or raise ValueError."""
    labels, _ = as_array(names)
    try:
        if not isinstance(labels, np.ndarray) or any(map(is_missing, names)):
            raise ValueError("Some are missing, or are not labels.")
        labels = plain_labels(labels)
        if len(np.unique(labels)) == len(labels):
            return labels
    except (TypeError, ValueError) as error:
        raise ValueError(
            "The columns of y, which are the classes of class probabilities, must be numbers or "
            f"strings. Got {names}. {error}"
        ) from error
    raise ValueError(
        "The columns of y, which are the classes of class probabilities, must differ from each "
        f"other. Got {names}."
    )


def _check_rows(valid: np.ndarray, values: np.ndarray, is_labeled: np.ndarray, rule: str) -> None:
    """Raise ValueError with the first labeled row that is not valid."""
    if valid.all():
        return
    row = int(np.flatnonzero(is_labeled)[(~valid).argmax()])
    raise ValueError(
        f"y of several columns holds class probabilities, which must {rule}. Row {row} holds "
        f"{values[row].tolist()[:10]}, with the sum {values[row].sum():.3g}. For several targets "
        "use MultiOutputClassifier(SGANClassifier())."
    )
