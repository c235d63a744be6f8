"""`y` of any form as an array that keeps each label exact, and which rows carry a label."""

from __future__ import annotations

from contextlib import suppress
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import column_or_1d

from sgan_sklearn._validation import is_missing

__all__ = [
    "Target",
    "as_array",
    "as_code",
    "check_mark",
    "check_target",
    "is_nan",
    "kind_of",
    "plain_labels",
]

# Kinds of dtypes that keep Python objects of one kind.
KEPT_BY = {"bool": "b", "integer": "iu", "float": "f", "string": "U"}

# Kinds of labels that NumPy puts into one array of numbers.
NUMBERS = {"bool", "integer", "float"}


class Target(NamedTuple):
    """Labels as an array, and which rows carry one."""

    values: np.ndarray
    """Label of each row, shape (n,); arbitrary where the row is unlabeled."""

    labeled: np.ndarray
    """Mask of the rows that carry a label."""

    @property
    def given(self) -> np.ndarray:
        """The labels of the labeled rows."""
        return plain_labels(self.values[self.labeled])


def check_target(
    y: Any, unlabeled_value: Any, caller: str = "SGANClassifier", name: str = "y"
) -> Target:
    """Return `y` as an array and the mask of labeled rows, or raise ValueError with the remedy.

    Raises ValueError as well where `y` holds what its dtype has made of the mark of unlabeled
    rows, which would otherwise become one more class.
    """
    if y is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None. Mark unlabeled rows "
            "with unlabeled_value (-1 by default)."
        )
    if type(y).__name__ in ("LazyFrame", "Expr"):
        raise ValueError(
            f"{name} is a {type(y).__name__} of polars, which holds no values yet. Pass a Series, "
            "such as the column of frame.collect()."
        )
    values, missing, masked = _read(y, caller, name)
    if unlabeled_value is None and masked.any():
        raise ValueError(
            f"{name} is a masked array with {masked.sum()} masked entries of {len(values)}, but "
            "unlabeled_value=None says that every row is labeled. With another unlabeled_value, "
            "such as -1, masked entries are unlabeled."
        )
    if missing.any() and not is_nan(unlabeled_value):
        raise ValueError(
            f"{name} contains NaN or None in {missing.sum()} of {len(values)} rows, but input "
            f"{name} must hold no missing value. If these rows are unlabeled, mark them with "
            "unlabeled_value (-1 by default), as in y = np.where(pd.isna(y), -1, y), for strings "
            "with dtype object. If no row is marked otherwise, unlabeled_value=np.nan does it."
        )
    labeled = ~(missing | masked)
    seen = values[labeled]
    if _holds_infinity(seen):
        raise ValueError(
            f"Input {name} contains infinity. Labels must be finite numbers or strings."
        )
    if unlabeled_value is not None:
        _check_not_as_text(seen, unlabeled_value, name)
        _check_not_changed(seen, unlabeled_value, name)
        labeled[labeled] = _differ(seen, unlabeled_value)
    return Target(values, labeled)


def as_array(y: Any) -> tuple[Any, np.ndarray | None]:
    """Return labels as an array that keeps each of them exact, and a mask of the missing ones.

    What NumPy reads without a change is returned as it is. Without a mask (None), missing labels
    are NaN or None in the array; with one, the array holds arbitrary labels in their place.
    """
    if isinstance(y, list | tuple):
        return _from_list(list(y)), None
    if hasattr(y, "columns") and hasattr(y, "dtypes"):  # a frame
        if len(y.columns) != 1:
            return y, None
        column, missing = as_array(y[y.columns[0]])
        return np.asarray(column)[:, np.newaxis], missing
    dtype = getattr(y, "dtype", None)
    if isinstance(dtype, np.dtype):
        # "T" is NumPy's string of any length.
        return (np.asarray(y).astype(object) if dtype.kind == "T" else y), None
    if hasattr(y, "isna"):  # extension arrays of pandas
        missing, present = np.asarray(y.isna(), dtype=bool), y.dropna()
    elif hasattr(y, "is_null"):  # polars and pyarrow
        missing = np.asarray(y.is_null(), dtype=bool)
        present = y.drop_nulls() if hasattr(y, "drop_nulls") else y.drop_null()
    else:
        return y, None
    values = _without_missing(present)
    if not missing.any():
        return values, None
    filled = np.zeros(len(missing), dtype=values.dtype)
    filled[~missing] = values
    return filled, missing


