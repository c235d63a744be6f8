"""Scaling of columns or pixels to the model space and back, with scikit-learn's transformers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

from sgan_sklearn._data.columns import MAX_LEVELS
from sgan_sklearn._data.integers import difference, representable
from sgan_sklearn._runtime.loops import chunks

__all__ = ["LIMIT", "MANY_COLUMNS", "SCALINGS", "FeatureScaler", "TableScaler", "operations"]

SCALINGS = ("asinh", "auto", "image", "none", "shared", "standard")

# Columns share one scale if more than three quarters of them span at least this fraction of the
# overall range. The other columns may be pixels near the border.
SHARED_RANGE = 0.5
SHARED_QUANTILE = 0.25

# From this number of columns on, they may be the coordinates of embeddings, or components of a
# decomposition. Embeddings have rows of about equal length: nine tenths of them differ by less than
# this fraction, and less than this fraction of the length is common to all. Components are
# uncorrelated, and ordered by their variance, up to these limits for the correlations.
MANY_COLUMNS = 100
EQUAL_LENGTH = 0.05
COMMON_LENGTH = 0.95
UNCORRELATED = 0.1
ORDERED = 0.9
MAX_COMPARED_ROWS = 2_000

# A column is heavy-tailed if a value is further from the mean than this many standard deviations.
# That is rare in a million normal samples.
HEAVY_TAIL = 6.0

# Scaled values are clipped to this magnitude, since larger ones could overflow in the networks.
LIMIT = 1e3

# An offset is subtracted from columns whose range is smaller than this fraction of their
# magnitude: the resolution of float32.
NARROW = 1e-7

# Maximum number of repeated values stored for a column, and the rounding error of float32 within
# which generated values are set to them, relative to their magnitude.
MAX_REPEATED = 1_000
ROUNDING = 1e-5

# The magnitude of a value is limited to this multiple of the range of its column.
MAX_SPREADS = 100

# The squares of values up to this, summed over many rows, do not overflow float32.
LARGEST_IN_FLOAT32 = 1e12

# Number of images that are scaled at a time, to limit the memory for temporary copies.
IMAGE_BATCH_SIZE = 1024


class FeatureScaler(TransformerMixin, BaseEstimator):
    """Scale the columns for the networks, and invert the scaling for generated rows.

    Parameters
    ----------
    scaling : {"auto", "shared", "standard", "asinh", "image", "none"} or transformer, \
