"""Conversion of columns of frames and arrays to NumPy arrays of a few kinds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

from sgan_sklearn._data.dtypes import (
    DATES,
    attoseconds,
    is_ordinary,
    level_names,
    numpy_kind,
    pandas_kind,
    plain,
    polars_kind,
)
from sgan_sklearn._data.frames import column_dtype, column_name, frame_kind, refuse_column
from sgan_sklearn._data.validation import is_missing

__all__ = [
    "Column",
    "as_numbers",
    "as_objects",
    "as_table",
    "categorical_columns",
    "frame_to_numbers",
    "missing_markers",
    "ordinary_numbers",
    "read_column",
    "with_nan",
]


# Maximum number of distinct texts that may mark missing values in a column of numbers.
MAX_MARKERS = 3


class Column(NamedTuple):
    """A column as NumPy arrays."""

    kind: str
    """One of "category", "integer", "number" and the `DATES`."""

    values: np.ndarray
    """Objects for a category, int64 or uint64 for integers and dates, float64 for numbers."""

    known: np.ndarray
    """Mask of the values that are not missing."""

    tick: int = 1
    """Attoseconds in one step of a date."""


def as_table(X: Any) -> Any:
    """Return a frame unchanged and anything else as a 2-D array, or raise ValueError.

    Lists of numbers and text are converted to objects, so that numbers are not converted to text.
    """
    if frame_kind(X) is not None:
        _check_names(X)
        return X
    if not hasattr(X, "dtype"):
        plain = np.asarray(X)
        X = plain if plain.dtype.kind in "biuf" else np.asarray(X, dtype=object)
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def _check_names(X: Any) -> None:
    names = Counter(X.columns)
    duplicates = [name for name, count in names.items() if count > 1]
    if duplicates:
        raise ValueError(
            f"X has several columns named {duplicates[0]!r}. Give each column a unique name."
        )


def with_nan(X: Any) -> Any:
    """Replace missing values in an array of objects by NaN; return anything else unchanged."""
    if getattr(X, "dtype", None) != np.dtype(object) or X.ndim != 2:
        return X
    missing = [[is_missing(value) for value in row] for row in X.tolist()]
    return np.where(missing, np.nan, X) if np.any(missing) else X


def ordinary_numbers(X: Any) -> np.ndarray | None:
    """Return a table that contains only numbers of up to 64 bits as an array, otherwise None."""
    if frame_kind(X) is None:
        return X if X.dtype.kind in "biuf" else None
    if not all(is_ordinary(dtype) for dtype in X.dtypes):
        return None
    return check_array(X, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0)


def frame_to_numbers(X: Any) -> np.ndarray:
    """Return a frame of numbers as an array, for a model fitted on an array."""
    numbers = ordinary_numbers(X)
    if numbers is not None:
        return numbers
    numbers = np.full((len(X), X.shape[1]), np.nan)
    for i in range(X.shape[1]):
        column = as_numbers(read_column(X, i), column_name(X, i))
        if column.kind in DATES:
            raise ValueError(
                f"Column {column_name(X, i)} has the dtype {column_dtype(X, i)}, but the training "
                "rows held numbers. Convert it to numbers in the same way."
            )
        numbers[column.known, i] = column.values[column.known]
    return numbers


def read_column(X: Any, i: int) -> Column:
    """Read a column, or raise ValueError with its name, its dtype and the remedy."""
    column: Any
    read: Callable[[Any, str], Column]
    match frame_kind(X):
        case "pandas":
            column = X.iloc[:, i]
            kind, read = pandas_kind(column.dtype), _read_pandas
        case "polars":
            column = X.to_series(i)
            kind, read = polars_kind(column.dtype), _read_polars
        case _:
            column = X[:, i]
            kind, read = numpy_kind(column.dtype), _read_array
    if kind is None:
        refuse_column(X, i, "has the dtype", str(column.dtype))
    try:
        result = read(column, kind)
        unsupported = _unsupported_type(result)
        if unsupported is None:
            return _from_objects(result) if result.kind == "object" else result
    except OverflowError as error:
        raise ValueError(
            f"Column {column_name(X, i)} holds integers of more than 64 bits. Convert them to "
            "floats, or to text if they are identifiers."
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"Column {column_name(X, i)} cannot be read. {error}") from error
    refuse_column(X, i, "holds values of the type", unsupported.__name__)


def as_numbers(column: Column, name: str) -> Column:
    """Return a column of numbers, converted from text if necessary, or raise ValueError."""
    if column.kind != "category":
        return column
    numbers = np.full(len(column.values), np.nan)
    try:
        numbers[column.known] = np.asarray(column.values[column.known], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name} must hold numbers, or be listed in categorical_features. {error}"
            ". Replace text that marks missing values with np.nan."
        ) from error
    return Column("number", numbers, ~np.isnan(numbers))


def missing_markers(values: list[Any]) -> list[str]:
    """Return text that may mark missing values among numbers, which may be written as text."""
    counts = Counter(values)
    markers = [value for value in counts if isinstance(value, str) and not _is_number(value)]
    n_marked = sum(counts[marker] for marker in markers)
    return markers if len(markers) <= MAX_MARKERS and 2 * n_marked < len(values) else []


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def categorical_columns(X: Any, categorical_features: Any) -> np.ndarray | None:
    """Return the mask of the categorical columns, or None if the dtypes decide.

    Raises ValueError if `categorical_features` is not valid.
    """
    n_columns = X.shape[1]
    names = list(X.columns) if frame_kind(X) else []
    if categorical_features is None:
        return np.zeros(n_columns, dtype=bool)
    if isinstance(categorical_features, str):  # "from_dtype"
        return None
    rule = "The 'categorical_features' parameter of SGANClassifier must"
    if np.ndim(categorical_features) != 1:
        raise ValueError(f"{rule} be a list of columns or a mask. Got {categorical_features!r}.")
    chosen = list(categorical_features)
    if chosen and all(isinstance(item, bool | np.bool_) for item in chosen):
        if len(chosen) != n_columns:
            raise ValueError(
                f"{rule} have one value for each column if it is a mask. Got {len(chosen)} for "
                f"{n_columns} columns."
            )
        return np.array(chosen, dtype=bool)
    mask = np.zeros(n_columns, dtype=bool)
    for item in chosen:
        if isinstance(item, str):
            if item not in names:
                raise ValueError(
                    f"{rule} name columns of X. Got {item!r}, "
                    + (f"but the columns are {names}." if names else "but X has no column names.")
                )
            mask |= [name == item for name in names]
        elif isinstance(item, Integral) and 0 <= int(item) < n_columns:
            mask[int(item)] = True
        else:
            raise ValueError(
                f"{rule} hold positions from 0 to {n_columns - 1}, names that are strings, or a "
                f"mask. Got {item!r}."
            )
    return mask


def _read_array(values: np.ndarray, kind: str) -> Column:
    match values.dtype.kind:
        case "b" | "i" | "u":
            wide = values.astype(np.uint64 if values.dtype == np.uint64 else np.int64)
            return Column("integer", wide, np.ones(len(values), dtype=bool))
        case "f":
            numbers = values.astype(np.float64)
            return Column("number", numbers, ~np.isnan(numbers))
        case "M" | "m":
            if np.datetime_data(values.dtype)[0] in ("M", "Y"):
                values = values.astype("M8[D]")
            tick = attoseconds(values.dtype)
            return Column(kind, values.view(np.int64), ~np.isnat(values), tick or 1)
    return _objects(values.tolist(), kind)


def _read_pandas(series: Any, kind: str) -> Column:
    import pandas

    dtype = series.dtype
    match dtype:
        case pandas.ArrowDtype():
            return _read_arrow(series.array.__arrow_array__(), kind)
        case pandas.SparseDtype():
            return _read_pandas(series.sparse.to_dense(), kind)
        case pandas.DatetimeTZDtype():  # in UTC
            return _read_array(series.to_numpy(dtype=f"M8[{dtype.unit}]"), kind)
        case pandas.CategoricalDtype() if (names := level_names(dtype)) is not None:
            series = series.cat.rename_categories(names)
        case np.dtype() if dtype.kind in "iufmM":
            return _read_array(series.to_numpy(), kind)
    match kind:
        case "integer":
            known = ~series.isna().to_numpy(dtype=bool)
            wide = np.uint64 if dtype.kind == "u" else np.int64
            return Column(kind, series.to_numpy(dtype=wide, na_value=0), known)
        case "number":
            return _read_array(series.to_numpy(dtype=np.float64, na_value=np.nan), kind)
    return _objects(series.to_list(), kind)


def _read_arrow(array: Any, kind: str) -> Column:
    import pyarrow

    types = pyarrow.types
    if kind == "category":
        return _objects(array.to_pylist(), kind)
    if kind == "number":
        plain = types.is_float32(array.type) or types.is_float64(array.type)
        numbers = array.to_numpy() if plain else array.to_pylist()
        return _read_array(np.array(numbers, dtype=np.float64), kind)
    tick = 1
    if kind in DATES:
        units = {pyarrow.date32(): "D", pyarrow.date64(): "ms"}
        unit = units.get(array.type) or array.type.unit
        tick = attoseconds(np.dtype(f"m8[{unit}]")) or 1
    is_short = types.is_date32(array.type) or types.is_time32(array.type)
    unsigned = types.is_unsigned_integer(array.type)
    wide = pyarrow.int32() if is_short else pyarrow.uint64() if unsigned else pyarrow.int64()
    ticks = array.cast(wide).fill_null(0).to_numpy()
    known = array.is_valid().to_numpy()
    return Column(kind, ticks.astype(np.uint64 if unsigned else np.int64), known, tick)


def _read_polars(series: Any, kind: str) -> Column:
    import polars

    if kind in ("category", "object"):
        return _objects(series.to_list(), kind)
    if kind == "number":
        return _read_array(series.cast(polars.Float64).to_numpy(), kind)
    tick = 1
    if kind in DATES:
        unit = "D" if kind == "date" and series.dtype == polars.Date else "ns"
        tick = attoseconds(np.dtype(f"m8[{getattr(series.dtype, 'time_unit', unit)}]")) or 1
        series = series.to_physical()
    unsigned = str(series.dtype).startswith("UInt")
    try:
        ticks = series.cast(polars.UInt64 if unsigned else polars.Int64)
    except polars.exceptions.PolarsError as error:
        raise OverflowError from error
    values = ticks.fill_null(strategy="zero").to_numpy()
    return Column(kind, values, ~series.is_null().to_numpy(), tick)


def as_objects(values: list[Any]) -> np.ndarray:
    """Return a list as a 1-D array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _objects(values: list[Any], kind: str) -> Column:
    return Column(
        kind, as_objects(values), np.array([not is_missing(v) for v in values], dtype=bool)
    )


