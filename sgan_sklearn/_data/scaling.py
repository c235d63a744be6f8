"""Columns or pixels to the model space and back, with scikit-learn's own transformers."""

from __future__ import annotations

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
from sklearn.utils import gen_batches

from sgan_sklearn._data.columns import MAX_LEVELS
from sgan_sklearn._data.integers import difference, representable

__all__ = ["SCALINGS", "FeatureScaler", "TableScaler"]

SCALINGS = ("asinh", "auto", "image", "none", "shared", "standard")

# Columns are on one scale if more than three quarters of them span this part of the range of
# them all. The rest may be pixels near the edge.
SHARED_RANGE = 0.5
SHARED_QUANTILE = 0.25

# A column is heavy-tailed if a value lies further from the mean than this many standard
# deviations. A normal sample of a million rows hardly ever has one.
HEAVY_TAIL = 6.0

# Scaled values beyond this say no more than "far away", and would overflow in the networks.
LIMIT = 1e3

# The values of a column are differences if they span less than this part of their size: the
# resolution of float32.
NARROW = 1e-7

# Values of a column that are known to come again, at most, and how far float32 may miss them: this
# part of their size.
MAX_REPEATED = 1_000
ROUNDING = 1e-5

# The size of a value counts as no more than so many times the range of its column.
MOST_SPREADS = 100

# Values whose squares, summed up over many rows, are numbers of float32 as well.
LARGEST_IN_FLOAT32 = 1e12

# Images that are scaled at a time: temporary copies of a large stack would double it.
IMAGES_AT_A_TIME = 1024


