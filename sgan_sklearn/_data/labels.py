"""Class labels: conversion of `y` to classes and integer codes, and related checks."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from sgan_sklearn._data.soft_labels import SoftLabels, soft_labels_of
from sgan_sklearn._data.targets import Target, as_array, as_code, check_target, kind_of
from sgan_sklearn._runtime.user_warnings import warn_user

__all__ = [
    "Labels",
    "check_class_weight",
    "check_classes",
    "check_labels",
    "check_same_classes",
    "check_scored_labels",
    "codes_to_sample",
    "labels_of",
    "warn_about_marks",
    "with_sample_weight",
]

# Text that often marks missing labels, in lowercase.
COMMON_MARKERS = ("", "?", "-1", "<na>", "n/a", "nan", "null", "missing", "unknown", "unlabeled")


class Labels(NamedTuple):
    """Classes and integer codes."""

    classes: np.ndarray
    """Sorted class labels, shape (n_classes,)."""

    codes: np.ndarray
    """Index of each row's label in `classes`, -1 for unlabeled rows; int64, shape (n,). With class
    probabilities, it is the most probable class."""

    probabilities: np.ndarray | None = None
    """Class probabilities of the labeled rows, shape (n, n_classes); None for labels."""


def check_labels(y: Any, unlabeled_value: Any, classes: np.ndarray | None = None) -> Labels:
    """Convert `y` to classes and codes, or raise ValueError with the remedy.

    If `classes` is given, `y` may contain any subset of them. Otherwise, a `y` of several columns
    holds class probabilities.
    """
    soft = None if classes is not None else soft_labels_of(y, unlabeled_value)
    if soft is not None:
        return _checked_soft(soft)
    target = check_target(y, unlabeled_value)
    labeled, given = target.labeled, target.known_labels
    codes = np.full(len(labeled), -1, dtype=np.int64)
    if classes is not None:
        codes[labeled] = _codes_of(given, classes)
        return Labels(classes, codes)
    if len(given) == 0:
        raise ValueError(
            f"y holds no class: all {len(labeled)} rows are unlabeled "
            f"(unlabeled_value={as_code(unlabeled_value)}). Give at least one row of each class "
            "its label."
        )
    _check_are_classes(given)
    return _coded(labeled, given)


def _checked_soft(soft: SoftLabels) -> Labels:
    """Return the labels of class probabilities, or raise ValueError if they are not labels."""
    labeled = soft.probabilities.sum(axis=1) > 0
    if not labeled.any():
        raise ValueError(
            f"y holds no class: all {len(labeled)} rows are unlabeled (NaN). Give at least one row "
            "of each class its probabilities."
        )
    _check_are_classes(soft.classes, "The columns of y")
    codes = np.where(labeled, soft.probabilities.argmax(axis=1), -1)
    return Labels(soft.classes, codes, soft.probabilities)


def labels_of(target: Target) -> Labels:
    """Return the labels of a target without further checks."""
    return _coded(target.labeled, target.known_labels)


def _coded(labeled: np.ndarray, given: np.ndarray) -> Labels:
    codes = np.full(len(labeled), -1, dtype=np.int64)
    classes, codes[labeled] = np.unique(given, return_inverse=True)
    return Labels(classes, codes)


def warn_about_marks(labels: Labels, unlabeled_value: Any, *, needs_unlabeled: bool = True) -> None:
    """Warn if the unlabeled rows are possibly not those that the user means.

    If `needs_unlabeled` is False, as for test rows, only report classes that look like another
    value for unlabeled rows.
    """
    classes, codes = labels.classes.tolist(), labels.codes
    if labels.probabilities is not None:  # NaN marks the unlabeled rows
        return
    others = _other_markers(classes)
    if unlabeled_value is None or not (needs_unlabeled or others):
        return
    mark = as_code(unlabeled_value)
    if (codes >= 0).all():
        counts, hint = np.bincount(codes), ""
        suspect = classes.index(others[0]) if others else int(counts.argmax())
        is_most = 2 * counts[suspect] > len(codes)
        if others or is_most:
            share = "More than half of the" if is_most else f"{counts[suspect]} of {len(codes)}"
            hint = f"{share} rows hold {classes[suspect]!r}: if that marks unlabeled rows, "
            hint += f"set unlabeled_value={classes[suspect]!r}. "
        warn_user(
            f"y holds no unlabeled row: no label is {mark}, the value of unlabeled_value. {hint}"
            "If every row is labeled, set unlabeled_value=None, which silences this warning."
        )
    elif others:
        as_objects = ".astype(object)" if isinstance(others[0], str) else ""
        warn_user(
            f"{others[0]!r} is a class of y, since unlabeled_value={mark} marks the unlabeled "
            f"rows. If {others[0]!r} also marks unlabeled rows, replace it, as in np.where(y == "
            f"{others[0]!r}, {mark}, y{as_objects})."
        )
    elif classes == [1]:
        warn_user(
            f"The only class in y is {classes[0]!r}, and rows with y == {mark} are treated as "
            f"unlabeled. If {mark} is the other class, set unlabeled_value=None (every row is "
            "labeled) or another value."
        )


def _other_markers(classes: list[Any]) -> list[Any]:
    """Return the classes that often mark unlabeled rows; -1 and 1 alone are two classes."""
    texts = [label for label in classes if isinstance(label, str)]
    found = [text for text in texts if text.strip().lower() in COMMON_MARKERS]
    return found or [label for label in classes if label == -1 and len(classes) > 2]


def check_classes(classes: Any, fitted: np.ndarray | None, unlabeled_value: Any) -> np.ndarray:
    """Return the sorted classes of `partial_fit`, or raise ValueError with the remedy."""
    if classes is None:
        if fitted is None:
            raise ValueError(
                "classes must be passed on the first call to partial_fit: the class labels of all "
                "parts, as in classes=np.unique(y)."
            )
        return fitted
    try:
        given = check_target(classes, unlabeled_value, "partial_fit", "classes").known_labels
    except ValueError as error:
        raise ValueError(
            "The 'classes' parameter of SGANClassifier.partial_fit must be a list or an array of "
            f"class labels. Got {classes!r}. {error}"
        ) from error
    if len(given) == 0:
        raise ValueError(
            "classes must hold at least one class label besides unlabeled_value. Got none."
        )
    _check_are_classes(given, "classes")
    known = np.unique(given)
    if fitted is not None and not np.array_equal(known, fitted):
        raise ValueError(
            f"classes={known.tolist()} differs from the classes of the first call, "
            f"{fitted.tolist()}. Pass the same classes or None; for other classes fit a new "
            "SGANClassifier."
        )
    return known


def codes_to_sample(label: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Return the class code of each row to sample, or raise ValueError."""
    labels = _as_list(label)
    if labels is not None and n_rows not in (1, len(labels)):
        raise ValueError(
            f"The 'label' parameter of SGANClassifier.sample must have one class for each of the "
            f"{n_rows} rows. Got {len(labels)}: omit n_samples, or pass a single class."
        )
    position = {name: code for code, name in enumerate(classes.tolist())}
    names = [label.item() if isinstance(label, np.ndarray) else label] if labels is None else labels
    unknown = [name for name in names if not _is_key(name, position)]
    if unknown or not names:
        raise ValueError(
            "The 'label' parameter of SGANClassifier.sample must be a class, or an array-like of "
            f"classes with one for each row. The classes are {classes.tolist()}. Got "
            f"{unknown[0] if unknown else label!r}."
        )
    codes = np.array([position[name] for name in names])
    return np.repeat(codes, n_rows) if labels is None else codes