def plain_labels(labels: np.ndarray) -> np.ndarray:
    """Return labels, all of them given, with numbers as numbers, or raise ValueError."""
    if labels.dtype.kind in "OS":
        labels = _without_objects(labels)
    if labels.dtype.kind == "f" and len(labels):
        largest = np.abs(labels).max()
        if largest >= 2.0 ** (np.finfo(labels.dtype).nmant + 1):
            raise ValueError(
                f"y holds the label {largest:.0f}, but the dtype {labels.dtype} does not tell "
                "numbers of this size from the next integer, so that classes may have been merged. "
                "Pass an integer dtype, or strings."
            )
    return labels


def is_nan(value: Any) -> bool:
    """Say whether the value of a parameter is the number NaN."""
    return isinstance(value, Real) and bool(value != value)


def as_code(value: Any) -> str:
    """Return the value of a parameter as one writes it in Python."""
    return "np.nan" if is_nan(value) else repr(value)


def check_mark(unlabeled_value: Any, caller: str) -> None:
    """Refuse missing values other than NaN as the mark of unlabeled rows, with the remedy."""
    if unlabeled_value is not None and not is_nan(unlabeled_value) and is_missing(unlabeled_value):
        raise ValueError(
            f"The 'unlabeled_value' parameter of {caller} must be a number, a string or None. Got "
            f"{unlabeled_value!r}: pass np.nan, which makes NaN, None and pd.NA the mark."
        )


def kind_of(label_type: type) -> str:
    """Return "bool", "integer", "float", "string" or "bytes", else the name of the type."""
    if issubclass(label_type, bool | np.bool_):
        return "bool"
    if issubclass(label_type, str):
        return "string"
    if issubclass(label_type, bytes):
        return "bytes"
    if issubclass(label_type, float | np.floating):
        return "float"
    is_duration = issubclass(label_type, np.timedelta64)  # an integer to Python
    is_integer = issubclass(label_type, Integral) and not is_duration
    return "integer" if is_integer else label_type.__name__


# --- reading ------------------------------------------------------------------------------------


