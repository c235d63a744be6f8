"""Checks of `X` and related arguments."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight, _num_samples

__all__ = [
    "MAX_LAYERS",
    "check_callbacks",
    "check_collected",
    "check_layer_sizes",
    "check_range",
    "check_same_length",
    "check_sample_weight",
    "is_missing",
]

# Upper limit on the number of hidden layers, to catch mistakes.
MAX_LAYERS = 100

# Larger numbers may overflow when they are squared or multiplied.
LARGEST = 1e100

# Largest weight of a row.
MAX_WEIGHT = 1e30


def check_range(X: np.ndarray) -> None:
    """Raise ValueError for numbers that are too large for any scaling."""
    if X.dtype.kind != "f" or X.dtype.itemsize < 8 or X.size == 0:
        return
    # fmin and fmax ignore NaN and do not copy X.
    low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
    if low < -LARGEST or high > LARGEST:
        raise ValueError(
            f"X must hold numbers from {-LARGEST:g} to {LARGEST:g}. Got {low:g} to {high:g}. "
            "Divide such columns by a constant, or take their logarithm."
        )


def check_collected(X: Any) -> None:
    """Raise TypeError if `X` is a lazy frame or an Arrow table."""
    module, name = type(X).__module__.split(".")[0], type(X).__name__
    remedy = {"LazyFrame": "X.collect()", "Table": "X.to_pandas()", "RecordBatch": "X.to_pandas()"}
    if module in ("polars", "pyarrow") and name in remedy:
        raise TypeError(
            f"X must be an array or a pandas or polars DataFrame. Got a {module}.{name}: pass "
            f"{remedy[name]}."
        )


def check_same_length(name: str, values: Any, X: Any) -> None:
    """Raise ValueError if an argument does not have one value for each row of `X`."""
    n_values, n_rows = _num_samples(values), _num_samples(X)
    if n_values != n_rows:
        raise ValueError(
            f"{name} must hold one value for each row of X: X has {n_rows} rows, {name} has "
            f"{n_values} values."
            + (" Give unlabeled rows the unlabeled_value." if name == "y" else "")
        )


def check_sample_weight(sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
    """Return the weight of each row, or None if all are one; raise ValueError if not valid."""
    if sample_weight is None:
        return None
    if not isinstance(sample_weight, Real):
        check_same_length("sample_weight", sample_weight, X)
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    low, high = weights.min(), weights.max()
    if not (low >= 0 and 0 < high <= MAX_WEIGHT):
        raise ValueError(
            f"sample_weight must hold numbers from 0 to {MAX_WEIGHT:g}, and at least one above 0. "
            f"Got {low:g} to {high:g}. Divide the weights by their mean, and omit rows with "
            "negative ones."
        )
    return None if low == high == 1 else weights


def check_callbacks(callbacks: Any) -> list[Any]:
    """Return skorch callbacks as a list, or raise ValueError."""
    for callback in callbacks or ():
        named = isinstance(callback, tuple) and len(callback) == 2
        if not hasattr(callback[1] if named else callback, "on_epoch_end"):
            raise ValueError(
                "The 'callbacks' parameter of SGANClassifier must hold skorch callbacks, such as "
                f"skorch.callbacks.LRScheduler(), or pairs of a name and one. Got {callback!r}."
            )
    return list(callbacks or ())


def is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN or another missing value."""
    try:
        return value is None or value is np.ma.masked or bool(value != value)
    except ArithmeticError:  # raised by a signaling decimal NaN
        return True
    except (TypeError, ValueError):  # pandas.NA and arrays have no truth value
        return type(value).__name__ == "NAType"


def check_layer_sizes(part: Any, *names: str) -> None:
    """Raise ValueError unless layer sizes are positive integers, and not too many."""
    for name in names:
        sizes = getattr(part, name)
        if len(sizes) > MAX_LAYERS:
            raise ValueError(
                f"The {name!r} parameter of {type(part).__name__} must hold at most {MAX_LAYERS} "
                f"sizes, one for each hidden layer. Got {len(sizes)}."
            )
        if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(
                f"The {name!r} parameter of {type(part).__name__} must hold integers of at "
                f"least 1. Got {sizes!r} instead. Write a single layer as a tuple: (100,)."
            )
