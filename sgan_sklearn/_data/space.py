"""Model spaces: conversion of the rows of `X` to the inputs of the networks, and back."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_array, validate_data

from sgan_sklearn._data.columns import TableColumns
from sgan_sklearn._data.images import (
    CHANNELS,
    check_same_images,
    has_mirror_images,
    in_words,
    with_channels,
)
from sgan_sklearn._data.scaling import MANY_COLUMNS, FeatureScaler, TableScaler
from sgan_sklearn._data.stratification import sample_indices
from sgan_sklearn._data.table import SparseTable, Table, as_table
from sgan_sklearn._data.validation import check_range, is_missing
from sgan_sklearn._runtime.threads import threads_for

__all__ = [
    "ImageSpace",
    "ModelSpace",
    "SparseSpace",
    "TableSpace",
    "find_space",
    "restore_space",
]

# scikit-learn's messages for arrays and lists of text.
TEXT_ERRORS = "could not convert string to float|not compatible with arrays of bytes/strings"


class ModelSpace(ABC):
    """Conversion of the rows of `X` to the inputs of the networks, and back.

    `read` converts `X` to checked flat rows in their units, with codes for categories and NaN for
    missing values. `transform` converts these to the inputs of the networks.

    Parameters
    ----------
    scaling : str or transformer
        As in `SGANClassifier`.
    columns : TableColumns or None
        Names, dtypes and categories of the columns; None for an array of numbers.

    Attributes
    ----------
    scaler_ : FeatureScaler or TableScaler
        The fitted scaler.
    row_shape : tuple of int
        Shape of one row of `X` as passed to `fit` and returned by `sample`.
    """

    # Height, width and channels, or None for tables.
    image_shape: tuple[int, int, int] | None = None

    # Whether the networks take images rather than flat rows of pixels.
    as_images: bool = False

    # Whether mirrored color images are as frequent as the images.
    has_mirror_images: bool = False

    # One-hot columns of the inputs, and columns of numbers that may be missing; see
    # `sgan_sklearn.architectures.Heads`.
    blocks: tuple[slice, ...] = ()
    missing: tuple[tuple[int, int, float], ...] = ()

    scaler_: Any
    row_shape: tuple[int, ...]
    _ensure_finite: ClassVar[bool | str] = True

    def __init__(self, scaling: Any, columns: TableColumns | None) -> None:
        self.scaling = scaling
        self.columns = columns

    @property
    def is_wide(self) -> bool:
        """Whether "auto" treats `X` as a table of many columns of one kind, such as embeddings."""
        return False

    # --- reading X --------------------------------------------------------------------------

    def read_like_training(self, estimator: Any, X: Any) -> np.ndarray:
        """Return `X` as flat rows, or raise ValueError if it is unlike the training rows."""
        table = as_table(X)
        self.check_images(table.image_shape)
        return self.read(estimator, table)

    @abstractmethod
    def check_images(self, shape: tuple[int, ...] | None) -> None:
        """Raise ValueError if images of this shape are unlike the training images."""

    def read(self, estimator: Any, table: Table, *, reset: bool = False) -> np.ndarray:
        """Return flat rows: numbers, codes of categories, and NaN for missing values.

        If `reset`, set the number and the names of the columns of the estimator.
        """
        try:
            with np.errstate(all="ignore"):  # infinite values are checked separately
                rows = self._checked(estimator, table, reset)
        except OverflowError as error:
            raise ValueError(f"X must hold numbers of at most 64 bits. {error}") from error
        except (TypeError, ValueError) as error:
            if not str(error).startswith(("Complex data", "float() argument")):
                raise
            raise type(error)(f"X must hold real numbers. {error}") from error
        if reset:  # later rows are clipped to the range of the training rows
            check_range(rows)
            self._prepare(rows)
        return rows

    @abstractmethod
    def _prepare(self, rows: np.ndarray) -> None:
        """Set what depends on the training rows, or raise ValueError if their shape is wrong."""

    def _checked(self, estimator: Any, table: Table, reset: bool) -> np.ndarray:
        has_columns = table.frame is not None or self.columns is not None
        try:
            if has_columns:
                # Check the names and the number of columns.
                validate_data(estimator, table.rows, reset=reset, skip_check_array=True)
                rows = (
                    table.to_numbers() if self.columns is None else self.columns.to_numbers(table)
                )
                return check_array(rows, ensure_all_finite=self._ensure_finite, input_name="X")
            X = self._numbers_of(table)
            rows = validate_data(estimator, X, reset=reset, ensure_all_finite=self._ensure_finite)
            if rows.dtype == object:  # from lists that contain None
                rows = _with_nan(rows)
                rows = check_array(rows, ensure_all_finite=self._ensure_finite, input_name="X")
            return rows
        except ValueError as error:
            if re.search("contains (NaN|infinity)", str(error)):
                raise ValueError(self._infinity_message(table, str(error))) from error
            if not has_columns and np.size(table.X) and re.search(TEXT_ERRORS, str(error)):
                raise ValueError(self._text_message(table.X, reset)) from error
            raise

    def _numbers_of(self, table: Table) -> Any:
        return table.to_numbers() if isinstance(table, SparseTable) else table.X

    @abstractmethod
    def _infinity_message(self, table: Table, message: str) -> str:
        """Return the message for values that are not finite."""

    def _text_message(self, X: Any, reset: bool) -> str:
        """Return the message for an array or a list that holds text."""
        array = np.asarray(X)
        rule = "X must hold numbers"
        match array.dtype.kind:
            case "V":
                return f"{rule}. Got a structured array: convert it to a frame, pd.DataFrame(X)."
            case "S":
                return f"{rule}. Got bytes: decode them first, as in np.char.decode(X)."
        items = array.ravel()[:10_000].tolist()  # the array may be large
        text = next(filter(_is_text, items), items[0])
        remedy = ": convert X to numbers in the same way as the training rows."
        return f"{rule}. Got the text {text!r}{self._text_remedy if reset else remedy}"

    _text_remedy: ClassVar[str]

    # --- conversion to the inputs of the networks, and back ----------------------------------

    def fit(
        self,
        rows: np.ndarray,
        codes: np.ndarray,
        rng: np.random.RandomState,
        used: np.ndarray | None = None,
    ) -> ModelSpace:
        """Fit the scaler on the used rows, or on a sample stratified by the class `codes`."""
        scaler = self._new_scaler()
        places = np.arange(len(rows)) if used is None else np.flatnonzero(used)
        indices = places[sample_indices(codes[places], rows.shape[1], rng)]
        if scaler.needs_all_rows:
            indices = places
        self._set_scaler(scaler.fit(rows[indices] if len(indices) < len(rows) else rows))
        return self

    @abstractmethod
    def _new_scaler(self) -> Any:
        """Return an unfitted scaler."""

    def _set_scaler(self, scaler: Any) -> None:
        self.scaler_ = scaler

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the networks."""
        return self.bounds.shape[1:]

    @property
    def bounds(self) -> np.ndarray:
        """Smallest and largest inputs of the networks, shape (2, *input_shape)."""
        return self.arrange(self.scaler_.bounds_)

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Return flat rows as inputs of the networks, float32."""
        return self.arrange(self.scaler_.transform(rows))

    def inverse_transform(self, inputs: np.ndarray) -> np.ndarray:
        """Return inputs of the networks as rows in the units and the shape of `X`."""
        return self._in_original_shape(self.scaler_.inverse_transform(self.flatten(inputs)))

    def to_original_form(self, inputs: list[np.ndarray], seed: int) -> Any:
        """Concatenate inputs of the networks and return them in the form of `X`."""
        rows = np.concatenate([self.inverse_transform(part) for part in inputs])
        return self._with_columns(rows, seed)

    def lowest_row(self) -> Any:
        """Return a row in the form of `X` with the smallest value of each column."""
        return self._with_columns(self._in_original_shape(self.scaler_.lowest_row()), 0)

    def _with_columns(self, rows: np.ndarray, seed: int) -> Any:
        if self.columns is None:
            return rows
        return self.columns.to_original_form(rows, np.random.RandomState(seed))

    def arrange(self, rows: np.ndarray) -> np.ndarray:
        """Return flat rows in the shape of the inputs of the networks."""
        return rows

    def flatten(self, inputs: np.ndarray) -> np.ndarray:
        """Undo `arrange`."""
        return inputs

    def _in_original_shape(self, rows: np.ndarray) -> np.ndarray:
        return rows

    # --- identity and storage ---------------------------------------------------------------

    def identity(self) -> Any:
        """Return a value that identifies this conversion of `X` before fitting."""
        columns = None if self.columns is None else self.columns.plain_state()
        return columns, self.image_shape, self.row_shape

    def plain_state(self) -> dict[str, Any]:
        """Return the state for `restore_space`."""
        return {
            "row_shape": self.row_shape,
            "image_shape": self.image_shape,
            "as_images": self.as_images,
            "has_mirror_images": self.has_mirror_images,
            "columns": None if self.columns is None else self.columns.plain_state(),
            "scaler": self.scaler_.plain_state(),
        }


class TableSpace(ModelSpace):
    """Model space of a table, which may have categories and missing values."""

    _ensure_finite = "allow-nan"
    _text_remedy = (
        ". If columns hold categories, list them in categorical_features, or pass a DataFrame. If "
        "all columns hold numbers, convert them, as in np.asarray(X, dtype=float)."
    )

    def check_images(self, shape: tuple[int, ...] | None) -> None:
        """Raise ValueError for images."""
        if shape is not None:
            raise ValueError(
                f"Found array with dim {1 + len(shape)}, but SGANClassifier was fitted on flat "
                f"rows of {self.row_shape[0]} features. Reshape X to rows: X.reshape(len(X), -1)."
            )

    def _numbers_of(self, table: Table) -> Any:
        return _with_nan(super()._numbers_of(table))

    def _infinity_message(self, table: Table, message: str) -> str:
        if "contains infinity" not in message:
            return message
        return (
            f"Input X contains infinity in column {self._infinite_column(table)}. Replace "
            "it, for example with np.nan, which counts as a missing value."
        )

    def _infinite_column(self, table: Table) -> str:
        """Return the name of the first column that holds infinity."""
        for i, column in enumerate(table.columns()):
            if self.columns is None or self.columns.kinds[i] != "category":
                values = column.as_numbers().values
                if values.dtype.kind == "f" and np.isinf(values).any():
                    return column.name
        raise AssertionError("No column holds infinity.")

    def _prepare(self, rows: np.ndarray) -> None:
        self.row_shape = rows.shape[1:]

    @property
    def is_wide(self) -> bool:
        """Whether it is a table of at least a hundred columns of numbers, such as embeddings."""
        has_categories = self.columns is not None and any(self.columns.n_levels)
        is_wide = self.row_shape[0] >= MANY_COLUMNS and not has_categories
        return is_wide and self._has_unit_variance

    @property
    def _has_unit_variance(self) -> bool:
        return isinstance(self.scaling, str) and self.scaling in ("auto", "shared", "standard")

    def _new_scaler(self) -> TableScaler:
        return TableScaler(self.scaling, None if self.columns is None else self.columns.n_levels)

    def _set_scaler(self, scaler: TableScaler) -> None:
        self.scaler_ = scaler
        self.blocks, self.missing = tuple(scaler.blocks_), tuple(scaler.missing_)

    def restore_scaler(self, state: dict[str, Any], n_features: int) -> None:
        """Restore the scaler from a plain state, or raise an error if it is not valid."""
        # Check the numbers of levels before memory is allocated for them.
        n_levels = [0] * n_features if self.columns is None else self.columns.n_levels
        if len(n_levels) != n_features or state["levels"].tolist() != n_levels:
            raise ValueError("The levels of the columns do not match those of the scaler.")
        self._set_scaler(TableScaler.from_plain_state(state, n_features))


class SparseSpace(TableSpace):
    """Model space of a sparse matrix: the components of its truncated SVD, of unit length.

    Parameters
    ----------
    scaling
        As in `SGANClassifier`; "auto" is "shared".
    n_components : int
        Maximum number of components.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Right singular vectors of the training rows.
    """

    components_: np.ndarray

    def __init__(self, scaling: Any, n_components: int) -> None:
        super().__init__(scaling, None)
        self.n_components = n_components

    def _checked(self, estimator: Any, table: Table, reset: bool) -> np.ndarray:
        from sklearn.decomposition import TruncatedSVD  # takes a while to import

        X = table.rows if table.frame is None else table.to_numbers()
        X = validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            dtype=np.float64,
            ensure_all_finite=False,
        )
        values = X.data if sparse.issparse(X) else X
        if not np.isfinite(values).all():
            raise ValueError(
                "Input X contains NaN or infinity. Rows with more columns than n_components must "
                "hold finite numbers if X was sparse in fit. Replace them, for example with 0."
            )
        with threads_for():  # one: sums depend on the number of threads of BLAS
            if reset:
                check_range(values)
                largest = max(np.abs(values).max(initial=0), np.finfo(float).tiny)
                # Its random numbers are those of an approximation, and the same for each seed.
                svd = TruncatedSVD(min(self.n_components, *X.shape), random_state=0)
                svd.fit(X / largest)
                self.components_ = np.nan_to_num(svd.components_).astype(np.float32)
            rows = normalize(X, norm="max") @ self.components_.T.astype(np.float64)
        unit_rows: np.ndarray = normalize(np.asarray(rows)).astype(np.float32)
        return unit_rows

    def _prepare(self, rows: np.ndarray) -> None:
        self.row_shape = (self.components_.shape[1],)

    @property
    def is_wide(self) -> bool:
        """Whether "auto" stands for the settings for many columns of one kind."""
        return self._has_unit_variance

    def _new_scaler(self) -> TableScaler:
        is_auto = isinstance(self.scaling, str) and self.scaling == "auto"
        return TableScaler("shared" if is_auto else self.scaling)

    def _in_original_shape(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self.components_.astype(rows.dtype)

    def plain_state(self) -> dict[str, Any]:
        """Return the state for `restore_space`."""
        return {**super().plain_state(), "components": self.components_}

    def restore_scaler(self, state: dict[str, Any], n_features: int) -> None:
        """Restore the scaler from a plain state, or raise an error if it is not valid."""
        super().restore_scaler(state, len(self.components_))


class ImageSpace(ModelSpace):
    """Model space of images, given as 3-D or 4-D arrays or as flat rows of pixels.

    Parameters
    ----------
    scaling, columns
        As in `ModelSpace`.
    image_shape : tuple of (height, width, channels)
        Shape of the images.
    row_shape : tuple of int, default=None
        Shape of one row of `X`; None for flat rows.
    as_images : bool, default=True
        Whether the networks take images rather than flat rows of pixels.
    """

    _text_remedy = ": convert the pixels to numbers, as in np.asarray(X, dtype=float)."

    image_shape: tuple[int, int, int]

    def __init__(
        self,
        scaling: Any,
        columns: TableColumns | None,
        image_shape: tuple[int, int, int],
        row_shape: tuple[int, ...] | None = None,
        *,
        as_images: bool = True,
    ) -> None:
        super().__init__(scaling, columns)
        self.image_shape = image_shape
        self.row_shape = row_shape or (math.prod(image_shape),)
        self.as_images = as_images

    def check_images(self, shape: tuple[int, ...] | None) -> None:
        """Raise ValueError if images of this shape are unlike the training images."""
        check_same_images(shape, self.image_shape)

    def _infinity_message(self, table: Table, message: str) -> str:
        first = message.split(". ")[0].splitlines()[0].rstrip(".")
        return (
            f"{first}. Images must hold a finite number in each pixel: fill missing pixels first, "
            "for example with the mean of their neighbors."
        )

    def _prepare(self, rows: np.ndarray) -> None:
        n_features = rows.shape[1]
        if math.prod(self.image_shape) != n_features:
            height, width, n_channels = self.image_shape
            sides = (height, width, n_channels) if n_channels > 1 else (height, width)
            product = " * ".join(str(side) for side in sides)
            raise ValueError(
                "The 'image_shape' parameter of SGANClassifier must multiply to the number of "
                f"features of X. Got {sides}, that is {product} = {math.prod(sides)}, for "
                f"{n_features} features. Pass the height, width and channels of the images before "
                "flattening."
            )
        if self.as_images and self.image_shape[2] > 1:
            self.has_mirror_images = has_mirror_images(rows.reshape(-1, *self.image_shape))

    def _new_scaler(self) -> FeatureScaler:
        is_auto = isinstance(self.scaling, str) and self.scaling == "auto"
        return FeatureScaler("image" if is_auto and self.as_images else self.scaling)

    def arrange(self, rows: np.ndarray) -> np.ndarray:
        """Return flat rows as images with the channels first, as a view."""
        return np.moveaxis(rows.reshape(-1, *self.image_shape), -1, 1)

    def flatten(self, inputs: np.ndarray) -> np.ndarray:
        """Undo `arrange`."""
        return np.moveaxis(inputs, 1, -1).reshape(len(inputs), -1)

    def _in_original_shape(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(-1, *self.row_shape)

    def restore_scaler(self, state: dict[str, Any], n_features: int) -> None:
        """Restore the scaler from a plain state, or raise an error if it is not valid."""
        if self.columns is not None:
            n_levels = self.columns.n_levels
            if len(n_levels) != n_features or any(n_levels):
                raise ValueError("The columns do not match the pixels of the images.")
        self.scaler_ = FeatureScaler.from_plain_state(state, n_features)


def find_space(
    table: Table,
    *,
    image_shape: tuple[int, ...] | None,
    categorical_features: Any,
    scaling: Any,
    n_components: int | None,
    for_images: bool,
) -> TableSpace | ImageSpace:
    """Return the model space for rows.

    `for_images` is True if the networks take images. The other parameters are those of
    `SGANClassifier`.
    """
    shape = table.image_shape
    are_images = image_shape is not None or shape is not None
    if isinstance(table, SparseTable):
        mask = table.categorical_mask(categorical_features)
        if mask is not None and mask.any():
            raise TypeError(
                "X must be dense to have categories. Got a sparse matrix and "
                f"{int(mask.sum())} columns in categorical_features. Pass X.toarray()."
            )
        categorical_features = None
        if n_components is None:
            raise TypeError(
                "X must be dense if n_components=None. Got a sparse matrix. Set n_components=500 "
                "to reduce it to that many components, or pass X.toarray() if it fits in memory."
            )
        if n_components < table.n_columns and not are_images:
            return SparseSpace(scaling, n_components)
    columns = _columns_of(table, categorical_features, are_pixels=are_images)
    if not are_images:
        return TableSpace(scaling, columns)
    found = with_channels(image_shape or shape or ())
    if image_shape is not None and shape is not None and with_channels(shape) != found:
        raise ValueError(
            f"The 'image_shape' parameter of SGANClassifier is {in_words(found)}, but X holds "
            f"images of {in_words(with_channels(shape))}. Set image_shape=None to use the shape of "
            "X."
        )
    return ImageSpace(scaling, columns, found, shape, as_images=for_images)


def _columns_of(
    table: Table, categorical_features: Any, *, are_pixels: bool
) -> TableColumns | None:
    """Return the columns of a table, or None for an array of numbers."""
    categorical_features = None if are_pixels else categorical_features
    are_dates = getattr(getattr(table.X, "dtype", None), "kind", "") in ("M", "m")
    chosen = categorical_features is not None and not isinstance(categorical_features, str)
    if table.frame is None and not are_dates and not chosen:
        return None
    columns = TableColumns(table, categorical_features)
    if are_pixels:
        columns.use_as_pixels()
    else:
        columns.warn_about_columns()
    return columns


def restore_space(state: dict[str, Any], n_features: Any) -> TableSpace | ImageSpace:
    """Restore a model space from a plain state, or raise an error if it is not valid."""
    row_shape, image_shape = state["row_shape"], state["image_shape"]
    as_images, has_mirrored = state["as_images"], state.get("has_mirror_images", True)
    shapes = [row_shape, image_shape or row_shape]
    sides = [side for shape in shapes for side in shape]
    fits = (
        type(n_features) is int
        and all(isinstance(shape, tuple) for shape in shapes)
        and all(type(side) is int and side > 0 for side in sides)
        and all(math.prod(shape) == n_features for shape in shapes)
        and type(as_images) is bool
        and type(has_mirrored) is bool
    )
    if image_shape is None:
        fits = fits and len(row_shape) == 1 and not as_images
    else:
        fits = fits and len(image_shape) == 3 and image_shape[2] in CHANNELS
    if not fits:
        raise ValueError(f"Rows of {n_features!r} features cannot have the shapes {shapes}.")
    columns = None if state["columns"] is None else TableColumns.from_plain_state(state["columns"])
    scaling = state["scaler"]["scaling"]
    components = state.get("components")
    if components is not None:
        if image_shape is not None:
            raise ValueError("A sparse matrix of images has no components.")
        _check_components(components, row_shape)
        reduced = SparseSpace(scaling, len(components))
        reduced.components_, reduced.row_shape = components, row_shape
        reduced.restore_scaler(state["scaler"], n_features)
        return reduced
    if image_shape is None:
        table = TableSpace(scaling, columns)
        table.row_shape = row_shape
        table.restore_scaler(state["scaler"], n_features)
        return table
    images = ImageSpace(scaling, columns, image_shape, row_shape, as_images=as_images)
    images.has_mirror_images = has_mirrored
    images.restore_scaler(state["scaler"], n_features)
    return images


def _check_components(components: Any, row_shape: tuple[int, ...]) -> None:
    is_matrix = isinstance(components, np.ndarray) and components.dtype == np.float32
    if not (is_matrix and components.ndim == 2 and components.shape[1:] == row_shape):
        raise ValueError("The components of a sparse matrix have a value for each column.")
    if len(components) == 0 or not np.isfinite(components).all():
        raise ValueError("The components of a sparse matrix are finite numbers.")


def _is_text(item: Any) -> bool:
    """Return whether an item is text that does not represent a number."""
    try:
        float(item)
    except (TypeError, ValueError):
        return isinstance(item, str | bytes)
    return False


def _with_nan(X: Any) -> Any:
    """Replace missing values in an array of objects by NaN; return anything else unchanged."""
    if getattr(X, "dtype", None) != np.dtype(object) or X.ndim != 2:
        return X
    missing = [[is_missing(value) for value in row] for row in X.tolist()]
    return np.where(missing, np.nan, X) if np.any(missing) else X