default="auto"
        As in `SGANClassifier`, except that "auto" never chooses "image".

    Attributes
    ----------
    groups_ : list of (kind, columns, transformer)
        The fitted transformers with the columns that they transform.
    bounds_ : ndarray of shape (2, n_features)
        Smallest and largest value of each column in the model space; float32.
    range_ : ndarray of shape (2, n_features)
        Smallest and largest value of each column of `X`, or of all pixels for "image", in the
        dtype of `X`.
    offset_ : ndarray of shape (n_features,)
        Value that is subtracted first, in the dtype of `X`: the smallest value of a column whose
        range is too small for float32 to distinguish its values, otherwise 0.
    dtype_ : dtype
        Dtype of `X`, which `inverse_transform` returns.
    float_ : dtype
        Dtype in which the numbers are scaled: float32 or float64.
    """

    def __init__(self, scaling: Any = "auto") -> None:
        self.scaling = scaling

    def fit(self, X: np.ndarray, y: Any = None) -> FeatureScaler:
        """Fit on labeled and unlabeled rows."""
        self.dtype_ = X.dtype
        if self._is_image():
            X = _pixel_range(X)  # the scaling depends on the range alone
        self.range_ = np.stack([X.min(axis=0), X.max(axis=0)])
        floats = X.astype(_float_for(X), copy=False)
        groups = _group_columns(floats, self.range_, self.scaling)
        self.offset_ = _offsets(self.range_, groups)
        X = self._without_offset(X) if self.offset_.any() else floats
        self.float_ = _float_for(X)
        self.groups_ = []
        for kind, columns in groups:
            transformer = _make_transformer(kind, self.scaling)
            transformer.fit(_reshaped_for(kind, X[:, columns]))
            self.groups_.append((kind, columns, transformer))
        scaled = self._scaled(X)
        self.bounds_ = np.stack([scaled.min(axis=0), scaled.max(axis=0)])
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rows in the model space, float32, clipped to ``LIMIT``."""
        return self._scaled(self._without_offset(X))

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        scaled = np.empty(X.shape, dtype=np.float32)
        for rows in chunks(len(X), IMAGE_BATCH_SIZE if self._is_image() else len(X)):
            self._transform_into(scaled[rows], X[rows])
        return scaled

    def _transform_into(self, scaled: np.ndarray, X: np.ndarray) -> None:
        X = X.astype(np.result_type(X.dtype, self.float_), copy=False)
        X = np.clip(X, *self.reach()).astype(X.dtype, copy=False)
        for kind, columns, transformer in self.groups_:
            part = X[:, columns]
            if kind == "custom":
                part = _transformed(part, transformer)
            else:
                # The checks of scikit-learn's transformers take longer than the arithmetic.
                for operation, *values in operations(transformer, X.dtype):
                    operation(part, *values, out=part, casting="same_kind")
            scaled[:, columns] = np.clip(part, -LIMIT, LIMIT)

    def _without_offset(self, X: np.ndarray) -> np.ndarray:
        """Return rows minus the offsets as floats; unchanged if there are no offsets."""
        if not self.offset_.any():
            return X
        if X.dtype.kind == "f" or self.offset_.dtype.kind == "f":
            exact = np.result_type(X.dtype, np.float64)
            return np.asarray(X.astype(exact) - self.offset_.astype(exact))
        wide = X if X.dtype == np.uint64 else X.astype(np.int64)
        return difference(wide, self.offset_)

    def _range_without_offset(self) -> np.ndarray:
        return self._without_offset(self.range_).astype(np.float64)

    @property
    def needs_all_rows(self) -> bool:
        """Whether `fit` needs all rows instead of a sample, to find the range of the pixels."""
        return self._is_image()

    def byte_values(self) -> np.ndarray | None:
        """Return the value of each byte in the model space, or None if columns differ."""
        if not self._is_image():
            return None
        all_bytes = np.arange(256, dtype=np.uint8)[:, np.newaxis]
        return self.transform(all_bytes.repeat(len(self.range_[0]), axis=1))[:, 0].copy()

    def _is_image(self) -> bool:
        return isinstance(self.scaling, str) and self.scaling == "image"

    def reach(self) -> np.ndarray:
        """Return the range, (2, n_features), to which values minus the offsets are clipped.

        Values outside of it could overflow.
        """
        low, high = self._range_without_offset()
        with np.errstate(over="ignore"):
            margin = LIMIT * np.maximum(high - low, np.maximum(np.abs(low), np.abs(high)))
            return np.stack([low - margin, high + margin])

    def inverse_transform(self, scaled: np.ndarray) -> np.ndarray:
        """Return rows in the units, the range and the dtype of the training rows."""
        X = np.empty(scaled.shape, dtype=np.float64)
        for kind, columns, transformer in self.groups_:
            part = _reshaped_for(kind, scaled[:, columns].astype(np.float64))
            part = transformer.inverse_transform(part)
            X[:, columns] = np.asarray(part).reshape(len(X), len(columns))
        X = np.clip(X, *self._range_without_offset())
        X = np.rint(X) if self.dtype_.kind in "biu" else X
        X = representable(X, self.dtype_).astype(self.dtype_)
        if self.offset_.any():
            X = X + self.offset_
        # Rounding to floats can move large integers out of the range.
        return np.clip(X, *self.range_)

    def lowest_row(self) -> np.ndarray:
        """Return a row, (1, n_features), with the smallest value of each column of `X`."""
        return self.range_[:1]

    def plain_state(self) -> dict[str, Any]:
        """Return the state for `from_plain_state`."""
        names = ("scaling", "dtype_", "float_", "offset_", "range_", "bounds_", "groups_")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_plain_state(cls, state: dict[str, Any], n_features: int) -> FeatureScaler:
        """Restore the scaler from a plain state, or raise an error if it is not valid."""
        scaler = cls(_checked_scaling(state["scaling"]))
        scaler.dtype_, scaler.float_ = _checked_dtype(state["dtype_"]), state["float_"]
        if scaler.float_ not in (np.float32, np.float64, np.longdouble):
            raise ValueError(f"Columns cannot be scaled as {scaler.float_!r}.")
        scaler.offset_ = _checked_array(state["offset_"], scaler.dtype_, (n_features,))
        scaler.range_ = _checked_array(state["range_"], scaler.dtype_, (2, n_features))
        scaler.bounds_ = _checked_array(state["bounds_"], np.dtype(np.float32), (2, n_features))
        scaler.groups_ = [
            (kind, columns, _checked_transformer(kind, scaler.scaling, len(columns), transformer))
            for kind, columns, transformer in state["groups_"]
        ]
        scaled = np.concatenate([columns for _, columns, _ in scaler.groups_])
        if not np.array_equal(np.sort(scaled), np.arange(n_features)):
            raise ValueError("Each column must have exactly one transformer.")
        return scaler


