"""Checks of `X`, `y` and what goes with them; those of columns and of images have their own."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples

__all__ = [
    "Labels",
    "check_callbacks",
    "check_class_weight",
    "check_classes",
    "check_dense",
    "check_labels",
    "check_layer_sizes",
    "check_range",
    "check_same_classes",
    "check_same_length",
    "check_target",
    "check_wanted",
    "is_labeled",
    "is_missing",
    "without_objects",
]


class Labels(NamedTuple):
    """Labels in the form that the networks see."""

    classes: np.ndarray
    """Sorted class labels, shape (n_classes,)."""

    codes: np.ndarray
    """Position in `classes` of each row's label, -1 where unlabeled; int64, shape (n,)."""


# Numbers beyond this overflow when they are squared or multiplied.
LARGEST = 1e100


def check_range(X: np.ndarray) -> None:
    """Refuse numbers that no scaling can take."""
    if X.dtype.kind != "f" or X.dtype.itemsize < 8:
        return
    # Without a copy, and whatever is missing.
    low, high = np.fmin.reduce(X, axis=None), np.fmax.reduce(X, axis=None)
    if low < -LARGEST or high > LARGEST:
        raise ValueError(
            f"X must hold numbers from {-LARGEST:g} to {LARGEST:g}. Got {low:g} to {high:g}. "
            "Divide such columns by a constant, or take their logarithm."
        )


def check_dense(X: Any) -> None:
    """Refuse an `X` that is sparse, lazy or a table of Arrow, with the remedy."""
    module, name = type(X).__module__.split(".")[0], type(X).__name__
    remedy = {"LazyFrame": "X.collect()", "Table": "X.to_pandas()", "RecordBatch": "X.to_pandas()"}
    if module in ("polars", "pyarrow") and name in remedy:
        raise TypeError(
            f"X must be an array or a DataFrame of pandas or polars. Got a {module}.{name}: pass "
            f"{remedy[name]}."
        )
    if sparse.issparse(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required: the generator makes dense "
            "rows. Reduce X first, as in make_pipeline(TruncatedSVD(n_components=100), "
            "SGANClassifier()), or pass X.toarray() if it fits in memory."
        )


def check_target(y: Any, caller: str = "SGANClassifier") -> np.ndarray:
    """Return `y` as a vector without missing values, or raise ValueError with the remedy."""
    if y is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None. Mark unlabeled rows "
            "with unlabeled_value (-1 by default)."
        )
    try:
        y = column_or_1d(y, warn=True)
    except (TypeError, ValueError) as error:
        several = "; for several targets use MultiOutputClassifier(SGANClassifier())"
        raise ValueError(
            f"{error} y must hold one label for each row"
            f"{several if caller == 'SGANClassifier' else ''}."
        ) from error
    if y.dtype.kind == "O":
        missing = np.array([is_missing(label) for label in y.tolist()], dtype=bool)
    else:
        missing = y != y  # NaN and NaT differ from themselves
    if missing.any():
        raise ValueError(
            f"y contains NaN or None in {missing.sum()} of {len(y)} rows, but input y must hold no "
            "missing value. If these rows are unlabeled, mark them with unlabeled_value (-1 by "
            "default), as in y = np.where(pd.isna(y), -1, y), for strings with dtype object."
        )
    labels = y.tolist() if y.dtype.kind == "O" else []
    is_float = y.dtype.kind == "f"
    if (is_float and np.isinf(y).any()) or any(_is_infinite(label) for label in labels):
        raise ValueError("Input y contains infinity. Labels must be finite numbers or strings.")
    return y


def _is_infinite(label: Any) -> bool:
    return isinstance(label, float | np.floating) and bool(np.isinf(label))


def check_labels(y: Any, unlabeled_value: Any, classes: np.ndarray | None = None) -> Labels:
    """Turn `y` into classes and codes, or raise ValueError with the remedy.

    With `classes` known beforehand, `y` need not hold them all, nor any.
    """
    y = check_target(y)
    labeled = is_labeled(y, unlabeled_value)
    given = y[labeled]
    codes = np.full(len(y), -1, dtype=np.int64)
    if classes is not None:
        codes[labeled] = _codes_of(without_objects(given), classes)
        return Labels(classes, codes)
    if len(given) == 0:
        raise ValueError(
            f"y holds no class: all {len(y)} rows are unlabeled "
            f"(unlabeled_value={unlabeled_value!r}). Give at least one row of each class its label."
        )
    given = without_objects(given)
    _check_are_classes(given)
    classes, codes[labeled] = np.unique(given, return_inverse=True)
    if unlabeled_value is not None and not labeled.all() and classes.tolist() == [1]:
        warnings.warn(
            f"The only class in y is 1, and the rows with y == {unlabeled_value!r} are taken as "
            f"unlabeled. If {unlabeled_value!r} is the other class, set unlabeled_value=None "
            "(every row is labeled) or another value.",
            UserWarning,
            stacklevel=5,
        )
    return Labels(classes, codes)


