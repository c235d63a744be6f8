"""Columns of a table, with categories and holes, from frames and arrays to numbers and back."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.preprocessing import OrdinalEncoder

from sgan_sklearn._validation import is_missing

__all__ = ["TableColumns", "frame_kind"]

# Categories of a column that are told apart; the rarest of more than that share one code.
MAX_LEVELS = 100

# Beginnings of the dtypes, of pandas and polars, whose columns are categories.
CATEGORICAL_DTYPES = ("category", "object", "str", "bool", "categorical", "enum", "utf8")
NUMERIC_DTYPES = ("int", "uint", "float", "double", "decimal")


def frame_kind(X: Any) -> str | None:
    """Return "pandas" or "polars" for a data frame, otherwise None."""
    module = type(X).__module__.split(".")[0]
    is_frame = type(X).__name__ == "DataFrame" and module in ("pandas", "polars")
    return module if is_frame else None


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
    n_levels : list of int
        Number of levels of each column; 0 for numbers.
    """

    def __init__(self, X: Any, categorical_features: Any) -> None:
        self.frame = frame_kind(X)
        self.template: Any = X[:0] if self.frame else None
        self.encoders: dict[int, OrdinalEncoder] = {}
        self.rare: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        categorical = _categorical_columns(X, categorical_features)
        for i in np.flatnonzero(categorical).tolist():
            values, known = _values(X, i)
            self.encoders[i] = self._fitted(values[known], i)
            if len(self.encoders[i].categories_[0]) > MAX_LEVELS:
                codes = self.encoders[i].transform(values[known, np.newaxis])[:, 0]
                self.rare[i] = np.unique(values[known][codes == codes.max()], return_counts=True)
        # Columns of a frame that hold whole numbers, of whatever dtype.
        self.whole = [
            self.frame is not None and i not in self.encoders and self._is_whole(X, i)
            for i in range(len(categorical))
        ]
        self.n_levels = [
            min(len(self.encoders[i].categories_[0]), MAX_LEVELS) if i in self.encoders else 0
            for i in range(len(categorical))
        ]

    def _fitted(self, values: np.ndarray, column: int) -> OrdinalEncoder:
        encoder = OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MAX_LEVELS
        )
        if len(values) == 0:
            values = np.array([""], dtype=object)  # a column of holes: one level that never comes
        try:
            return encoder.fit(values[:, np.newaxis])
        except TypeError as error:
            raise ValueError(
                f"The categories of column {self._name(column)} mix types that have no common "
                "order. Make them all strings or all numbers."
            ) from error

    def to_numbers(self, X: Any) -> np.ndarray:
        """Return codes of categories and numbers as they are, float64; NaN where missing.

        A category that the training rows did not have is missing too.
        """
        numbers = np.full((len(X), len(self.n_levels)), np.nan)
        for i in range(len(self.n_levels)):
            if i not in self.encoders:
                numbers[:, i] = self._as_numbers(X, i)
                continue
            values, known = _values(X, i)
            if known.any():
                numbers[known, i] = self.encoders[i].transform(values[known, np.newaxis])[:, 0]
        return numbers

    def _as_numbers(self, X: Any, column: int) -> np.ndarray:
        values = _column(X, column)
        try:
            if frame_kind(X) == "pandas":
                return values.to_numpy(dtype=np.float64, na_value=np.nan)
            return np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"Column {self._name(column)} must hold numbers, or be named among the "
                f"categorical_features. {error}"
            ) from error

    def _is_whole(self, X: Any, column: int) -> bool:
        values = self._as_numbers(X, column)
        return bool((np.rint(values) == values)[~np.isnan(values)].all())

    def to_given_form(self, numbers: np.ndarray, rng: np.random.RandomState) -> Any:
        """Return rows of numbers in the form of X: a frame of its dtypes, or an array."""
        columns = [self._decoded(numbers[:, i], i, rng) for i in range(len(self.n_levels))]
        if self.frame is None:
            return np.array(columns, dtype=object).T if self.encoders else numbers
        if self.frame == "polars":
            import polars

            return polars.DataFrame(
                {
                    name: polars.Series(values.tolist(), dtype=dtype, strict=False)
                    for (name, dtype), values in zip(
                        self.template.schema.items(), columns, strict=True
                    )
                }
            )
        import pandas

        dtypes = self.template.dtypes
        series = [pandas.Series(v).astype(dtypes.iloc[i]) for i, v in enumerate(columns)]
        frame = pandas.concat(series, axis=1)
        frame.columns = self.template.columns
        return frame

    def _decoded(self, numbers: np.ndarray, column: int, rng: np.random.RandomState) -> np.ndarray:
        if column not in self.encoders:
            return np.rint(numbers) if self.whole[column] else numbers
        known = ~np.isnan(numbers)
        codes = numbers[known].astype(int)
        levels = self.encoders[column].categories_[0]
        values = np.full(len(numbers), None, dtype=object)
        if column in self.rare:
            names, counts = self.rare[column]
            frequent = levels[~np.isin(levels, names)]
            is_rare = codes == MAX_LEVELS - 1
            drawn = rng.choice(names, len(codes), p=counts / counts.sum())
            values[known] = np.where(is_rare, drawn, frequent[np.where(is_rare, 0, codes)])
        else:
            values[known] = levels[codes]
        return values

    def _name(self, column: int) -> str:
        return repr(self.template.columns[column]) if self.frame else str(column)


