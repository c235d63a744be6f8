"""Columns of frames and arrays, read into arrays of a few kinds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_array

from sgan_sklearn._dtypes import (
    DATES,
    attoseconds,
    is_ordinary,
    level_names,
    numpy_kind,
    pandas_kind,
    plain,
    polars_kind,
)
from sgan_sklearn._frames import column_dtype, column_name, frame_kind, refuse_column
from sgan_sklearn._validation import is_missing

__all__ = [
    "Column",
    "as_numbers",
    "as_objects",
    "as_table",
    "categorical_columns",
    "frame_to_numbers",
    "ordinary_numbers",
    "read_column",
    "text_gaps",
    "with_nan",
]


# Different texts in a column of numbers that may mark missing values, at most.
MAX_GAPS = 3


class Column(NamedTuple):
    """A column as it was read."""

    kind: str
    """One of "category", "integer", "number" and the `DATES`."""

    values: np.ndarray
    """Objects of a category; int64 or uint64 of integers and dates; float64 of numbers."""

    known: np.ndarray
    """Mask of the values that are not missing."""

    tick: int = 1
    """Attoseconds in one step of a date."""


def as_table(X: Any) -> Any:
    """Return a frame as it is, anything else as an array of two dimensions, or raise ValueError.

    Lists of numbers and text become objects, so that the numbers do not become text.
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
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f"X has several columns of the name {twice[0]!r}. Give each column a name of its own."
        )


def with_nan(X: Any) -> Any:
    """Return an array of objects with NaN for whatever is missing, anything else as it is."""
    if getattr(X, "dtype", None) != np.dtype(object) or X.ndim != 2:
        return X
    missing = [[is_missing(value) for value in row] for row in X.tolist()]
    return np.where(missing, np.nan, X) if np.any(missing) else X


def ordinary_numbers(X: Any) -> np.ndarray | None:
    """Return a table of nothing but numbers of up to 64 bits as one array, otherwise None."""
    if frame_kind(X) is None:
        return X if X.dtype.kind in "biuf" else None
    if not all(is_ordinary(dtype) for dtype in X.dtypes):
        return None
    return check_array(X, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0)


def frame_to_numbers(X: Any) -> np.ndarray:
    """Return a frame of numbers as an array, for a model of rows without names."""
    numbers = ordinary_numbers(X)
    if numbers is not None:
        return numbers
    numbers = np.full((len(X), X.shape[1]), np.nan)
    for i in range(X.shape[1]):
        column = as_numbers(read_column(X, i), column_name(X, i))
        if column.kind in DATES:
            raise ValueError(
                f"Column {column_name(X, i)} has the dtype {column_dtype(X, i)}, but the training "
                "rows held numbers. Convert it to numbers as there."
            )
        numbers[column.known, i] = column.values[column.known]
    return numbers


def read_column(X: Any, i: int) -> Column:
    """Return what a column holds, or raise ValueError with its name, its dtype and the remedy."""
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
        found = read(column, kind)
        unfit = _unfit_type(found)
        if unfit is None:
            return _from_objects(found) if found.kind == "object" else found
    except OverflowError as error:
        raise ValueError(
            f"Column {column_name(X, i)} holds integers of more than 64 bits. Make them floats, or "
            "text if they are names."
        ) from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"Column {column_name(X, i)} cannot be read. {error}") from error
    refuse_column(X, i, "holds values of the type", unfit.__name__)


def as_numbers(column: Column, name: str) -> Column:
    """Return a column of numbers, also where they are written as text, or raise ValueError."""
    if column.kind != "category":
        return column
    numbers = np.full(len(column.values), np.nan)
    try:
        numbers[column.known] = np.asarray(column.values[column.known], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name} must hold numbers, or be named among the categorical_features. {error}"
            ". Replace text that marks missing values with np.nan."
        ) from error
    return Column("number", numbers, ~np.isnan(numbers))


def text_gaps(values: list[Any]) -> list[str]:
    """Return the few different texts between numbers, which may be text as well."""
    counts = Counter(values)
    gaps = [value for value in counts if isinstance(value, str) and not _is_number(value)]
    n_gaps = sum(counts[gap] for gap in gaps)
    return gaps if len(gaps) <= MAX_GAPS and 2 * n_gaps < len(values) else []


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def categorical_columns(X: Any, categorical_features: Any) -> np.ndarray | None:
    """Return the mask of the columns that are categories, None if dtypes say it.

    Raises ValueError.
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
                    + (f"but they are {names}." if names else "but X has no column names.")
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
    narrow = types.is_date32(array.type) or types.is_time32(array.type)
    unsigned = types.is_unsigned_integer(array.type)
    wide = pyarrow.int32() if narrow else pyarrow.uint64() if unsigned else pyarrow.int64()
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
    whole = ticks.fill_null(strategy="zero").to_numpy()
    return Column(kind, whole, ~series.is_null().to_numpy(), tick)


def as_objects(values: list[Any]) -> np.ndarray:
    """Return a list as an array of objects, whatever they are."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _objects(values: list[Any], kind: str) -> Column:
    return Column(
        kind, as_objects(values), np.array([not is_missing(v) for v in values], dtype=bool)
    )


def _unfit_type(column: Column) -> type | None:
    """Return the type of objects in a column that are no text and no numbers, if there are any."""
    if column.kind != "object":
        return None
    types = set(map(type, column.values[column.known].tolist()))
    unfit = (cls for cls in types if not issubclass(cls, str | np.bool_ | Real | Decimal))
    return min(unfit, key=lambda cls: cls.__name__, default=None)


def _from_objects(column: Column) -> Column:
    """Return a column of numbers or a category, as the types of its objects say."""
    known, found = column.known, column.values[column.known].tolist()
    types = set(map(type, found))
    if any(issubclass(cls, str | bool | np.bool_) for cls in types):
        values = np.full(len(known), None, dtype=object)
        values[known] = [plain(value) for value in found]
        return Column("category", values, known)
    if found and all(issubclass(cls, Integral) for cls in types):
        whole = [int(value) for value in found]
        if min(whole) < -(2**63) or max(whole) >= (2**63 if min(whole) < 0 else 2**64):
            raise OverflowError
        integers = np.zeros(len(known), dtype=np.uint64 if max(whole) >= 2**63 else np.int64)
        integers[known] = whole
        return Column("integer", integers, known)
    numbers = np.full(len(known), np.nan)
    numbers[known] = [float(value) for value in found]
    return Column("number", numbers, ~np.isnan(numbers))