def _as_list(label: Any) -> list[Any] | None:
    """Return labels of any form as a list, or None for a single label."""
    if isinstance(label, str) or np.ma.is_masked(label):
        return [label] if np.ma.is_masked(label) else None
    try:
        array, missing = as_array(label)
        if isinstance(array, list):  # a list of lists
            return array
        array = np.asarray(array)
    except (TypeError, ValueError):  # a list of lists of different lengths
        return list(label)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    names: list[Any] = array.tolist()
    if missing is not None:
        pairs = zip(names, missing, strict=True)
        names = [None if is_absent else name for name, is_absent in pairs]
    return None if array.ndim == 0 else names


def _is_key(value: Any, mapping: dict[Any, Any]) -> bool:
    try:
        return value in mapping
    except TypeError:  # not hashable
        return False


def _check_are_classes(labels: np.ndarray, name: str = "y") -> None:
    """Raise ValueError if labels, none of them missing, cannot be classes."""
    types = set() if labels.dtype.kind in "biufU" else {str(labels.dtype)}
    if labels.dtype.kind == "O":
        types = {kind_of(label_type) for label_type in set(map(type, labels.tolist()))}
    if types - {"string"}:
        raise ValueError(
            f"{name} must hold class labels that are numbers or strings. Got the type "
            f"{' and '.join(sorted(types))} instead: convert them to strings."
        )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # A few labels of many classes are not a regression problem.
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold class labels. {error}") from error