class FeatureScaler(TransformerMixin, BaseEstimator):
    """Scale the columns for the networks, and undo it for generated rows.

    Parameters
    ----------
    scaling : {"auto", "shared", "standard", "asinh", "image", "none"} or transformer, \
default="auto"
        As in `SGANClassifier`, but that "auto" never is "image".

    Attributes
    ----------
    groups_ : list of (kind, columns, transformer)
        The columns that each fitted transformer takes.
    bounds_ : ndarray of shape (2, n_features)
        Smallest and largest value of each column in the model space; float32.
    range_ : ndarray of shape (2, n_features)
        Smallest and largest value of each column of `X`, in its dtype; of all pixels for "image".
    offset_ : ndarray of shape (n_features,)
        What is subtracted before all else, in the dtype of `X`: the smallest value where a column
        varies so little for its size that float32 could not tell its values apart; otherwise 0.
    dtype_ : dtype
        Type of `X`, which `inverse_transform` gives back.
    float_ : dtype
        Type of the numbers that are scaled: float32 or float64.
    """

    def __init__(self, scaling: Any = "auto") -> None:
        self.scaling = scaling

    def fit(self, X: np.ndarray, y: Any = None) -> FeatureScaler:
        """Fit on rows, unlabeled ones included."""
        self.dtype_ = X.dtype
        if self._is_image():
            X = _pixel_range(X)  # two rows that say all there is to know
        self.range_ = np.stack([X.min(axis=0), X.max(axis=0)])
        floats = X.astype(_float_for(X), copy=False)
        groups = _group_columns(floats, self.range_, self.scaling)
        self.offset_ = _offsets(self.range_, groups)
        X = self._without_offset(X) if self.offset_.any() else floats
        self.float_ = _float_for(X)
        self.groups_ = []
        for kind, columns in groups:
            transformer = _make_transformer(kind, self.scaling)
            transformer.fit(_as_seen_by(kind, X[:, columns]))
            self.groups_.append((kind, columns, transformer))
        scaled = self._scaled(X)
        self.bounds_ = np.stack([scaled.min(axis=0), scaled.max(axis=0)])
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rows in the model space; float32, every value within ``LIMIT``."""
        return self._scaled(self._without_offset(X))

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        scaled = np.empty(X.shape, dtype=np.float32)
        for rows in gen_batches(len(X), IMAGES_AT_A_TIME if self._is_image() else len(X)):
            self._transform_into(scaled[rows], X[rows])
        return scaled

    def _transform_into(self, scaled: np.ndarray, X: np.ndarray) -> None:
        X = X.astype(np.result_type(X.dtype, self.float_), copy=False)
        X = np.clip(X, *self.reach()).astype(X.dtype, copy=False)
        for kind, columns, transformer in self.groups_:
            part = transformer.transform(_as_seen_by(kind, X[:, columns]))
            part = part.toarray() if sparse.issparse(part) else np.asarray(part)
            if part.size != len(X) * len(columns):
                raise ValueError(
                    "The 'scaling' parameter of SGANClassifier must be a transformer that keeps "
                    f"the number of columns. Got {transformer!r}, which turns {len(columns)} "
                    f"columns into {part.shape[-1]}. Put it before the classifier, in a Pipeline."
                )
            scaled[:, columns] = np.clip(part.reshape(len(X), -1), -LIMIT, LIMIT)

    def _without_offset(self, X: np.ndarray) -> np.ndarray:
        """Return rows minus the offsets as floats; as they are where there are none."""
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
        """Whether a sample of the rows will not do for `fit`: it takes the range of pixels."""
        return self._is_image()

    def byte_values(self) -> np.ndarray | None:
        """Return what each byte is in the model space, if that is the same in all columns."""
        if not self._is_image():
            return None
        every_byte = np.arange(256, dtype=np.uint8)[:, np.newaxis]
        return self.transform(every_byte.repeat(len(self.range_[0]), axis=1))[:, 0].copy()

    def _is_image(self) -> bool:
        return isinstance(self.scaling, str) and self.scaling == "image"

    def reach(self) -> np.ndarray:
        """Return the range, (2, n_features), that values minus the offsets are clipped to.

        Values further away would overflow.
        """
        low, high = self._range_without_offset()
        with np.errstate(over="ignore"):
            margin = LIMIT * np.maximum(high - low, np.maximum(np.abs(low), np.abs(high)))
            return np.stack([low - margin, high + margin])

    def inverse_transform(self, scaled: np.ndarray) -> np.ndarray:
        """Return rows in the units, the range and the dtype of the training rows."""
        X = np.empty(scaled.shape, dtype=np.float64)
        for kind, columns, transformer in self.groups_:
            part = _as_seen_by(kind, scaled[:, columns].astype(np.float64))
            part = transformer.inverse_transform(part)
            X[:, columns] = np.asarray(part).reshape(len(X), len(columns))
        X = np.clip(X, *self._range_without_offset())
        X = np.rint(X) if self.dtype_.kind in "biu" else X
        X = representable(X, self.dtype_).astype(self.dtype_)
        if self.offset_.any():
            X = X + self.offset_
        # Large integers have left the range by their rounding as floats.
        return np.clip(X, *self.range_)

    def lowest_row(self) -> np.ndarray:
        """Return a row, (1, n_features), of the smallest value of each column, as in `X`."""
        return self.range_[:1]

    def plain_state(self) -> dict[str, Any]:
        """Return what `from_plain_state` needs."""
        names = ("scaling", "dtype_", "float_", "offset_", "range_", "bounds_", "groups_")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_plain_state(cls, state: dict[str, Any], n_features: int) -> FeatureScaler:
        """Return the scaler of a plain state, or raise an error if there can be none."""
        scaler = cls(_checked_scaling(state["scaling"]))
        scaler.dtype_, scaler.float_ = _checked_dtype(state["dtype_"]), state["float_"]
        if scaler.float_ not in (np.float32, np.float64, np.longdouble):
            raise ValueError(f"Columns are not scaled as {scaler.float_!r}.")
        scaler.offset_ = _checked_array(state["offset_"], scaler.dtype_, (n_features,))
        scaler.range_ = _checked_array(state["range_"], scaler.dtype_, (2, n_features))
        scaler.bounds_ = _checked_array(state["bounds_"], np.dtype(np.float32), (2, n_features))
        scaler.groups_ = [
            (kind, columns, _checked_transformer(kind, scaler.scaling, len(columns), transformer))
            for kind, columns, transformer in state["groups_"]
        ]
        scaled = np.concatenate([columns for _, columns, _ in scaler.groups_])
        if not np.array_equal(np.sort(scaled), np.arange(n_features)):
            raise ValueError("Each column has one transformer.")
        return scaler


class TableScaler(TransformerMixin, BaseEstimator):
    """Bring a table of numbers and codes to the networks, and back.

    Numbers are scaled by a `FeatureScaler`, holes among them filled by the column's median and
    marked by a pair of columns, (1, 0) for a value and (0, 1) for a hole. Categories become a
    column for each level, and one more for the holes, of zeros and a one.

    Parameters
    ----------
    scaling : str or transformer, default="auto"
        As in `FeatureScaler`.
    n_levels : list of int, default=None
        Number of levels of each column, 0 for numbers; None if all columns are numbers.

    Attributes
    ----------
    scaler_ : FeatureScaler or None
        That of the numbers; None if there are none.
    bounds_ : ndarray of shape (2, n_units)
        Smallest and largest value of each column in the model space; float32.
    numbers_, marked_ : ndarray of int
        The columns of numbers, and those that have a block: categories, and numbers with holes.
    fill_ : ndarray of shape (n_features,)
        The median of each column of numbers.
    blocks_ : list of slice
        Columns of the model space of which exactly one is one.
    holes_ : list of (int, int, float)
        For each column of numbers with holes: its place in the model space, the place of the
        mark of a hole, and what fills it, scaled.
    """

    def __init__(self, scaling: Any = "auto", n_levels: list[int] | None = None) -> None:
        self.scaling = scaling
        self.n_levels = n_levels

    def fit(self, X: np.ndarray, y: Any = None) -> TableScaler:
        """Fit on rows, unlabeled ones included; NaN is a hole."""
        levels = np.zeros(X.shape[1], dtype=int)
        if self.n_levels is not None:
            levels[:] = self.n_levels
        self.numbers_ = np.flatnonzero(levels == 0)
        self.dtype_ = X.dtype
        missing = _is_hole(X)
        has_holes, self.empty_ = np.asarray(missing.any(axis=0)), np.asarray(missing.all(axis=0))
        self.fill_ = np.zeros(X.shape[1])
        for i in self.numbers_:  # all of them: holes may come later
            known = X[~missing[:, i], i]
            self.fill_[i] = np.median(known) if len(known) else 0.0
        self.repeated_ = [_repeated(X[~missing[:, i], i]) for i in self.numbers_]
        self.scaler_ = None
        if len(self.numbers_):
            self.scaler_ = FeatureScaler(self.scaling).fit(self._numbers(X))
        self._lay_out(levels, has_holes)
        return self

    def _lay_out(self, levels: np.ndarray, has_holes: np.ndarray) -> None:
        """Find the places of numbers, levels and marks of missing values in the model space."""
        bounds = [np.empty((2, 0), dtype=np.float32)]
        if self.scaler_ is not None:
            bounds.append(self.scaler_.bounds_)
        self.marked_ = np.flatnonzero((levels > 0) | has_holes)
        sizes = [levels[i] + has_holes[i] if levels[i] else 2 for i in self.marked_]
        ends = len(self.numbers_) + np.cumsum(sizes, dtype=int)
        self.blocks_ = [
            slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)
        ]
        bounds += [np.tile(np.array([[0.0], [1.0]], dtype=np.float32), size) for size in sizes]
        self.bounds_ = np.concatenate(bounds, axis=1)
        self.levels_ = levels
        self.holes_ = self._find_holes()

    def _find_holes(self) -> list[tuple[int, int, float]]:
        if self.scaler_ is None:
            return []
        filled = self.scaler_.transform(self.fill_[np.newaxis, self.numbers_])[0]
        places = {int(column): place for place, column in enumerate(self.numbers_)}
        return [
            (places[i], block.stop - 1, float(filled[places[i]]))
            for i, block in zip(self.marked_.tolist(), self.blocks_, strict=True)
            if i in places
        ]

    def _numbers(self, X: np.ndarray) -> np.ndarray:
        """Return the columns of numbers, their holes filled."""
        if len(self.numbers_) < X.shape[1]:
            X = X[:, self.numbers_]
        missing = _is_hole(X)
        return np.where(missing, self.fill_[self.numbers_], X) if missing.any() else X

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the rows in the model space, float32."""
        parts = [] if self.scaler_ is None else [self.scaler_.transform(self._numbers(X))]
        for i, block in zip(self.marked_, self.blocks_, strict=True):
            size = block.stop - block.start
            missing = _is_hole(X[:, i])
            codes = np.where(missing, 0, X[:, i] if self.levels_[i] else 0).astype(int)
            ones = np.eye(size, dtype=np.float32)[codes]
            has_mark = size > self.levels_[i]
            ones[missing] = np.eye(size, dtype=np.float32)[-1] if has_mark else 0.0
            parts.append(ones)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    @property
    def needs_all_rows(self) -> bool:
        """Whether a sample of the rows will not do for `fit`."""
        return False

    def byte_values(self) -> None:
        """Return None: the columns of a table have scales of their own."""
        return None

    def inverse_transform(self, rows: np.ndarray) -> np.ndarray:
        """Return numbers and codes, NaN for a hole, in the dtype of the training rows."""
        X = np.empty((len(rows), len(self.levels_)))
        if self.scaler_ is not None:
            numbers = self.scaler_.inverse_transform(rows[:, : len(self.numbers_)])
            low, high = self.scaler_.range_.astype(np.float64)
            for place, (values, size) in enumerate(self.repeated_):
                spread = high[place] - low[place]
                numbers[:, place] = _snapped(numbers[:, place], values, size, spread)
            if not self.blocks_:
                return numbers
            X[:, self.numbers_] = numbers
        for i, block in zip(self.marked_, self.blocks_, strict=True):
            chosen = rows[:, block].argmax(axis=1)
            if self.levels_[i]:
                X[:, i] = np.where(chosen < self.levels_[i], chosen, np.nan)
            else:
                X[chosen == 1, i] = np.nan
        X[:, self.empty_] = np.nan
        return X.astype(self.dtype_) if self.dtype_.kind == "f" else X

    def lowest_row(self) -> np.ndarray:
        """Return a row, (1, n_features), of the smallest value or the first code of a column."""
        row = np.zeros((1, len(self.levels_)))
        if self.scaler_ is not None:
            row[:, self.numbers_] = self.scaler_.lowest_row()
        row[:, self.empty_] = np.nan
        return row.astype(self.dtype_) if self.dtype_.kind == "f" else row

    def plain_state(self) -> dict[str, Any]:
        """Return what `from_plain_state` needs; the rest follows from it."""
        sizes = dict(zip(self.marked_.tolist(), self.blocks_, strict=True))
        has_holes = [
            i in sizes and sizes[i].stop - sizes[i].start > levels
            for i, levels in enumerate(self.levels_.tolist())
        ]
        return {
            "scaling": self.scaling,
            "levels": self.levels_,
            "has_holes": np.array(has_holes),
            "scaler": None if self.scaler_ is None else self.scaler_.plain_state(),
            **{name: getattr(self, name) for name in ("dtype_", "empty_", "fill_", "repeated_")},
        }

    @classmethod
    def from_plain_state(cls, state: dict[str, Any], n_features: int) -> TableScaler:
        """Return the scaler of a plain state, or raise an error if there can be none."""
        levels = _checked_array(state["levels"], np.dtype(int), (n_features,))
        if (levels < 0).any() or (levels > MAX_LEVELS + 1).any():
            raise ValueError(f"A column has from 0 to {MAX_LEVELS + 1} levels.")
        scaler = cls(_checked_scaling(state["scaling"]), levels.tolist())
        scaler.numbers_ = np.flatnonzero(levels == 0)
        scaler.dtype_ = _checked_dtype(state["dtype_"])
        scaler.empty_ = _checked_array(state["empty_"], np.dtype(bool), (n_features,))
        scaler.fill_ = _checked_array(state["fill_"], np.dtype(float), (n_features,))
        scaler.repeated_ = [_checked_repeated(*pair) for pair in state["repeated_"]]
        n_numbers = len(scaler.numbers_)
        if len(scaler.repeated_) != n_numbers or (state["scaler"] is None) != (n_numbers == 0):
            raise ValueError(f"There are {n_numbers} columns of numbers.")
        scaler.scaler_ = None
        if n_numbers:
            scaler.scaler_ = FeatureScaler.from_plain_state(state["scaler"], n_numbers)
        scaler._lay_out(levels, _checked_array(state["has_holes"], np.dtype(bool), (n_features,)))
        return scaler