def check_classes(classes: Any, fitted: np.ndarray | None, unlabeled_value: Any) -> np.ndarray:
    """Return the sorted classes of `partial_fit`, or raise ValueError with the remedy."""
    if classes is None:
        if fitted is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: all class labels that "
                "any part will hold, as in classes=np.unique(y)."
            )
        return fitted
    try:
        classes = check_target(classes, "partial_fit")
    except ValueError as error:
        raise ValueError(
            "The classes of partial_fit must be a list or an array of class labels. Got "
            f"{classes!r}."
        ) from error
    classes = without_objects(classes[is_labeled(classes, unlabeled_value)])
    if len(classes) == 0:
        raise ValueError(
            "classes must hold at least one class label besides unlabeled_value. Got none."
        )
    _check_are_classes(classes)
    classes = np.unique(classes)
    if fitted is not None and not np.array_equal(classes, fitted):
        raise ValueError(
            f"classes={classes.tolist()} is not the same as before, which was {fitted.tolist()}. "
            "Pass the same ones or none; for other classes fit a new SGANClassifier."
        )
    return classes


def check_wanted(label: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Return the class code of each row to sample, or raise ValueError."""
    is_scalar = isinstance(label, str) or np.ndim(label) == 0
    wanted = [label] * n_rows if is_scalar else np.asarray(label).tolist()
    if not is_scalar and n_rows not in (1, len(wanted)):
        raise ValueError(
            f"The 'label' parameter of SGANClassifier.sample must have one class for each of the "
            f"{n_rows} rows. Got {len(wanted)}: leave n_samples out, or pass a single class."
        )
    position = {name: code for code, name in enumerate(classes.tolist())}
    unknown = [name for name in wanted if name not in position]
    if unknown or not wanted:
        raise ValueError(
            f"The 'label' parameter of SGANClassifier.sample must be a class or an array of some, "
            f"which are {classes.tolist()}. Got {unknown[0] if unknown else label!r}."
        )
    return np.array([position[name] for name in wanted])


def _check_are_classes(labels: np.ndarray) -> None:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Few labels of many classes are no regression problem.
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold class labels. {error}") from error


def _codes_of(labels: np.ndarray, classes: np.ndarray) -> list[int]:
    """Return the position of each label among known classes, or raise ValueError."""
    position = {label: code for code, label in enumerate(classes.tolist())}
    labels = labels.tolist()
    unknown = sorted({label for label in labels if label not in position}, key=str)
    if unknown:
        raise ValueError(
            f"y holds {unknown}, but the classes are {classes.tolist()}. Name all classes in the "
            "first call of partial_fit, or mark these rows with unlabeled_value."
        )
    return [position[label] for label in labels]


def check_class_weight(class_weight: Any, labels: Labels, scaled: bool = True) -> np.ndarray | None:
    """Return a weight for each row, or raise ValueError.

    Float32 of shape (n,), zero where unlabeled, with a mean of one over the labeled rows if
    `scaled`; None where all labeled rows count the same.
    """
    if class_weight is None:
        return None
    classes = labels.classes.tolist()
    if isinstance(class_weight, dict):
        unknown = [key for key in class_weight if key not in classes]
        if unknown:
            raise ValueError(
                "The 'class_weight' parameter of SGANClassifier must have classes of y as keys, "
                f"which are {classes}. Got {unknown} as well: leave them out, or write them as y "
                "does."
            )
        for key, weight in class_weight.items():
            if not (isinstance(weight, Real) and 0 <= float(weight) < float("inf")):
                raise ValueError(
                    "The 'class_weight' parameter of SGANClassifier must hold numbers of at least "
                    f"0. Got {weight!r} for the class {key!r} instead."
                )
        # By code, since scikit-learn takes the label "3" for the integer.
        class_weight = {classes.index(key): weight for key, weight in class_weight.items()}
    labeled = labels.codes >= 0
    codes = labels.codes[labeled]
    by_class = compute_class_weight(class_weight, classes=np.arange(len(classes)), y=codes)
    by_row = by_class[codes]
    if not (by_row if scaled else by_class).any():
        raise ValueError(
            "The 'class_weight' parameter of SGANClassifier must leave some class a weight above "
            f"0. Got 0 for all of {classes}."
        )
    weights = np.zeros(len(labels.codes), dtype=np.float32)
    # A mean of one keeps the labels' share against the unlabeled rows.
    weights[labeled] = by_row / by_row.mean() if scaled else by_row
    return weights


def without_objects(labels: np.ndarray) -> np.ndarray:
    """Return given labels with numbers as numbers; those of an object array may be text too."""
    if labels.dtype.kind not in "OS":
        return labels
    kinds = {_kind(label) for label in labels.tolist()}
    if "bytes" in kinds:
        raise ValueError(
            "y must hold class labels that are numbers or strings. Got bytes instead: decode them, "
            "as in y = np.char.decode(y)."
        )
    if len(kinds) > 1:
        raise ValueError(
            f"y mixes labels of the types {' and '.join(sorted(kinds))}, which have no common "
            "order. Make all labels strings or all numbers; only unlabeled rows may differ."
        )
    return np.array(labels.tolist()) if kinds == {"number"} else labels


def check_same_classes(fitted: np.ndarray, given: np.ndarray) -> None:
    """Refuse to continue a training with other classes."""
    if not np.array_equal(fitted, given):
        raise ValueError(
            f"With warm_start=True y must hold the same classes as before, {fitted.tolist()}, but "
            f"it holds {given.tolist()}. Set warm_start=False to start anew."
        )


def check_same_length(name: str, values: Any, X: Any) -> None:
    """Refuse an argument that has not one value for each row of `X`."""
    n_values, n_rows = _num_samples(values), _num_samples(X)
    if n_values != n_rows:
        raise ValueError(
            f"{name} must hold one value for each row of X: X has {n_rows} rows, {name} has "
            f"{n_values} values."
            + (" Give unlabeled rows the unlabeled_value." if name == "y" else "")
        )


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


def is_labeled(y: np.ndarray, unlabeled_value: Any) -> np.ndarray:
    """Return the mask of the rows of `y` that carry a label.

    Raises ValueError where `y` holds the unlabeled number as text, which would otherwise pass
    for one more class.
    """
    if unlabeled_value is None:
        return np.ones(len(y), dtype=bool)
    if unlabeled_value != unlabeled_value:
        raise ValueError(
            "The 'unlabeled_value' parameter must not be NaN, since y must hold "
            "no missing value. Use -1, or another label that is no class."
        )
    if y.dtype.kind in "OU" and not isinstance(unlabeled_value, str):
        texts = {str(unlabeled_value), f"{float(unlabeled_value):g}"}
        found = texts.intersection(label for label in y.tolist() if isinstance(label, str))
        for text in found:
            raise ValueError(
                f"y holds the string {text!r}, but unlabeled_value is the number "
                f"{unlabeled_value!r}, so these rows would become a class of their own. If you "
                "wish to predict on string targets, use dtype object, and use "
                f"{unlabeled_value!r} (no quotes) as the label of unlabeled rows, or set "
                f"unlabeled_value={text!r}."
            )
    if y.dtype.kind not in "biuf" or isinstance(unlabeled_value, str):
        y = y.astype(object)  # numpy does not compare text or dates with numbers
    return np.asarray(y != unlabeled_value, dtype=bool)


def is_missing(value: Any) -> bool:
    """Say whether a value is None, NaN or the like."""
    try:
        return value is None or bool(value != value)
    except ArithmeticError:  # of a signaling NaN among decimals
        return True
    except (TypeError, ValueError):  # pandas.NA has no truth value, and neither have arrays
        return type(value).__name__ == "NAType"


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "string"
    return "number" if isinstance(label, Real) else type(label).__name__


def check_layer_sizes(part: Any, *names: str) -> None:
    """Refuse tuples of layer sizes that hold anything but positive integers."""
    for name in names:
        sizes = getattr(part, name)
        if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(
                f"The {name!r} parameter of {type(part).__name__} must hold integers of at "
                f"least 1. Got {sizes!r} instead. One layer is written as a tuple: (100,)."
            )