def _read(y: Any, caller: str, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels as a vector, the mask of missing and that of masked ones."""
    masked = None
    if isinstance(y, np.ma.MaskedArray):
        masked, y = np.ma.getmaskarray(y).ravel(), y.data
    try:
        array, nulls = as_array(y)
        values = column_or_1d(array, warn=True)
        if values.dtype.kind == "O":
            labels = values.tolist()
            if any(_is_list(label_type) for label_type in set(map(type, labels))):
                raise ValueError("Got lists or arrays as labels.")
            missing = np.array([is_missing(label) for label in labels], dtype=bool)
        else:
            missing = values != values  # NaN and NaT differ from themselves
    except (TypeError, ValueError) as error:
        several = "; for several targets use MultiOutputClassifier(SGANClassifier())"
        raise ValueError(
            f"{error} {name} must hold one label for each row"
            f"{several if caller == 'SGANClassifier' else ''}."
        ) from error
    if nulls is not None:
        missing = missing | nulls
    if masked is None:
        masked = np.zeros(len(values), dtype=bool)
    return values, missing & ~masked, masked


def _is_list(label_type: type) -> bool:
    is_scalar = issubclass(label_type, str | bytes | np.ma.core.MaskedConstant)
    return hasattr(label_type, "__len__") and not is_scalar


def _from_list(labels: list[Any]) -> Any:
    """Return labels, or a column of them, as an array; a list of anything else as it is."""
    if labels and all(isinstance(label, list | tuple) and len(label) == 1 for label in labels):
        column = _from_list([label[0] for label in labels])
        return column[:, np.newaxis] if isinstance(column, np.ndarray) else labels
    types = set(map(type, labels))
    if any(_is_list(label_type) for label_type in types):
        return labels
    kinds = {kind_of(label_type) for label_type in types}
    (kind,) = kinds if len(kinds) == 1 else ("",)
    if kind in KEPT_BY:
        array = np.array(labels)
        # NumPy drops null characters at the end of text.
        is_same = kind != "string" or array.tolist() == labels
        if array.dtype.kind in KEPT_BY[kind] and is_same:
            return array
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def _without_missing(y: Any) -> np.ndarray:
    """Return labels of pandas, polars or pyarrow, none of which are missing, as an array."""
    dtype = getattr(y, "dtype", None)
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)
    dtype = getattr(dtype, "numpy_dtype", None)  # of extension types of pandas
    if dtype is not None and dtype.kind in "biuf":
        return np.asarray(y, dtype=dtype)
    values = None
    with suppress(Exception):  # polars has integers of 128 bits, and exceptions of its own
        values = np.asarray(y)
    if values is None or values.dtype.kind == "U":
        values = _from_list(y.to_list())
    return values


# --- what the labels are ------------------------------------------------------------------------


def _without_objects(labels: np.ndarray) -> np.ndarray:
    values = labels.tolist()
    kinds = {kind_of(label_type) for label_type in set(map(type, values))}
    if "bytes" in kinds:
        raise ValueError(
            "y must hold class labels that are numbers or strings. Got bytes instead: decode them, "
            "as in y = np.char.decode(y)."
        )
    if len(kinds) > 1 and kinds != {"integer", "float"}:
        names = sorted({"number" if kind in ("integer", "float") else kind for kind in kinds})
        why, remedy = "which have no common order", "Make all labels strings or all numbers"
        if names == ["bool", "number"]:
            why, remedy = "of which True equals 1 and False 0", "Make all labels of one type"
        raise ValueError(
            f"y mixes labels of the types {' and '.join(names)}, {why}. {remedy}; only unlabeled "
            "rows may differ."
        )
    if not kinds <= NUMBERS:
        return labels
    if len(kinds) > 1:
        _check_distinct(values)
    return _integers(values) if kinds == {"integer"} else np.array(values)


def _integers(labels: list[Any]) -> np.ndarray:
    """Return integers in a dtype that holds them; NumPy makes floats of int64 next to uint64."""
    labels = [int(label) for label in labels]
    low, high = min(labels), max(labels)
    if low >= -(2**63) and high < 2**63:
        return np.array(labels)
    if low >= 0 and high < 2**64:
        return np.array(labels, dtype=np.uint64)
    raise ValueError(
        f"y holds integers from {low} to {high}, which no integer dtype of 64 bits can hold. Make "
        "the labels strings, in an array of dtype object; only unlabeled rows may stay numbers."
    )


def _check_distinct(labels: list[Any]) -> None:
    """Refuse an integer and a float that are equal, which would be merged into one class."""
    integers = {label for label in labels if kind_of(type(label)) == "integer"}
    for label in labels:
        if kind_of(type(label)) == "float" and label in integers:
            raise ValueError(
                f"y holds the integer {int(label)} and the equal number {float(label)!r}. If they "
                "are one class, make all labels numbers of one type, as in y.astype(float), "
                "otherwise strings."
            )


def _holds_infinity(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "O":
        return any(
            bool(np.isinf(label))
            for label in labels.tolist()
            if isinstance(label, float | np.floating)
        )
    return labels.dtype.kind == "f" and bool(np.isinf(labels).any())


# --- marks of unlabeled rows --------------------------------------------------------------------


def _differ(labels: np.ndarray, unlabeled_value: Any) -> np.ndarray:
    """Return the mask of the labels that are not the mark of unlabeled rows."""
    whole = _whole(unlabeled_value)
    unlabeled_value = unlabeled_value if whole is None else whole
    # NumPy does not compare text or dates with numbers, and rounds integers to compare floats.
    rounds = labels.dtype.kind == "f" and whole is not None and abs(whole) >= 2**11
    if labels.dtype.kind not in "biuf" or isinstance(unlabeled_value, str) or rounds:
        dates = np.datetime64 | np.timedelta64  # old versions of NumPy warn of their comparison
        listed = labels.astype(object).tolist()
        differ = [isinstance(item, dates) or bool(item != unlabeled_value) for item in listed]
        return np.array(differ, dtype=bool)
    return np.asarray(labels != unlabeled_value, dtype=bool)


def _check_not_as_text(labels: np.ndarray, unlabeled_value: Any, name: str) -> None:
    """Refuse the mark of unlabeled rows where a number has become text or text a number."""
    if isinstance(unlabeled_value, str):
        for number in _numbers(labels):
            if _reads_as(unlabeled_value, number):
                raise ValueError(
                    f"{name} holds the number {number!r}, but unlabeled_value is the string "
                    f"{unlabeled_value!r}, so these rows would become a class of their own. Set "
                    f"unlabeled_value={number!r} (no quotes)."
                )
        return
    mark = as_code(unlabeled_value)
    texts = labels.tolist() if labels.dtype.kind in "OU" else []
    for text in sorted({str(text) for text in texts if isinstance(text, str)}):
        if _reads_as(text, unlabeled_value):
            raise ValueError(
                f"{name} holds the string {text!r}, but unlabeled_value is the number "
                f"{mark}, so these rows would become a class of their own. If you "
                "wish to predict on string targets, use dtype object, and use "
                f"{mark} (no quotes) as the label of unlabeled rows, or set "
                f"unlabeled_value={text!r}."
            )


def _check_not_changed(labels: np.ndarray, unlabeled_value: Any, name: str) -> None:
    """Refuse what a dtype that is too small makes of the mark of unlabeled rows."""
    changed = _as_held_by(labels.dtype, unlabeled_value)
    n_changed = 0 if changed is None else int((labels == changed).sum())
    if n_changed == 0:
        return
    is_text = isinstance(changed, str)
    in_copy = f"y = y.astype({'object' if is_text else 'int'}) before y[unlabeled] = "
    raise ValueError(
        f"{name} has the dtype {labels.dtype}, which cannot hold unlabeled_value="
        f"{unlabeled_value!r}: NumPy turns it into {changed!r}, which {n_changed} rows of {name} "
        f"hold and which would become a class. Mark unlabeled rows in a copy, as in {in_copy}"
        f"{unlabeled_value!r}. If {changed!r} is a class, pass y.astype(object), or set "
        "unlabeled_value=None if every row is labeled."
    )


def _as_held_by(dtype: np.dtype, unlabeled_value: Any) -> int | str | None:
    """Return what a dtype makes of the mark of unlabeled rows, None where it can hold it."""
    if dtype.kind == "U" and isinstance(unlabeled_value, str):
        length = dtype.itemsize // 4
        return unlabeled_value[:length] if len(unlabeled_value) > length else None
    mark = _whole(unlabeled_value)
    if mark is None or dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    return None if low <= mark <= high else (mark - low) % 2**limits.bits + low


def _whole(value: Any) -> int | None:
    """Return a whole number as an integer, and None for anything else."""
    if isinstance(value, Integral):
        return int(value)
    is_float = isinstance(value, float | np.floating)
    return int(value) if is_float and float(value).is_integer() else None


def _numbers(labels: np.ndarray) -> set[Any]:
    if labels.dtype.kind == "O":
        kinds = ("integer", "float")
        return {label for label in labels.tolist() if kind_of(type(label)) in kinds}
    return set(np.unique(labels).tolist()) if labels.dtype.kind in "iuf" else set()


def _reads_as(text: str, number: Any) -> bool:
    """Say whether text is a way to write a number."""
    if is_nan(number) and text.strip().lower() in ("none", "<na>", "nat"):
        return True
    try:
        read = float(text)
    except ValueError:
        return False
    return bool(read == number) or (is_nan(read) and is_nan(number))