def _checked_array(array: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    same = isinstance(array, np.ndarray) and array.dtype == dtype and array.shape == shape
    if not same or not np.isfinite(array).all():
        raise ValueError(f"What the scaling has learned is no finite {dtype} of shape {shape}.")
    return array


def _checked_dtype(dtype: Any) -> np.dtype:
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufO":
        raise ValueError(f"Rows are not of the dtype {dtype!r}.")
    return dtype


def _checked_scaling(scaling: Any) -> Any:
    if not (scaling in SCALINGS if isinstance(scaling, str) else hasattr(scaling, "transform")):
        raise ValueError("There is no such scaling.")
    return scaling


def _checked_repeated(values: Any, size: Any) -> tuple[np.ndarray, float]:
    known = isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf"
    if not known or not isinstance(size, float) or (values[1:] <= values[:-1]).any():
        raise ValueError("The values that a column repeats are sorted numbers.")
    return values, size


def _checked_transformer(kind: Any, scaling: Any, n_columns: int, transformer: Any) -> Any:
    """Return a fitted transformer of a group of columns, if it is of the class that `fit` takes."""
    if kind not in (*SCALINGS, "own") or kind == "auto":
        raise ValueError(f"There is no scaling {kind!r}.")
    new = _make_transformer(kind, scaling)
    for made, given in zip(_steps(new), _steps(transformer), strict=True):
        if type(made) is not type(given):
            raise ValueError(f"Columns are scaled by {new!r}, not by a {type(given).__name__}.")
    n_expected = 1 if kind in ("shared", "image") else n_columns
    if getattr(transformer, "n_features_in_", n_expected) != n_expected:
        raise ValueError(f"The scaling was not fitted on {n_expected} columns.")
    return transformer


def _steps(transformer: Any) -> list[Any]:
    own = transformer.steps if isinstance(transformer, Pipeline) else []
    return [transformer, *(step for _, step in own)]


def _repeated(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the values that come more than once, sorted, and the mean size of all.

    The most frequent ones, if they are many.
    """
    distinct, counts = np.unique(values, return_counts=True)
    often = np.argsort(-counts, kind="stable")[: (counts > 1).sum()][:MAX_REPEATED]
    size = np.abs(values, dtype=np.float64).mean() if len(values) else 0.0
    return np.sort(distinct[often]), float(size)


def _snapped(numbers: np.ndarray, values: np.ndarray, size: float, spread: float) -> np.ndarray:
    """Return numbers with those that miss one of the values by rounding alone put onto it.

    `size` is the mean size of the values, `spread` their range.
    """
    if len(values) == 0 or numbers.dtype.kind != "f":
        return numbers
    after = np.searchsorted(values, numbers).clip(1, max(len(values) - 1, 1))
    low, high = values[after - 1], values[np.minimum(after, len(values) - 1)]
    nearest = np.where(np.abs(numbers - low) <= np.abs(high - numbers), low, high)
    size = np.minimum(np.maximum(np.abs(nearest), size), MOST_SPREADS * spread)
    return np.where(np.abs(numbers - nearest) <= ROUNDING * size, nearest, numbers)


def _is_hole(X: np.ndarray) -> np.ndarray:
    return np.asarray(X != X)  # NaN differs from itself


def _float_for(X: np.ndarray) -> np.dtype:
    """Return float32 if that holds the values of `X` and their squares, else float64."""
    dtype = np.result_type(X.dtype, np.float32)
    if dtype == np.float32 and max(abs(float(X.min())), abs(float(X.max()))) > LARGEST_IN_FLOAT32:
        return np.dtype(np.float64)
    return dtype


def _offsets(value_range: np.ndarray, groups: list[tuple[str, np.ndarray]]) -> np.ndarray:
    """Return what to subtract from columns whose values are the same but for their last digits."""
    offset = np.zeros_like(value_range[0])
    for kind, columns in groups:
        low, high = value_range[:, columns]
        if kind in ("shared", "image"):
            low, high = low.min(keepdims=True), high.max(keepdims=True)
        if kind != "own":
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
    """Return two rows like those of `X`: of the smallest and of the largest pixel value."""
    low, high = X.min(), X.max()
    # Bytes usually are gray levels of 0 to 255, but may be 0 and 1 as well.
    if X.dtype == np.uint8 and 2 * (int(high) - int(low)) >= 255:
        low, high = 0, 255
    return np.full((X.shape[1], 2), [low, high], dtype=X.dtype).T


def _as_seen_by(kind: str, X: np.ndarray) -> np.ndarray:
    """Return what the transformer of a group works on: one tall column if it shares a scale."""
    return X.reshape(-1, 1) if kind in ("shared", "image") else X


def _make_transformer(kind: str, scaling: Any) -> Any:
    match kind:
        case "shared" | "standard":
            return StandardScaler()
        case "image":
            return MinMaxScaler(feature_range=(-1, 1))
        case "asinh":
            # Linear in the middle, logarithmic in the tails, for any sign, and never undefined.
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
    """Say how each column is scaled; see ``SGANClassifier(scaling="auto")``."""
    columns = np.arange(X.shape[1])
    if not isinstance(scaling, str):
        return [("own", columns)]
    if scaling != "auto":
        return [(scaling, columns)]
    varying = value_range[1] > value_range[0]
    low, high = value_range.astype(np.float64)
    if varying.any():
        total = high[varying].max() - low[varying].min()
        usual = np.quantile((high - low)[varying], SHARED_QUANTILE, method="lower")
        if usual >= SHARED_RANGE * total:
            groups = [("shared", columns[varying]), ("standard", columns[~varying])]
            return [(kind, group) for kind, group in groups if len(group)]
    mean, std = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    heavy = varying & (np.maximum(high - mean, mean - low) > HEAVY_TAIL * std)
    groups = [("standard", columns[~heavy]), ("asinh", columns[heavy])]
    return [(kind, group) for kind, group in groups if len(group)]
