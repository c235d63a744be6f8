"""Class labels: from `y` to classes and integer codes, and what else names classes."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from sgan_sklearn._targets import Target, as_array, as_code, check_target, kind_of
from sgan_sklearn._validation import warn_user

__all__ = [
    "Labels",
    "check_are_classes",
    "check_class_weight",
    "check_classes",
    "check_labels",
    "check_same_classes",
    "check_wanted",
    "labels_of",
    "warn_of_marks",
]

# Text that marks missing labels in many tables, in small letters.
USUAL_MARKS = ("", "?", "-1", "<na>", "n/a", "nan", "null", "missing", "unknown", "unlabeled")


class Labels(NamedTuple):
    """Labels in the form that the networks see."""

    classes: np.ndarray
    """Sorted class labels, shape (n_classes,)."""

    codes: np.ndarray
    """Position in `classes` of each row's label, -1 where unlabeled; int64, shape (n,)."""


def check_labels(y: Any, unlabeled_value: Any, classes: np.ndarray | None = None) -> Labels:
    """Turn `y` into classes and codes, or raise ValueError with the remedy.

    With `classes` known beforehand, `y` need not hold them all, nor any.
    """
    target = check_target(y, unlabeled_value)
    labeled, given = target.labeled, target.given
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
    check_are_classes(given)
    return _coded(labeled, given)


def labels_of(target: Target) -> Labels:
    """Return the labels of a target that has been checked, whatever they are."""
    return _coded(target.labeled, target.given)


def _coded(labeled: np.ndarray, given: np.ndarray) -> Labels:
    codes = np.full(len(labeled), -1, dtype=np.int64)
    classes, codes[labeled] = np.unique(given, return_inverse=True)
    return Labels(classes, codes)


def warn_of_marks(labels: Labels, unlabeled_value: Any, *, needs_unlabeled: bool = True) -> None:
    """Warn where the rows without a label may be others than the user means.

    Without `needs_unlabeled`, as for the rows of a test, only a class that looks like another mark
    is reported.
    """
    classes, codes = labels.classes.tolist(), labels.codes
    others = _other_marks(classes)
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
            f"rows. If {others[0]!r} marks some as well, replace it, as in np.where(y == "
            f"{others[0]!r}, {mark}, y{as_objects})."
        )
    elif classes == [1]:
        warn_user(
            f"The only class in y is {classes[0]!r}, and the rows with y == {mark} are taken as "
            f"unlabeled. If {mark} is the other class, set unlabeled_value=None (every row is "
            "labeled) or another value."
        )


def _other_marks(classes: list[Any]) -> list[Any]:
    """Return the classes that mark unlabeled rows in many tables; -1 and 1 are two classes."""
    texts = [label for label in classes if isinstance(label, str)]
    found = [text for text in texts if text.strip().lower() in USUAL_MARKS]
    return found or [label for label in classes if label == -1 and len(classes) > 2]


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
        given = check_target(classes, unlabeled_value, "partial_fit", "classes").given
    except ValueError as error:
        raise ValueError(
            "The 'classes' parameter of SGANClassifier.partial_fit must be a list or an array of "
            f"class labels. Got {classes!r}. {error}"
        ) from error
    if len(given) == 0:
        raise ValueError(
            "classes must hold at least one class label besides unlabeled_value. Got none."
        )
    check_are_classes(given, "classes")
    known = np.unique(given)
    if fitted is not None and not np.array_equal(known, fitted):
        raise ValueError(
            f"classes={known.tolist()} is not the same as before, which was {fitted.tolist()}. "
            "Pass the same ones or none; for other classes fit a new SGANClassifier."
        )
    return known


def check_wanted(label: Any, n_rows: int, classes: np.ndarray) -> np.ndarray:
    """Return the class code of each row to sample, or raise ValueError."""
    wanted = _listed(label)
    if wanted is not None and n_rows not in (1, len(wanted)):
        raise ValueError(
            f"The 'label' parameter of SGANClassifier.sample must have one class for each of the "
            f"{n_rows} rows. Got {len(wanted)}: leave n_samples out, or pass a single class."
        )
    position = {name: code for code, name in enumerate(classes.tolist())}
    names = [label.item() if isinstance(label, np.ndarray) else label] if wanted is None else wanted
    unknown = [name for name in names if not _is_key(name, position)]
    if unknown or not names:
        raise ValueError(
            "The 'label' parameter of SGANClassifier.sample must be a class, or an array-like of "
            f"classes with one for each row. The classes are {classes.tolist()}. Got "
            f"{unknown[0] if unknown else label!r}."
        )
    codes = np.array([position[name] for name in names])
    return np.repeat(codes, n_rows) if wanted is None else codes


def _listed(label: Any) -> list[Any] | None:
    """Return labels of any form as a list, or None for a single label."""
    if isinstance(label, str) or np.ma.is_masked(label):
        return [label] if np.ma.is_masked(label) else None
    try:
        array, missing = as_array(label)
        if isinstance(array, list):  # of lists
            return array
        array = np.asarray(array)
    except (TypeError, ValueError):  # a list of unequal lists
        return list(label)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    names: list[Any] = array.tolist()
    if missing is not None:
        names = [None if is_gap else name for name, is_gap in zip(names, missing, strict=True)]
    return None if array.ndim == 0 else names


def _is_key(value: Any, mapping: dict[Any, Any]) -> bool:
    try:
        return value in mapping
    except TypeError:  # not hashable
        return False


def check_are_classes(labels: np.ndarray, name: str = "y") -> None:
    """Refuse labels, all of them given, that name no classes."""
    types = set() if labels.dtype.kind in "biufU" else {str(labels.dtype)}
    if labels.dtype.kind == "O":
        types = {kind_of(label_type) for label_type in set(map(type, labels.tolist()))}
    if types - {"string"}:
        raise ValueError(
            f"{name} must hold class labels that are numbers or strings. Got the type "
            f"{' and '.join(sorted(types))} instead: make them strings."
        )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # Few labels of many classes are no regression problem.
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            check_classification_targets(labels)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold class labels. {error}") from error


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


def check_same_classes(fitted: np.ndarray, given: np.ndarray) -> None:
    """Refuse to continue a training with other classes."""
    if not np.array_equal(fitted, given):
        raise ValueError(
            f"With warm_start=True y must hold the same classes as before, {fitted.tolist()}, but "
            f"it holds {given.tolist()}. Set warm_start=False to start anew."
        )


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
