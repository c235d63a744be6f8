"""Conversion of `y` to an array with exact labels and a mask of the labeled rows."""

from __future__ import annotations

from contextlib import suppress
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import column_or_1d

from sgan_sklearn._data.validation import is_missing

__all__ = [
    "Target",
    "as_array",
    "as_code",
    "check_mark",
    "check_target",
    "is_nan",
    "kind_of",
]

# Kinds of NumPy dtypes that store labels of each kind without changing them.
KEPT_BY = {"bool": "b", "integer": "iu", "float": "f", "string": "U"}

# Kinds of labels that NumPy can combine in one numeric array.
NUMBERS = {"bool", "integer", "float"}


class Target(NamedTuple):
    """Labels as an array, and a mask of the labeled rows."""

    values: np.ndarray
    """Label of each row, shape (n,); arbitrary where the row is unlabeled."""

    labeled: np.ndarray
    """Mask of the labeled rows."""

    @property
    def known_labels(self) -> np.ndarray:
        """The labels of the labeled rows."""
        return plain_labels(self.values[self.labeled])


def check_target(
    y: Any, unlabeled_value: Any, caller: str = "SGANClassifier", name: str = "y"
) -> Target:
    """Return `y` as an array and the mask of labeled rows, or raise ValueError with the remedy.

    Also raises ValueError if the dtype of `y` has changed the value that marks unlabeled rows,
    which would otherwise become an additional class.
    """
    if y is None:
        raise ValueError(
            f"{caller} requires y to be passed, but the target y is None. Mark unlabeled rows "
            "with unlabeled_value (-1 by default)."
        )
    if type(y).__name__ in ("LazyFrame", "Expr"):
        raise ValueError(
            f"{name} is a polars {type(y).__name__}, which holds no values yet. Pass a Series, "
            "such as the column of frame.collect()."
        )
    values, missing, masked = _read(y, caller, name)
    if unlabeled_value is None and masked.any():
        raise ValueError(
            f"{name} is a masked array with {masked.sum()} masked entries of {len(values)}, but "
            "unlabeled_value=None means that every row is labeled. With another unlabeled_value, "
            "such as -1, masked entries are unlabeled."
        )
    if missing.any() and not is_nan(unlabeled_value):
        raise ValueError(
            f"{name} contains NaN or None in {missing.sum()} of {len(values)} rows, but input "
            f"{name} must hold no missing value. If these rows are unlabeled, mark them with "
            "unlabeled_value (-1 by default), as in y = np.where(pd.isna(y), -1, y), for strings "
            "with dtype object. If only missing values mark unlabeled rows, set "
            "unlabeled_value=np.nan."
        )
    labeled = ~(missing | masked)
    labels = values[labeled]
    if _contains_infinity(labels):
        raise ValueError(
            f"Input {name} contains infinity. Labels must be finite numbers or strings."
        )
    if unlabeled_value is not None:
        _check_marker_type(labels, unlabeled_value, name)
        _check_marker_fits(labels, unlabeled_value, name)
        labeled[labeled] = _not_equal(labels, unlabeled_value)
    return Target(values, labeled)