class TableScaler(TransformerMixin, BaseEstimator):
    """Convert a table of numbers and category codes to inputs of the networks, and back.

    Numbers are scaled by a `FeatureScaler`. Missing numbers are replaced by the median of the
    column and indicated by a pair of columns, (1, 0) for a value and (0, 1) for a missing one.
    Categories are one-hot encoded, with an additional column if values are missing.

    Parameters
    ----------
    scaling : str or transformer, default="auto"
        As in `FeatureScaler`.
    n_levels : list of int, default=None
        Number of levels of each column, 0 for numbers; None if all columns are numbers.

    Attributes
    ----------
    scaler_ : FeatureScaler or None
        Scaler of the numeric columns; None if there are none.
    bounds_ : ndarray of shape (2, n_units)
        Smallest and largest value of each column in the model space; float32.
    numbers_, encoded_ : ndarray of int
        The numeric columns, and the columns with a one-hot block: categories, and numbers with
        missing values.
    fill_ : ndarray of shape (n_features,)
        The median of each numeric column.
    blocks_ : list of slice
        One-hot blocks of columns in the model space.
    has_missing_ : ndarray of bool
        Whether values of each column were missing.
    missing_ : list of (int, int, float)
        For each numeric column with missing values: its index in the model space, the index of
        the column that indicates missing values, and the scaled median.
    """

    def __init__(self, scaling: Any = "auto", n_levels: list[int] | None = None) -> None:
        self.scaling = scaling
        self.n_levels = n_levels

    def fit(self, X: np.ndarray, y: Any = None) -> TableScaler:
        """Fit on labeled and unlabeled rows; NaN is a missing value."""
        levels = np.zeros(X.shape[1], dtype=int)
        if self.n_levels is not None:
            levels[:] = self.n_levels
        self.numbers_ = np.flatnonzero(levels == 0)
        self.dtype_ = X.dtype
        missing = _is_missing(X)
        has_missing = np.asarray(missing.any(axis=0))
        self.empty_ = np.asarray(missing.all(axis=0))
        self.fill_ = np.zeros(X.shape[1])
        for i in self.numbers_:  # all of them, since later rows may have missing values
            known = X[~missing[:, i], i]
            self.fill_[i] = np.median(known) if len(known) else 0.0
        self.repeated_ = [_repeated(X[~missing[:, i], i]) for i in self.numbers_]
        self.scaler_ = None
        if len(self.numbers_):
            self.scaler_ = FeatureScaler(self.scaling).fit(self._numbers(X))
        self._set_layout(levels, has_missing)
        return self

    def _set_layout(self, levels: np.ndarray, has_missing: np.ndarray) -> None:
        """Assign columns of the model space to numbers, levels and missing-value indicators."""
        bounds = [np.empty((2, 0), dtype=np.float32)]
        if self.scaler_ is not None:
            bounds.append(self.scaler_.bounds_)
        self.encoded_ = np.flatnonzero((levels > 0) | has_missing)
        sizes = [levels[i] + has_missing[i] if levels[i] else 2 for i in self.encoded_]
        ends = len(self.numbers_) + np.cumsum(sizes, dtype=int)
        self.blocks_ = [
            slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)
        ]
        bounds += [np.tile(np.array([[0.0], [1.0]], dtype=np.float32), size) for size in sizes]
        self.bounds_ = np.concatenate(bounds, axis=1)
        self.levels_, self.has_missing_ = levels, has_missing
        self.missing_ = self._missing_columns()

    def _missing_columns(self) -> list[tuple[int, int, float]]:
        if self.scaler_ is None:
            return []
        filled = self.scaler_.transform(self.fill_[np.newaxis, self.numbers_])[0]
        indices = {int(column): index for index, column in enumerate(self.numbers_)}
        return [
            (indices[i], block.stop - 1, float(filled[indices[i]]))
            for i, block in zip(self.encoded_.tolist(), self.blocks_, strict=True)
            if i in indices
        ]

    def _numbers(self, X: np.ndarray) -> np.ndarray:
        """Return the numeric columns with missing values filled."""
        if len(self.numbers_) < X.shape[1]:
            X = X[:, self.numbers_]
        missing = _is_missing(X)
        return np.where(missing, self.fill_[self.numbers_], X) if missing.any() else X

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rows in the model space, float32."""
        parts = [] if self.scaler_ is None else [self.scaler_.transform(self._numbers(X))]
        if self.blocks_:
            parts.append(self._one_hot(X[:, self.encoded_]))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _one_hot(self, X: np.ndarray) -> np.ndarray:
        """Return the one-hot blocks of the encoded columns."""
        starts, stops = np.array([(block.start, block.stop) for block in self.blocks_]).T
        levels, missing = self.levels_[self.encoded_], _is_missing(X)
        codes = np.where(missing | (levels == 0), 0, X).astype(int)
        # A missing value is the last column of its block, or no column at all.
        positions = np.where(missing, stops - 1, starts + codes) - starts[0]
        rows, columns = np.nonzero(~missing | (stops - starts > levels))
        one_hot = np.zeros((len(X), stops[-1] - starts[0]), dtype=np.float32)
        one_hot[rows, positions[rows, columns]] = 1.0
        return one_hot

    @property
    def needs_all_rows(self) -> bool:
        """Whether `fit` needs all rows instead of a sample."""
        return False

    def byte_values(self) -> None:
        """Return None, since the columns of a table have different scales."""
        return None

    def inverse_transform(self, rows: np.ndarray) -> np.ndarray:
        """Return numbers and codes, NaN for missing values, in the dtype of the training rows."""
        X = np.empty((len(rows), len(self.levels_)))
        if self.scaler_ is not None:
            numbers = self.scaler_.inverse_transform(rows[:, : len(self.numbers_)])
            low, high = self.scaler_.range_.astype(np.float64)
            for j, (values, size) in enumerate(self.repeated_):
                numbers[:, j] = _snap(numbers[:, j], values, size, high[j] - low[j])
            if not self.blocks_:
                return numbers
            X[:, self.numbers_] = numbers
        for i, block in zip(self.encoded_, self.blocks_, strict=True):
            chosen = rows[:, block].argmax(axis=1)
            if self.levels_[i]:
                X[:, i] = np.where(chosen < self.levels_[i], chosen, np.nan)
            else:
                X[chosen == 1, i] = np.nan
        X[:, self.empty_] = np.nan
        return X.astype(self.dtype_) if self.dtype_.kind == "f" else X

    def lowest_row(self) -> np.ndarray:
        """Return a row, (1, n_features), with the smallest value or the first code per column."""
        row = np.zeros((1, len(self.levels_)))
        if self.scaler_ is not None:
            row[:, self.numbers_] = self.scaler_.lowest_row()
        row[:, self.empty_] = np.nan
        return row.astype(self.dtype_) if self.dtype_.kind == "f" else row

    def plain_state(self) -> dict[str, Any]:
        """Return the state for `from_plain_state`, from which all other attributes follow."""
        return {
            "scaling": self.scaling,
            "levels": self.levels_,
            "has_missing": self.has_missing_,
            "scaler": None if self.scaler_ is None else self.scaler_.plain_state(),
            **{name: getattr(self, name) for name in ("dtype_", "empty_", "fill_", "repeated_")},
        }

    @classmethod
    def from_plain_state(cls, state: dict[str, Any], n_features: int) -> TableScaler:
        """Restore the scaler from a plain state, or raise an error if it is not valid."""
        levels = _checked_array(state["levels"], np.dtype(int), (n_features,))
        if (levels < 0).any() or (levels > MAX_LEVELS + 1).any():
            raise ValueError(f"A column must have from 0 to {MAX_LEVELS + 1} levels.")
        scaler = cls(_checked_scaling(state["scaling"]), levels.tolist())
        scaler.numbers_ = np.flatnonzero(levels == 0)
        scaler.dtype_ = _checked_dtype(state["dtype_"])
        scaler.empty_ = _checked_array(state["empty_"], np.dtype(bool), (n_features,))
        scaler.fill_ = _checked_array(state["fill_"], np.dtype(float), (n_features,))
        scaler.repeated_ = [_checked_repeated(*pair) for pair in state["repeated_"]]
        n_numbers = len(scaler.numbers_)
        if len(scaler.repeated_) != n_numbers or (state["scaler"] is None) != (n_numbers == 0):
            raise ValueError(f"There must be {n_numbers} numeric columns.")
        scaler.scaler_ = None
        if n_numbers:
            scaler.scaler_ = FeatureScaler.from_plain_state(state["scaler"], n_numbers)
        has_missing = _checked_array(state["has_missing"], np.dtype(bool), (n_features,))
        scaler._set_layout(levels, has_missing)
        return scaler


def _checked_array(array: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    # NumPy returns most results in the native byte order.
    matches = (
        isinstance(array, np.ndarray)
        and array.dtype.newbyteorder("=") == dtype.newbyteorder("=")
        and array.shape == shape
    )
    if not matches or not np.isfinite(array).all():
        raise ValueError(
            f"A fitted attribute of the scaler must be finite, of dtype {dtype} and shape {shape}."
        )
    return array


def _checked_dtype(dtype: Any) -> np.dtype:
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufO":
        raise ValueError(f"Rows cannot have the dtype {dtype!r}.")
    return dtype


def _checked_scaling(scaling: Any) -> Any:
    if not (scaling in SCALINGS if isinstance(scaling, str) else hasattr(scaling, "transform")):
        raise ValueError("Unknown scaling.")
    return scaling


def _checked_repeated(values: Any, size: Any) -> tuple[np.ndarray, float]:
    is_vector = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf"
    if not is_vector or not isinstance(size, float) or (values[1:] <= values[:-1]).any():
        raise ValueError("The repeated values of a column must be sorted numbers.")
    return values, size


def _checked_transformer(kind: Any, scaling: Any, n_columns: int, transformer: Any) -> Any:
    """Return a fitted transformer, or raise ValueError if `fit` would use another class."""
    if kind not in (*SCALINGS, "custom") or kind == "auto":
        raise ValueError(f"Unknown scaling {kind!r}.")
    new = _make_transformer(kind, scaling)
    for expected, given in zip(_steps(new), _steps(transformer), strict=True):
        if type(expected) is not type(given):
            raise ValueError(f"Columns are scaled by {new!r}, not by a {type(given).__name__}.")
    if kind != "custom":
        list(operations(transformer, np.dtype(np.float64)))  # whether its parameters are known
    n_expected = 1 if kind in ("shared", "image") else n_columns
    if getattr(transformer, "n_features_in_", n_expected) != n_expected:
        raise ValueError(f"The scaler must have been fitted on {n_expected} columns.")
    return transformer


def _steps(transformer: Any) -> list[Any]:
    steps = transformer.steps if isinstance(transformer, Pipeline) else []
    return [transformer, *(step for _, step in steps)]


def _repeated(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the sorted values that occur more than once, and the mean magnitude of all values.

    At most the ``MAX_REPEATED`` most frequent values are returned.
    """
    distinct, counts = np.unique(values, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[: (counts > 1).sum()][:MAX_REPEATED]
    size = np.abs(values, dtype=np.float64).mean() if len(values) else 0.0
    return np.sort(distinct[frequent]), float(size)


def _snap(numbers: np.ndarray, values: np.ndarray, size: float, spread: float) -> np.ndarray:
    """Set numbers that differ from one of the values only by rounding to that value.

    `size` is the mean magnitude of the values, `spread` their range.
    """
    if len(values) == 0 or numbers.dtype.kind != "f":
        return numbers
    after = np.searchsorted(values, numbers).clip(1, max(len(values) - 1, 1))
    low, high = values[after - 1], values[np.minimum(after, len(values) - 1)]
    nearest = np.where(np.abs(numbers - low) <= np.abs(high - numbers), low, high)
    size = np.minimum(np.maximum(np.abs(nearest), size), MAX_SPREADS * spread)
    return np.where(np.abs(numbers - nearest) <= ROUNDING * size, nearest, numbers)


def _is_missing(X: np.ndarray) -> np.ndarray:
    return np.asarray(X != X)  # NaN differs from itself


def _float_for(X: np.ndarray) -> np.dtype:
    """Return float32 if it can hold the squares of the values of `X`, else float64."""
    dtype = np.result_type(X.dtype, np.float32)
    if dtype == np.float32 and max(abs(float(X.min())), abs(float(X.max()))) > LARGEST_IN_FLOAT32:
        return np.dtype(np.float64)
    return dtype


def _offsets(value_range: np.ndarray, groups: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Return the offsets of columns whose values differ only in their last digits."""
    offset = np.zeros_like(value_range[0])
    for kind, columns in groups:
        low, high = value_range[:, columns]
        if kind in ("shared", "image"):
            low, high = low.min(keepdims=True), high.max(keepdims=True)
        if kind != "custom":
            offset[columns] = np.where(_is_narrow(low, high), low, np.zeros_like(low))
    return offset


def _is_narrow(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    if low.dtype.kind == "f":
        with np.errstate(over="ignore"):
            spread = high.astype(np.float64) - low.astype(np.float64)
    else:
        low, high = (v if v.dtype == np.uint64 else v.astype(np.int64) for v in (low, high))
        spread = difference(high, low)
    size = np.maximum(np.abs(low.astype(np.float64)), np.abs(high.astype(np.float64)))
    return np.asarray((spread > 0) & (spread < NARROW * size))


def _pixel_range(X: np.ndarray) -> np.ndarray:
    """Return two rows in the form of `X` with the smallest and the largest pixel value."""
    low, high = X.min(), X.max()
    # Bytes are usually gray levels from 0 to 255, but may also be 0 and 1.
    if X.dtype == np.uint8 and 2 * (int(high) - int(low)) >= 255:
        low, high = 0, 255
    return np.full((X.shape[1], 2), [low, high], dtype=X.dtype).T


def _reshaped_for(kind: str, X: np.ndarray) -> np.ndarray:
    """Return a group of columns as the input of its transformer: one column if it has one scale."""
    return X.reshape(-1, 1) if kind in ("shared", "image") else X


def _transformed(X: np.ndarray, transformer: Any) -> np.ndarray:
    """Apply a user's transformer, or raise ValueError if it changes the number of columns."""
    result = transformer.transform(X)
    result = result.toarray() if sparse.issparse(result) else np.asarray(result)
    if result.size != X.size:
        raise ValueError(
            "The 'scaling' parameter of SGANClassifier must be a transformer that keeps the number "
            f"of columns. Got {transformer!r}, which transforms {X.shape[1]} columns to "
            f"{result.shape[-1]}. Put it before the classifier, in a Pipeline."
        )
    return result.reshape(len(X), -1)


def operations(transformer: Any, dtype: np.dtype) -> Iterator[tuple[Any, ...]]:
    """Yield NumPy functions with their second arguments that do the same as a transformer.

    Parameters
    ----------
    transformer : transformer
        A fitted transformer of scikit-learn.
    dtype : dtype
        Dtype of the rows: float32 or float64.

    Raises
    ------
    ValueError
        If it is another transformer than those of `SCALINGS`.
    """
    match transformer:
        case Pipeline():
            for _, step in transformer.steps:
                yield from operations(step, dtype)
        case StandardScaler(with_mean=True, with_std=True):
            yield np.subtract, transformer.mean_.astype(dtype)
            yield np.divide, transformer.scale_.astype(dtype)
        case RobustScaler(with_centering=True, with_scaling=True):
            yield np.subtract, transformer.center_
            yield np.divide, transformer.scale_
        case MinMaxScaler(clip=False):
            yield np.multiply, transformer.scale_
            yield np.add, transformer.min_
        case FunctionTransformer() if transformer.func is np.arcsinh:
            yield (np.arcsinh,)
        case FunctionTransformer(func=None):
            pass
        case _:
            raise ValueError(f"cannot express the scaling {transformer!r}")


def _make_transformer(kind: str, scaling: Any) -> Any:
    match kind:
        case "shared" | "standard":
            return StandardScaler()
        case "image":
            return MinMaxScaler(feature_range=(-1, 1))
        case "asinh":
            # Linear near zero, logarithmic in the tails, and defined for all numbers.
            return make_pipeline(
                StandardScaler(),
                RobustScaler(),
                FunctionTransformer(np.arcsinh, np.sinh, check_inverse=False),
                StandardScaler(),
            )
        case "none":
            return FunctionTransformer()
        case _ if isinstance(scaling, type):
            raise ValueError(
                "The 'scaling' parameter of SGANClassifier must be an instance of a transformer. "
                f"Got the class {scaling.__name__}: write {scaling.__name__}()."
            )
        case _:
            return clone(scaling)


def _group_columns(
    X: np.ndarray, value_range: np.ndarray, scaling: Any
) -> list[tuple[str, np.ndarray]]:
    """Return the scaling of each group of columns; see ``SGANClassifier(scaling="auto")``."""
    columns = np.arange(X.shape[1])
    if not isinstance(scaling, str):
        return [("custom", columns)]
    if scaling != "auto":
        return [(scaling, columns)]
    varying = value_range[1] > value_range[0]
    low, high = value_range.astype(np.float64)
    if varying.any():
        total = high[varying].max() - low[varying].min()
        typical = np.quantile((high - low)[varying], SHARED_QUANTILE, method="lower")
        if typical >= SHARED_RANGE * total:
            groups = [("shared", columns[varying]), ("standard", columns[~varying])]
            return [(kind, group) for kind, group in groups if len(group)]
    if X.shape[1] >= MANY_COLUMNS and _keep_proportions(X):
        return [("shared", columns)]
    mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    heavy = varying & (np.maximum(high - mean, mean - low) > HEAVY_TAIL * std)
    groups = [("standard", columns[~heavy]), ("asinh", columns[heavy])]
    return [(kind, group) for kind, group in groups if len(group)]


def _keep_proportions(X: np.ndarray) -> bool:
    """Return whether rows are embeddings, or components of a principal component analysis.

    The scale of their columns has a meaning: components of little variance are mostly noise.
    """
    n_rows = min(len(X), MAX_COMPARED_ROWS)
    rows = X[np.linspace(0, len(X) - 1, n_rows).astype(int)].astype(np.float64)
    rows /= np.abs(rows).max() or 1.0  # squares of large values would overflow
    short, length, long = np.quantile(np.linalg.norm(rows, axis=1), [0.1, 0.5, 0.9])
    common = np.linalg.norm(rows.mean(axis=0))
    are_equal = long - short <= EQUAL_LENGTH * length
    if length > 0 and are_equal and common <= COMMON_LENGTH * length:
        return True
    deviations = rows.std(axis=0)
    if not deviations.all():
        return False
    n_columns = len(deviations)
    ranks = np.argsort(np.argsort(-deviations))
    if np.corrcoef(np.arange(n_columns), ranks)[0, 1] < ORDERED:
        return False
    scaled = (rows - rows.mean(axis=0)) / deviations
    # The squares of all correlations have the same sum as those of this smaller matrix.
    products = scaled @ scaled.T if n_rows < n_columns else scaled.T @ scaled
    squares = np.square(products / n_rows).sum() - n_columns
    by_chance = 1 / n_rows
    return bool(squares <= (UNCORRELATED**2 + by_chance) * n_columns * (n_columns - 1))
