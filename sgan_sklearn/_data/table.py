"""Rows of `X` as a table: columns of a frame or an array as NumPy arrays of a few kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_array

from sgan_sklearn._data.dtypes import (
    DATES,
    attoseconds,
    describe_names,
    describe_pandas,
    describe_polars,
    is_ordinary,
    level_names,
    numpy_kind,
    pandas_kind,
    plain,
    polars_kind,
)
from sgan_sklearn._data.images import flatten_images
from sgan_sklearn._data.validation import check_collected, is_missing

__all__ = ["Column", "SparseTable", "Table", "as_objects", "as_table"]

# Remedies for unsupported columns, by the lowercase start of the name of the dtype or type.
_REMEDIES = {
    "array": "Convert each of its entries to a column",
    "bytes": "Decode it to text",
    "binary": "Decode it to text",
    "complex": "Convert it to two columns, the real and the imaginary part",
    "date": "Convert it to dates with pandas.to_datetime",
    "decimal": "Convert it to floats",
    "dict": "Convert each of its entries to a column",
    "interval": "Convert it to categories with astype('category'), or to numbers",
    "large_list": "Convert each of its entries to a column",
    "list": "Convert each of its entries to a column",
    "period": "Convert it to dates with dt.to_timestamp()",
    "struct": "Convert each of its fields to a column",
    "timedelta": "Convert it to durations with pandas.to_timedelta",
    "timestamp": "Convert it to dates with pandas.to_datetime",
    "tuple": "Convert each of its entries to a column",
    "uuid": "Convert it to text with astype(str), if it is a category",
}


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

    name: str = ""
    """Name in messages: that of the column of a frame, or the index in an array."""

    dtype: Any = None
    """Dtype in X."""

    def as_numbers(self) -> Column:
        """Return a column of numbers, converted from text if necessary, or raise ValueError."""
        if self.kind != "category":
            return self
        numbers = np.full(len(self.values), np.nan)
        try:
            numbers[self.known] = np.asarray(self.values[self.known], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self.name} must hold numbers, or be listed in categorical_features. "
                f"{error}. Replace text that marks missing values with np.nan."
            ) from error
        return self._replace(kind="number", values=numbers, known=~np.isnan(numbers))


def as_table(X: Any) -> Table:
    """Return rows or images as a table, or raise an error if `X` is neither."""
    check_collected(X)
    if sparse.issparse(X):
        if X.ndim > 2:
            raise ValueError(
                f"A sparse X must have two dimensions. Got {X.ndim}: pass X.todense()."
            )
        return SparseTable(X)
    flat, image_shape = flatten_images(X)
    for cls in type(flat).__mro__:
        if cls.__name__ == "DataFrame":
            match cls.__module__.split(".")[0]:
                case "pandas":
                    return PandasTable(flat)
                case "polars":
                    return PolarsTable(flat)
    return ArrayTable(flat, image_shape)


class Table(ABC):
    """Rows of `X` with the names and dtypes of their columns.

    Parameters
    ----------
    X : DataFrame, or array-like of shape (n_samples, n_features)
        The rows.
    image_shape : tuple of int or None, default=None
        Shape of each row before images were flattened; None if rows were passed.
    """

    # "pandas", "polars" or None for an array.
    frame: ClassVar[str | None] = None

    def __init__(self, X: Any, image_shape: tuple[int, ...] | None = None) -> None:
        self.X = X
        self.image_shape = image_shape

    @property
    def rows(self) -> Any:
        """The frame, or a 2-D array."""
        return self.X

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return int(self.rows.shape[1])

    @property
    @abstractmethod
    def labels(self) -> list[Any]:
        """Names of the columns; empty for an array."""

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns in messages."""
        return [repr(plain(label)) for label in self.labels]

    @abstractmethod
    def describe(self) -> list[Any]:
        """Return the kind of table and the names and dtypes of its columns as plain lists.

        Raises ValueError, with the name of the column, if `build_frame` could not restore it
        exactly.
        """

    def columns(self) -> Iterator[Column]:
        """Read one column after another, or raise ValueError with its name and the remedy."""
        return (self.column(i) for i in range(self.n_columns))

    def column(self, i: int) -> Column:
        """Read a column, or raise ValueError with its name, its dtype and the remedy."""
        values, kind = self._select(i)
        if kind is None:
            self._refuse(i, "has the dtype", str(values.dtype))
        try:
            column = self._read(values, kind)
            unsupported = _unsupported_type(column)
            if unsupported is None:
                column = _from_objects(column) if column.kind == "object" else column
                return column._replace(name=self.names[i], dtype=values.dtype)
        except OverflowError as error:
            raise ValueError(
                f"Column {self.names[i]} holds integers of more than 64 bits. Convert them to "
                "floats, or to text if they are identifiers."
            ) from error
        except (TypeError, ValueError) as error:
            raise ValueError(f"Column {self.names[i]} cannot be read. {error}") from error
        self._refuse(i, "holds values of the type", unsupported.__name__)

    @abstractmethod
    def _select(self, i: int) -> tuple[Any, str | None]:
        """Return a column as it is in X, and its kind of values, None if it is not supported."""

    @abstractmethod
    def _read(self, column: Any, kind: str) -> Column:
        """Convert a column, which `_select` has returned, to NumPy arrays."""

    def _refuse(self, i: int, found: str, what: str) -> NoReturn:
        """Raise ValueError for a column whose dtype, or type of values, is not supported."""
        matching = [name for name in _REMEDIES if what.lower().startswith(name)]
        default = "Convert it to numbers or categories"
        remedy = _REMEDIES[max(matching, key=len)] if matching else default
        raise ValueError(
            f"Column {self.names[i]} {found} {what}, which is neither numbers, dates nor "
            f"categories. {remedy}, or drop it."
        )

    @abstractmethod
    def ordinary_numbers(self) -> np.ndarray | None:
        """Return a table that contains only numbers of up to 64 bits as an array, else None."""

    def to_numbers(self) -> np.ndarray:
        """Return columns of numbers as an array, for a model fitted on an array."""
        numbers = self.ordinary_numbers()
        if numbers is not None:
            return numbers
        numbers = np.full(self.rows.shape, np.nan)
        for i, column in enumerate(self.columns()):
            column = column.as_numbers()
            if column.kind in DATES:
                raise ValueError(
                    f"Column {column.name} has the dtype {column.dtype}, but the training "
                    "rows held numbers. Convert it to numbers in the same way."
                )
            numbers[column.known, i] = column.values[column.known]
        return numbers

    def categorical_mask(self, categorical_features: Any) -> np.ndarray | None:
        """Return the mask of the categorical columns, or None if the dtypes decide.

        Raises ValueError if `categorical_features`, as in `SGANClassifier`, is not valid.
        """
        n_columns, labels = self.n_columns, self.labels
        if categorical_features is None:
            return np.zeros(n_columns, dtype=bool)
        if isinstance(categorical_features, str):  # "from_dtype"
            return None
        rule = "The 'categorical_features' parameter of SGANClassifier must"
        if np.ndim(categorical_features) != 1:
            raise ValueError(
                f"{rule} be a list of columns or a mask. Got {categorical_features!r}."
            )
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
                if item not in labels:
                    raise ValueError(
                        f"{rule} name columns of X. Got {item!r}, "
                        + (
                            f"but the columns are {labels}."
                            if labels
                            else "but X has no column names."
                        )
                    )
                mask |= [label == item for label in labels]
            elif isinstance(item, Integral) and 0 <= int(item) < n_columns:
                mask[int(item)] = True
            else:
                raise ValueError(
                    f"{rule} hold positions from 0 to {n_columns - 1}, names that are strings, or "
                    f"a mask. Got {item!r}."
                )
        return mask