def check_scored_labels(target: Target, unlabeled_value: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and the labels of the labeled rows, or raise ValueError."""
    labeled, true = np.flatnonzero(target.labeled), target.known_labels
    if len(labeled) == 0:
        raise ValueError(
            f"y holds no class to score against: all {len(target.values)} rows are unlabeled "
            f"(unlabeled_value={as_code(unlabeled_value)}). Pass rows with true labels."
        )
    _check_are_classes(true)
    return labeled, true


def check_class_weight(class_weight: Any, labels: Labels, scaled: bool = True) -> np.ndarray | None:
    """Return the weight of each row, or raise ValueError.

    Weights are float32 of shape (n,), zero for unlabeled rows, with a mean of one over the labeled
    rows if `scaled`. None means that all labeled rows have the same weight.
    """
    if class_weight is None:
        return None
    if labels.probabilities is not None:
        raise ValueError(
            "The 'class_weight' parameter of SGANClassifier must be None if y holds class "
            f"probabilities. Got {class_weight!r}: weight the rows by sample_weight."
        )
    classes = labels.classes.tolist()
    if isinstance(class_weight, dict):
        unknown = [key for key in class_weight if key not in classes]
        if unknown:
            raise ValueError(
                "The 'class_weight' parameter of SGANClassifier must have classes of y as keys, "
                f"which are {classes}. Also got {unknown}: omit them, or write them as in y."
            )
        for key, weight in class_weight.items():
            if not (isinstance(weight, Real) and 0 <= float(weight) < float("inf")):
                raise ValueError(
                    "The 'class_weight' parameter of SGANClassifier must hold numbers of at least "
                    f"0. Got {weight!r} for the class {key!r} instead."
                )
        # Use codes, since scikit-learn treats the label "3" as the integer 3.
        class_weight = {classes.index(key): weight for key, weight in class_weight.items()}
    labeled = labels.codes >= 0
    codes = labels.codes[labeled]
    # Labels of the weight 0 do not count, so that a class may have none.
    known = np.unique(codes) if isinstance(class_weight, str) else np.arange(len(classes))
    by_class = np.ones(len(classes))
    by_class[known] = compute_class_weight(class_weight, classes=known, y=codes)
    by_row = by_class[codes]
    if not (by_row if scaled else by_class).any():
        raise ValueError(
            "The 'class_weight' parameter of SGANClassifier must give at least one class a weight "
            f"above 0. Got 0 for all of {classes}."
        )
    weights = np.zeros(len(labels.codes), dtype=np.float32)
    # A mean of one keeps the balance between the labeled and the unlabeled rows.
    weights[labeled] = by_row / by_row.mean() if scaled else by_row
    return weights


def with_sample_weight(
    weights: np.ndarray | None, sample_weight: np.ndarray | None, labels: Labels, scaled: bool
) -> np.ndarray | None:
    """Return the product of the weights by class and by row, with a mean of one if `scaled`."""
    labeled = labels.codes >= 0
    if sample_weight is None or not labeled.any():
        return weights
    product = np.where(labeled, sample_weight, 0.0) * (1.0 if weights is None else weights)
    if scaled:  # the weight of some class is above 0, and so are the sample weights
        product /= product[labeled].mean()
    return product.astype(np.float32)


def check_same_classes(fitted: np.ndarray, given: np.ndarray) -> None:
    """Raise ValueError if a warm start has different classes."""
    if not np.array_equal(fitted, given):
        raise ValueError(
            f"With warm_start=True y must hold the same classes as before, {fitted.tolist()}, but "
            f"it holds {given.tolist()}. Set warm_start=False to train from scratch."
        )


def _codes_of(labels: np.ndarray, classes: np.ndarray) -> list[int]:
    """Return the index of each label in known classes, or raise ValueError."""
    position = {label: code for code, label in enumerate(classes.tolist())}
    labels = labels.tolist()
    unknown = sorted({label for label in labels if label not in position}, key=str)
    if unknown:
        raise ValueError(
            f"y holds {unknown}, but the classes are {classes.tolist()}. Pass all classes to the "
            "first call of partial_fit, or mark these rows with unlabeled_value."
        )
    return [position[label] for label in labels]