def _categorical_columns(X: Any, categorical_features: Any) -> np.ndarray:
    """Return the mask of the columns that are categories, or raise ValueError."""
    n_columns = X.shape[1]
    names = list(X.columns) if frame_kind(X) else []
    if categorical_features is None:
        return np.zeros(n_columns, dtype=bool)
    if isinstance(categorical_features, str):  # "from_dtype"
        return np.array([_is_categorical(X, i) for i in range(n_columns)], dtype=bool)
    chosen = np.asarray(categorical_features)
    rule = "The 'categorical_features' parameter of SGANClassifier must"
    if chosen.dtype.kind == "b":
        if chosen.shape != (n_columns,):
            raise ValueError(
                f"{rule} have one value for each column if it is a mask. Got {chosen.size} for "
                f"{n_columns} columns."
            )
        return chosen
    mask = np.zeros(n_columns, dtype=bool)
    for item in chosen.tolist():
        if isinstance(item, str):
            if item not in names:
                raise ValueError(
                    f"{rule} name columns of X. Got {item!r}, "
                    + (f"which are {names}." if names else "but X has no column names.")
                )
            mask[names.index(item)] = True
        elif isinstance(item, Integral) and 0 <= int(item) < n_columns:
            mask[int(item)] = True
        else:
            raise ValueError(
                f"{rule} hold indices from 0 to {n_columns - 1}, names, or a mask. Got {item!r}."
            )
    return mask


def _is_categorical(X: Any, column: int) -> bool:
    """Say whether the dtype of a frame's column is one of categories."""
    if frame_kind(X) is None:
        return False
    dtype = str(_column(X, column).dtype).lower().removeprefix("sparse[")
    if dtype.startswith("object"):
        # Numbers may come as objects, for the sake of a None among them.
        values, known = _values(X, column)
        return not all(isinstance(value, Real) for value in values[known].tolist())
    if not dtype.startswith(CATEGORICAL_DTYPES + NUMERIC_DTYPES):
        raise ValueError(
            f"Column {X.columns[column]!r} has the dtype {dtype}, which is neither numbers nor "
            "categories. Turn it into numbers, such as days since a date, or drop it."
        )
    return dtype.startswith(CATEGORICAL_DTYPES)


def _column(X: Any, i: int) -> Any:
    match frame_kind(X):
        case "pandas":
            return X.iloc[:, i]
        case "polars":
            return X.to_series(int(i))
        case _:
            return X[:, i]


def _values(X: Any, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's values as objects, and the mask of those that are not missing."""
    listed = list(_column(X, i).to_list() if frame_kind(X) else _column(X, i).tolist())
    values = np.empty(len(listed), dtype=object)
    values[:] = listed
    return values, ~np.array([is_missing(value) for value in listed], dtype=bool)