class FrameTable(Table):
    """A data frame, whose columns have names and dtypes of their own."""

    def __init__(self, X: Any) -> None:
        super().__init__(X)
        duplicates = [label for label, count in Counter(self.labels).items() if count > 1]
        if duplicates:
            raise ValueError(
                f"X has several columns named {duplicates[0]!r}. Give each column a unique name."
            )

    @property
    def labels(self) -> list[Any]:
        return list(self.X.columns)

    def _described_dtypes(self) -> list[Any]:
        return [self._described(i, dtype) for i, dtype in enumerate(self.X.dtypes)]

    def _described(self, i: int, dtype: Any) -> list[Any]:
        try:
            return self._describe_dtype(dtype)
        except (TypeError, ValueError):
            if str(dtype) == "category":
                raise ValueError(
                    f"Column {self.names[i]} has categories of the dtype {dtype.categories.dtype}, "
                    "but levels must be text, numbers, dates or intervals. Convert them to text "
                    "with astype(str).astype('category'), or drop the column."
                ) from None
            self._refuse(i, "has the dtype", str(dtype))

    @staticmethod
    @abstractmethod
    def _describe_dtype(dtype: Any) -> list[Any]:
        """Describe a dtype as a list, or raise TypeError or ValueError."""

    def ordinary_numbers(self) -> np.ndarray | None:
        if not all(is_ordinary(dtype) for dtype in self.X.dtypes):
            return None
        return check_array(
            self.X, ensure_all_finite=False, ensure_min_samples=0, ensure_min_features=0
        )