def _unsupported_type(column: Column) -> type | None:
    """Return a type of objects in a column other than text and numbers, or None."""
    if column.kind != "object":
        return None
    types = set(map(type, column.values[column.known].tolist()))
    unsupported = (cls for cls in types if not issubclass(cls, str | np.bool_ | Real | Decimal))
    return min(unsupported, key=lambda cls: cls.__name__, default=None)


def _from_objects(column: Column) -> Column:
    """Convert a column of objects to numbers or a category, according to their types."""
    known, items = column.known, column.values[column.known].tolist()
    types = set(map(type, items))
    if any(issubclass(cls, str | bool | np.bool_) for cls in types):
        values = np.full(len(known), None, dtype=object)
        values[known] = [plain(value) for value in items]
        return Column("category", values, known)
    if items and all(issubclass(cls, Integral) for cls in types):
        integers = [int(value) for value in items]
        low, high = min(integers), max(integers)
        if low < -(2**63) or high >= (2**63 if low < 0 else 2**64):
            raise OverflowError
        values = np.zeros(len(known), dtype=np.uint64 if high >= 2**63 else np.int64)
        values[known] = integers
        return Column("integer", values, known)
    numbers = np.full(len(known), np.nan)
    numbers[known] = [float(value) for value in items]
    return Column("number", numbers, ~np.isnan(numbers))
