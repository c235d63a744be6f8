"""Columns of a table, with categories and holes, from frames and arrays to numbers and back."""

from __future__ import annotations

import re
from numbers import Integral, Number
from typing import Any

import numpy as np
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils.validation import check_array

from sgan_sklearn._frames import describe_frame, described_frame, frame_kind
from sgan_sklearn._validation import is_missing

__all__ = ["TableColumns", "as_table", "has_objects", "representable", "with_nan"]

# Dtypes of integers by their names in NumPy, pandas and polars, all in small letters.
_INTEGERS = re.compile(r"u?int(8|16|32|64)\b")

# Categories of a column that are told apart; the rarest of more than that share one code.
MAX_LEVELS = 100

# Beginnings of the dtypes, of pandas and polars, whose columns are categories or numbers.
CATEGORICAL_DTYPES = ("category", "str", "bool", "categorical", "enum", "utf8")
NUMERIC_DTYPES = ("int8", "int16", "int32", "int64", "int128", "uint", "float", "double", "decimal")


def as_table(X: Any) -> Any:
    """Return a frame as it is, anything else as an array of two dimensions, or raise ValueError.

    Lists of numbers and text become objects, lest the numbers become text.
    """
    if frame_kind(X) is not None:
        return X
    if not hasattr(X, "dtype"):
        plain = np.asarray(X)
        X = plain if plain.dtype.kind in "biuf" else np.asarray(X, dtype=object)
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def representable(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Return numbers that a dtype can hold: as a float the largest integer is one too large."""
    name = _INTEGERS.match(str(getattr(dtype, "name", dtype)).lower())
    if name is None or values.dtype.kind != "f":
        return values
    limits = np.iinfo(name.group())
    highest = float(limits.max)
    if int(highest) > limits.max:
        highest = float(np.nextafter(highest, 0.0))
    return np.clip(values.astype(np.float64), limits.min, highest)


def with_nan(X: Any) -> Any:
    """Return an array of objects with NaN for whatever is missing, anything else as it is."""
    if getattr(X, "dtype", None) != np.dtype(object) or X.ndim != 2:
        return X
    missing = [[is_missing(value) for value in row] for row in X.tolist()]
    return np.where(missing, np.nan, X) if np.any(missing) else X


class TableColumns:
    """What the columns of X are: names, dtypes, and the levels of the categories.

    Parameters
    ----------
    X : DataFrame or ndarray of shape (n_samples, n_features)
        The training rows.
    categorical_features : "from_dtype", array-like or None
        As in `SGANClassifier`.

    Attributes
    ----------
    encoders : dict of int to OrdinalEncoder
        That of each column of categories.
    n_levels : list of int
        Number of levels of each column; 0 for numbers.
    """

    def __init__(self, X: Any, categorical_features: Any) -> None:
        self.frame = frame_kind(X)
        self.template = _without_rows(X)
        n_columns = X.shape[1]
        self.check_dtypes(X)
        self.encoders: dict[int, OrdinalEncoder] = {}
        # Of the levels that share a code: their names and how often each came.
        self.rare: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.frequent: dict[int, np.ndarray] = {}
        for i in np.flatnonzero(_categorical_columns(X, categorical_features)).tolist():
            values, known = self._values(X, i)
            self._learn_levels(i, values[known])
        # Columns of a frame that hold whole numbers, of whatever dtype.
        self.whole = [
            self.frame is not None and i not in self.encoders and self._is_whole(X, i)
            for i in range(n_columns)
        ]
        self.n_levels = [
            len(self.frequent[i]) + (i in self.rare) if i in self.encoders else 0
            for i in range(n_columns)
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Replace the template by a description, which not only pickle can keep."""
        template = self.template if self.frame is None else describe_frame(self.template)
        return {**vars(self), "template": template}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.frame is not None:
            self.template = described_frame(state["template"])

    def plain_state(self) -> dict[str, Any]:
        """Return what `from_plain_state` needs."""
        template = self.template.dtype if self.frame is None else describe_frame(self.template)
        return {
            "frame": self.frame,
            "template": template,
            "n_columns": len(self.n_levels),
            "levels": {i: encoder.categories_[0] for i, encoder in self.encoders.items()},
            "rare": self.rare,
            "frequent": self.frequent,
            "whole": self.whole,
        }

    @classmethod
    def from_plain_state(cls, state: dict[str, Any]) -> TableColumns:
        """Return the columns of a plain state, or raise an error if there can be none."""
        raise NotImplementedError

    def _learn_levels(self, column: int, values: np.ndarray) -> None:
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MAX_LEVELS
        )
        if len(values) == 0:
            values = np.array([""], dtype=object)  # a column of holes: one level that never comes
        try:
            encoder.fit(values[:, np.newaxis])
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The categories of column {self._name(column)} have no common order. Make them "
                "all strings or all numbers."
            ) from error
        levels, rare = encoder.categories_[0], encoder.infrequent_categories_[0]
        if rare is None:
            self.frequent[column] = levels
        else:
            names = set(rare.tolist())
            is_rare = np.array([level in names for level in levels.tolist()])
            self.frequent[column] = levels[~is_rare]
            came = values[np.array([value in names for value in values.tolist()])]
            self.rare[column] = np.unique(came, return_counts=True)
        self.encoders[column] = encoder

    def to_numbers(self, X: Any) -> np.ndarray:
        """Return codes of categories and numbers as they are, float64; NaN where missing.

        A category that the training rows did not have is missing too.
        """
        self.check_dtypes(X)
        numbers = np.full((len(X), len(self.n_levels)), np.nan)
        for i in range(len(self.n_levels)):
            if i not in self.encoders:
                numbers[:, i] = self._as_numbers(X, i)
                continue
            values, known = self._values(X, i)
            if known.any():
                numbers[known, i] = self.encoders[i].transform(values[known, np.newaxis])[:, 0]
        return numbers

    def to_given_form(self, numbers: np.ndarray, rng: np.random.RandomState) -> Any:
        """Return rows of numbers in the form of X: a frame of its dtypes, or an array."""
        columns = [self._decoded(numbers[:, i], i, rng) for i in range(len(self.n_levels))]
        if self.frame is None:
            return self._as_array(columns)
        if self.frame == "polars":
            import polars

            return polars.DataFrame(
                {
                    name: polars.Series(
                        [
                            None if is_missing(value) else value
                            for value in representable(values, dtype).tolist()
                        ]
                    ).cast(dtype)
                    for (name, dtype), values in zip(
                        self.template.schema.items(), columns, strict=True
                    )
                }
            )
        import pandas

        dtypes = self.template.dtypes
        series = [
            _as_series(representable(values, dtype), dtype)
            for values, dtype in zip(columns, dtypes, strict=True)
        ]
        frame = pandas.concat(series, axis=1)
        frame.columns = self.template.columns
        return frame

    def _as_array(self, columns: list[np.ndarray]) -> np.ndarray:
        dtype = self.template.dtype
        if dtype.kind not in "biuf":
            return np.array(columns, dtype=object).T
        rows = np.array([column.astype(np.float64) for column in columns]).T
        return rows.astype(dtype) if dtype.kind == "f" else np.rint(rows).astype(dtype)

    def _decoded(self, numbers: np.ndarray, column: int, rng: np.random.RandomState) -> np.ndarray:
        if column not in self.encoders:
            return np.rint(numbers) if self.whole[column] else numbers
        known = ~np.isnan(numbers)
        codes = numbers[known].astype(int)
        frequent = self.frequent[column]
        values = np.full(len(numbers), None, dtype=object)
        if column in self.rare:
            names, counts = self.rare[column]
            is_rare = codes == len(frequent)
            drawn = rng.choice(names, len(codes), p=counts / counts.sum())
            values[known] = np.where(is_rare, drawn, frequent[np.where(is_rare, 0, codes)])
        else:
            values[known] = frequent[codes]
        return values

    def check_dtypes(self, X: Any) -> None:
        """Refuse columns of a frame that are neither numbers nor categories, such as dates."""
        if frame_kind(X) is None:
            return
        for i in range(X.shape[1]):
            dtype = _dtype_name(X, i)
            if not dtype.startswith(("object", "null", *CATEGORICAL_DTYPES, *NUMERIC_DTYPES)):
                raise ValueError(
                    f"Column {X.columns[i]!r} has the dtype {dtype}, which is neither numbers nor "
                    "categories. Turn it into numbers, such as days since a date, into "
                    "categories, or drop it."
                )

    def _as_numbers(self, X: Any, column: int) -> np.ndarray:
        values = _column(X, column)
        try:
            if frame_kind(X) == "pandas":
                return values.to_numpy(dtype=np.float64, na_value=np.nan)
            if _dtype_name(X, column).startswith("object"):
                values = [np.nan if is_missing(value) else value for value in list(values)]
            return np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self._name(column)} must hold numbers, or be named among the "
                f"categorical_features. {error}"
            ) from error

    def _values(self, X: Any, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a column's values as objects, and the mask of those that are not missing."""
        column = _column(X, i)
        if frame_kind(X) is None and self.frame is None and column.dtype.kind in "biuf":
            # Lest 0.1 as float32 be another level than 0.1 as float64.
            numeric = self.template.dtype.kind in "biuf"
            column = column.astype(self.template.dtype) if numeric else column
        listed = list(column.tolist() if frame_kind(X) is None else column.to_list())
        values = np.empty(len(listed), dtype=object)
        values[:] = listed
        return values, ~np.array([is_missing(value) for value in listed], dtype=bool)

    def _is_whole(self, X: Any, column: int) -> bool:
        values = self._as_numbers(X, column)
        return bool((np.rint(values) == values)[~np.isnan(values)].all())

    def _name(self, column: int) -> str:
        return repr(self.template.columns[column]) if self.frame else str(column)


def _without_rows(X: Any) -> Any:
    """Return the names and dtypes of X, in its form; no view, which would keep X alive."""
    match frame_kind(X):
        case "pandas":
            return X.iloc[:0].reset_index(drop=True).copy()
        case "polars":
            return X.clear()
        case _:
            return np.empty((0, X.shape[1]), dtype=X.dtype)


def _categorical_columns(X: Any, categorical_features: Any) -> np.ndarray:
    """Return the mask of the columns that are categories, or raise ValueError."""
    n_columns = X.shape[1]
    names = list(X.columns) if frame_kind(X) else []
    if categorical_features is None:
        return np.zeros(n_columns, dtype=bool)
    if isinstance(categorical_features, str):  # "from_dtype"
        return np.array([_is_categorical(X, i) for i in range(n_columns)], dtype=bool)
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
            mask[names.index(item)] = True
        elif isinstance(item, Integral) and 0 <= int(item) < n_columns:
            mask[int(item)] = True
        else:
            raise ValueError(
                f"{rule} hold positions from 0 to {n_columns - 1}, names that are strings, or a "
                f"mask. Got {item!r}."
            )
    return mask


def _is_categorical(X: Any, column: int) -> bool:
    """Say whether the dtype of a frame's column is one of categories."""
    if frame_kind(X) is None:
        return False
    dtype = _dtype_name(X, column)
    if dtype.startswith("object"):
        # Numbers may come as objects, for the sake of a None among them.
        values = [value for value in _column(X, column).to_list() if not is_missing(value)]
        return not all(
            isinstance(value, Number) and not isinstance(value, bool | np.bool_) for value in values
        )
    return dtype.startswith(CATEGORICAL_DTYPES)


def has_objects(X: Any) -> bool:
    """Say whether a table has columns of objects, which only a look at each value can judge."""
    return any(_dtype_name(X, i).startswith("object") for i in range(X.shape[1]))


def _dtype_name(X: Any, column: int) -> str:
    return str(_column(X, column).dtype).lower().removeprefix("sparse[")


def _as_series(values: np.ndarray, dtype: Any) -> Any:
    """Return a column of a frame of pandas, whose options decide what dtype it infers."""
    import pandas

    return pandas.Series(values, dtype=values.dtype).astype(dtype)


def _column(X: Any, i: int) -> Any:
    match frame_kind(X):
        case "pandas":
            return X.iloc[:, i]
        case "polars":
            return X.to_series(i)
        case _:
            return X[:, i]