def as_array(y: Any) -> tuple[Any, np.ndarray | None]:
    """Return labels as an array with exact values, and a mask of the missing ones.

    Labels that NumPy reads unchanged are returned as they are. If the mask is None, missing labels
    are NaN or None in the array; otherwise the array holds arbitrary labels in their place.
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
        # "T" is NumPy's variable-length string dtype.
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
    """Return labels, none of them missing, with numbers in a numeric dtype, or raise ValueError."""
    if labels.dtype.kind in "OS":
        labels = _without_objects(labels)
    if labels.dtype.kind == "f" and len(labels):
        largest = np.abs(labels).max()
        if largest >= 2.0 ** (np.finfo(labels.dtype).nmant + 1):
            raise ValueError(
                f"y holds the label {largest:.0f}, but the dtype {labels.dtype} cannot represent "
                "all integers of this size, so classes may have been merged. Pass an integer "
                "dtype, or strings."
            )
    return labels


def is_nan(value: Any) -> bool:
    """Return whether the value of a parameter is the number NaN."""
    return isinstance(value, Real) and bool(value != value)


def as_code(value: Any) -> str:
    """Return the value of a parameter as Python source code."""
    return "np.nan" if is_nan(value) else repr(value)


def check_mark(unlabeled_value: Any, caller: str) -> None:
    """Raise ValueError if `unlabeled_value` is a missing value other than NaN."""
    if unlabeled_value is not None and not is_nan(unlabeled_value) and is_missing(unlabeled_value):
        raise ValueError(
            f"The 'unlabeled_value' parameter of {caller} must be a number, a string or None. Got "
            f"{unlabeled_value!r}: pass np.nan, with which NaN, None and pd.NA mark unlabeled rows."
        )


def kind_of(label_type: type) -> str:
    """Return "bool", "integer", "float", "string", "bytes" or the name of another type."""
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
    """Return labels as a vector, and masks of the missing and of the masked labels."""
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
        columns = (
            "; class probabilities must be an array or a DataFrame of floats; for several targets "
            "use MultiOutputClassifier(SGANClassifier())"
        )
        raise ValueError(
            f"{error} {name} must hold one label for each row"
            f"{columns if caller == 'SGANClassifier' else ''}."
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
    """Return a list of labels, or of one-element lists, as an array; other lists unchanged."""
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
        # NumPy strips trailing null characters from text.
        is_same = kind != "string" or array.tolist() == labels
        if array.dtype.kind in KEPT_BY[kind] and is_same:
            return array
    array = np.empty(len(labels), dtype=object)
    array[:] = labels
    return array


def _without_missing(y: Any) -> np.ndarray:
    """Return labels from pandas, polars or pyarrow, none of them missing, as an array."""
    dtype = getattr(y, "dtype", None)
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)
    dtype = getattr(dtype, "numpy_dtype", None)  # of extension types of pandas
    if dtype is not None and dtype.kind in "biuf":
        return np.asarray(y, dtype=dtype)
    values = None
    with suppress(Exception):  # polars has 128-bit integers and its own exceptions
        values = np.asarray(y)
    if values is None or values.dtype.kind == "U":
        values = _from_list(y.to_list())
    return values


# --- types of labels ----------------------------------------------------------------------------


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
            why, remedy = "where True equals 1 and False equals 0", "Use one type for all labels"
        raise ValueError(
            f"y mixes labels of the types {' and '.join(names)}, {why}. {remedy}; only unlabeled "
            "rows may have another type."
        )
    if not kinds <= NUMBERS:
        return labels
    if len(kinds) > 1:
        _check_distinct(values)
    return _integers(values) if kinds == {"integer"} else np.array(values)


def _integers(labels: list[Any]) -> np.ndarray:
    """Return integers in a dtype that holds them; NumPy converts int64 with uint64 to float64."""
    labels = [int(label) for label in labels]
    low, high = min(labels), max(labels)
    if low >= -(2**63) and high < 2**63:
        return np.array(labels)
    if low >= 0 and high < 2**64:
        return np.array(labels, dtype=np.uint64)
    raise ValueError(
        f"y holds integers from {low} to {high}, which no 64-bit integer dtype can hold. Convert "
        "the labels to strings in an array of dtype object; only unlabeled rows may stay numbers."
    )


def _check_distinct(labels: list[Any]) -> None:
    """Raise ValueError if an integer and a float are equal, which would merge two classes."""
    integers = {label for label in labels if kind_of(type(label)) == "integer"}
    for label in labels:
        if kind_of(type(label)) == "float" and label in integers:
            raise ValueError(
                f"y holds the integer {int(label)} and the equal number {float(label)!r}. If they "
                "are one class, convert all labels to one numeric type, as in y.astype(float), "
                "otherwise to strings."
            )


def _contains_infinity(labels: np.ndarray) -> bool:
    if labels.dtype.kind == "O":
        return any(
            bool(np.isinf(label))
            for label in labels.tolist()
            if isinstance(label, float | np.floating)
        )
    return labels.dtype.kind == "f" and bool(np.isinf(labels).any())


# --- the value that marks unlabeled rows --------------------------------------------------------


def _not_equal(labels: np.ndarray, unlabeled_value: Any) -> np.ndarray:
    """Return the mask of the labels that differ from `unlabeled_value`."""
    integer = _as_integer(unlabeled_value)
    unlabeled_value = unlabeled_value if integer is None else integer
    # NumPy does not compare text or dates with numbers, and rounds integers to compare floats.
    rounds = labels.dtype.kind == "f" and integer is not None and abs(integer) >= 2**11
    if labels.dtype.kind not in "biuf" or isinstance(unlabeled_value, str) or rounds:
        dates = np.datetime64 | np.timedelta64  # old NumPy versions warn when comparing them
        items = labels.astype(object).tolist()
        unequal = [isinstance(item, dates) or bool(item != unlabeled_value) for item in items]
        return np.array(unequal, dtype=bool)
    return np.asarray(labels != unlabeled_value, dtype=bool)


def _check_marker_type(labels: np.ndarray, unlabeled_value: Any, name: str) -> None:
    """Raise ValueError if labels hold `unlabeled_value` as text instead of a number, or vice versa.

    Such labels would become an additional class.
    """
    if isinstance(unlabeled_value, str):
        for number in _numbers(labels):
            if _represents(unlabeled_value, number):
                raise ValueError(
                    f"{name} holds the number {number!r}, but unlabeled_value is the string "
                    f"{unlabeled_value!r}, so these rows would become a separate class. Set "
                    f"unlabeled_value={number!r} (no quotes)."
                )
        return
    mark = as_code(unlabeled_value)
    texts = labels.tolist() if labels.dtype.kind in "OU" else []
    for text in sorted({str(text) for text in texts if isinstance(text, str)}):
        if _represents(text, unlabeled_value):
            raise ValueError(
                f"{name} holds the string {text!r}, but unlabeled_value is the number "
                f"{mark}, so these rows would become a separate class. If you "
                "wish to predict on string targets, use dtype object, and use "
                f"{mark} (no quotes) as the label of unlabeled rows, or set "
                f"unlabeled_value={text!r}."
            )


def _check_marker_fits(labels: np.ndarray, unlabeled_value: Any, name: str) -> None:
    """Raise ValueError if the dtype is too small for `unlabeled_value` and has changed it."""
    changed = _changed_by(labels.dtype, unlabeled_value)
    n_changed = 0 if changed is None else int((labels == changed).sum())
    if n_changed == 0:
        return
    is_text = isinstance(changed, str)
    in_copy = f"y = y.astype({'object' if is_text else 'int'}) before y[unlabeled] = "
    raise ValueError(
        f"{name} has the dtype {labels.dtype}, which cannot hold unlabeled_value="
        f"{unlabeled_value!r}: NumPy converts it to {changed!r}, the value of {n_changed} rows of "
        f"{name}, which would become a class. Mark unlabeled rows in a copy, as in {in_copy}"
        f"{unlabeled_value!r}. If {changed!r} is a class, pass y.astype(object), or set "
        "unlabeled_value=None if every row is labeled."
    )


def _changed_by(dtype: np.dtype, unlabeled_value: Any) -> int | str | None:
    """Return `unlabeled_value` as converted by a dtype, or None if the dtype can hold it."""
    if dtype.kind == "U" and isinstance(unlabeled_value, str):
        length = dtype.itemsize // 4
        return unlabeled_value[:length] if len(unlabeled_value) > length else None
    mark = _as_integer(unlabeled_value)
    if mark is None or dtype.kind not in "iu":
        return None
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    return None if low <= mark <= high else (mark - low) % 2**limits.bits + low


def _as_integer(value: Any) -> int | None:
    """Return a number without a fraction as an integer, and None for anything else."""
    if isinstance(value, Integral):
        return int(value)
    is_float = isinstance(value, float | np.floating)
    return int(value) if is_float and float(value).is_integer() else None


def _numbers(labels: np.ndarray) -> set[Any]:
    if labels.dtype.kind == "O":
        kinds = ("integer", "float")
        return {label for label in labels.tolist() if kind_of(type(label)) in kinds}
    return set(np.unique(labels).tolist()) if labels.dtype.kind in "iuf" else set()


def _represents(text: str, number: Any) -> bool:
    """Return whether text represents a number."""
    if is_nan(number) and text.strip().lower() in ("none", "<na>", "nat"):
        return True
    try:
        read = float(text)
    except ValueError:
        return False
    return bool(read == number) or (is_nan(read) and is_nan(number))