class PandasTable(FrameTable):
    """A pandas DataFrame."""

    frame = "pandas"

    def describe(self) -> list[Any]:
        dtypes = self._described_dtypes()
        try:
            return [self.frame, *describe_names(self.X.columns), dtypes]
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The names of the columns of X must be strings, numbers or dates, or tuples of "
                "strings and numbers. Convert them to strings: X.columns = X.columns.astype(str)."
            ) from error

    _describe_dtype = staticmethod(describe_pandas)

    @cached_property
    def _series(self) -> list[Any]:
        # `items` is much faster than `iloc` for each column.
        return [series for _, series in self.X.items()]

    def _select(self, i: int) -> tuple[Any, str | None]:
        series = self._series[i]
        return series, pandas_kind(series.dtype)

    def _read(self, column: Any, kind: str) -> Column:
        return _read_pandas(column, kind)


class PolarsTable(FrameTable):
    """A polars DataFrame."""

    frame = "polars"

    def describe(self) -> list[Any]:
        return [self.frame, self.labels, [None], self._described_dtypes()]

    _describe_dtype = staticmethod(describe_polars)

    def _select(self, i: int) -> tuple[Any, str | None]:
        series = self.X.to_series(i)
        return series, polars_kind(series.dtype)

    def _read(self, column: Any, kind: str) -> Column:
        return _read_polars(column, kind)


class ArrayTable(Table):
    """An array, or a list of lists."""

    @cached_property
    def rows(self) -> np.ndarray:
        """A checked 2-D array.

        Lists of numbers and text become objects, so that numbers are not converted to text.
        """
        X = self.X
        if not hasattr(X, "dtype"):
            found = np.asarray(X)
            X = found if found.dtype.kind in "biuf" else np.asarray(X, dtype=object)
        return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")

    @property
    def labels(self) -> list[Any]:
        return []

    @cached_property
    def names(self) -> list[str]:
        return [str(i) for i in range(self.n_columns)]

    def describe(self) -> list[Any]:
        dtype = self.rows.dtype
        return ["array", dtype.str if dtype.kind in "biufmM" else "|O", self.n_columns]

    def _select(self, i: int) -> tuple[Any, str | None]:
        values = self.rows[:, i]
        return values, numpy_kind(values.dtype)

    def _read(self, column: Any, kind: str) -> Column:
        return _read_array(column, kind)

    def ordinary_numbers(self) -> np.ndarray | None:
        return self.rows if self.rows.dtype.kind in "biuf" else None


class SparseTable(ArrayTable):
    """A sparse matrix."""

    @cached_property
    def rows(self) -> Any:
        """A checked matrix in the CSR format."""
        return check_array(
            self.X,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            input_name="X",
        )

    def _select(self, i: int) -> tuple[Any, str | None]:
        values = self.rows[:, [i]].toarray().ravel()
        return values, numpy_kind(values.dtype)

    def ordinary_numbers(self) -> np.ndarray:
        dense: np.ndarray = self.rows.toarray()
        return dense


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
    if isinstance(dtype, np.dtype) and dtype.kind in "iufmM":
        return _read_array(series.to_numpy(), kind)
    match dtype:
        case pandas.ArrowDtype():
            return _read_arrow(series.array.__arrow_array__(), kind)
        case pandas.SparseDtype():
            return _read_pandas(series.sparse.to_dense(), kind)
        case pandas.DatetimeTZDtype():  # in UTC
            return _read_array(series.to_numpy(dtype=f"M8[{dtype.unit}]"), kind)
        case pandas.CategoricalDtype() if (names := level_names(dtype)) is not None:
            series = series.cat.rename_categories(names)
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
