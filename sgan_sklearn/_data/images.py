"""Conversion of images to rows of pixels, and back."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np

__all__ = [
    "CHANNELS",
    "as_picture",
    "check_image_shape",
    "check_same_images",
    "flatten_images",
    "has_mirror_images",
    "in_words",
    "tiled",
    "with_channels",
]

# Gray levels, or red, green and blue.
CHANNELS = (1, 3)

# Maximum number of images that are compared with their mirror images, and how many at once; number
# of parts of a side whose means are compared, and weight of the penalty of the linear model.
N_MIRRORED = 4_000
N_AT_ONCE = 200
N_PARTS = 10
PENALTY = 0.1

# Share of images that may be told from their mirror images, beyond twice its standard error. For
# photographs of animals and vehicles it was at most 0.54, and for house numbers 0.7.
MAX_TOLD = 0.55


def flatten_images(X: Any) -> tuple[Any, tuple[int, ...] | None]:
    """Return images as rows of pixels with the shape of one image, anything else unchanged.

    Raises ValueError, with the remedy, if X looks like images in a form other than
    (n, height, width) or (n, height, width, channels).
    """
    X = _plain_array(_stack_images(X))
    n_dims = len(getattr(X, "shape", ()))
    if n_dims < 3:
        return X, None
    X = np.asarray(X)
    if n_dims > 4:
        raise ValueError(
            f"Found array with dim {n_dims}. X must be of shape (n_samples, n_features), or for "
            f"images (n_samples, height, width) or (n_samples, height, width, channels). Got "
            f"shape {X.shape}."
        )
    shape = X.shape[1:]
    if n_dims == 4 and shape[-1] not in CHANNELS:
        if shape[0] in CHANNELS:
            raise ValueError(
                "X must hold images with the channels last, (n_samples, height, width, channels). "
                f"Got shape {X.shape}, which looks like channels first: pass "
                "np.moveaxis(X, 1, -1)."
            )
        raise ValueError(
            f"X must hold images of 1 or 3 channels. Got {shape[-1]} channels in shape {X.shape}. "
            "Pass the channels that matter, such as X[..., :3] without the transparency of RGBA, "
            "or their mean for gray images."
        )
    return X.reshape(len(X), math.prod(shape)), shape


def check_image_shape(image_shape: Any) -> None:
    """Raise ValueError if `image_shape` is not the shape of an image."""
    if image_shape is None:
        return
    positive = all(isinstance(side, Integral) and int(side) >= 1 for side in image_shape)
    if not positive or len(image_shape) not in (2, 3) or (*image_shape, 1)[2] not in CHANNELS:
        raise ValueError(
            "The 'image_shape' parameter of SGANClassifier must be (height, width) or (height, "
            "width, channels), in pixels and with 1 or 3 channels. Got "
            f"{image_shape!r} instead."
        )


def check_same_images(shape: tuple[int, ...] | None, expected: tuple[int, int, int]) -> None:
    """Raise ValueError if the shape of the images is not the expected one."""
    if shape is not None and with_channels(shape) != expected:
        raise ValueError(
            f"X must hold images like those that SGANClassifier was fitted on, "
            f"{in_words(expected)}. Got images of {in_words(with_channels(shape))}: resize them. "
            "Pass a single image as image[np.newaxis]."
        )


def has_mirror_images(images: np.ndarray) -> bool:
    """Return whether mirrored images are as frequent as the images (n, height, width, channels).

    Photographs are, but not letters and digits. A linear model of the brightness and the edges in
    each part learns to tell half of the images from their mirror images, and is applied to the
    other half.
    """
    chosen = np.random.RandomState(0).permutation(len(images))[:N_MIRRORED]
    scale = images[chosen[:N_AT_ONCE]].std(dtype=np.float64) or 1.0
    parts = np.array_split(chosen, -(-len(chosen) // N_AT_ONCE))
    differences = np.concatenate([_asymmetry(images[part], scale) for part in parts])
    taught, others = np.array_split(differences, 2)
    scales = taught.std(axis=0) + 1e-3
    taught, others = taught / scales, others / scales
    penalty = PENALTY * len(taught) * np.eye(taught.shape[1])
    weights = np.linalg.solve(taught.T @ taught + penalty, taught.sum(axis=0))
    told = (others @ weights > 0).sum()
    return bool(told <= MAX_TOLD * len(others) + len(others) ** 0.5)


def _asymmetry(images: np.ndarray, scale: float) -> np.ndarray:
    """Return how the brightness and the edges of images differ from those of the mirror images."""
    gray = images.mean(axis=-1, dtype=np.float64) / scale
    return _brightness_and_edges(gray) - _brightness_and_edges(gray[:, :, ::-1])


def _brightness_and_edges(gray: np.ndarray) -> np.ndarray:
    """Return means over parts of images: of pixels, two directions of edges, and their product."""
    corners = gray[:, 1:, 1:] - gray[:, :-1, :-1], gray[:, 1:, :-1] - gray[:, :-1, 1:]
    rows, columns = corners[0] + corners[1], corners[0] - corners[1]
    planes = gray, abs(rows), abs(columns), rows * columns
    return np.concatenate([_means_of_parts(plane) for plane in planes], axis=1)


def _means_of_parts(planes: np.ndarray) -> np.ndarray:
    """Return the means of equal parts of planes (n, height, width), which may omit the border."""
    for axis in (1, 2):
        side = planes.shape[axis]
        size = max(1, side // N_PARTS)
        first, number = side % size // 2, side // size
        inside = np.moveaxis(planes, axis, -1)[..., first : first + size * number]
        means = inside.reshape(*inside.shape[:-1], number, size).mean(axis=-1)
        planes = np.moveaxis(means, -1, axis)
    return planes.reshape(len(planes), -1)


def as_picture(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale images (n, height, width[, channels]) from [low, high] to [0, 1]; gray ones are 3-D."""
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    low, high = float(low), float(high)  # a difference of int8 could overflow
    return np.clip((images.astype(np.float64) - low) / ((high - low) or 1.0), 0.0, 1.0)


def tiled(pictures: np.ndarray, n_columns: int) -> np.ndarray:
    """Arrange pictures in a grid, row by row, with white lines between them and white fill."""
    n_empty = -len(pictures) % n_columns
    margins = [(0, n_empty), (1, 1), (1, 1), *[(0, 0)] * (pictures.ndim - 3)]
    tiles = np.pad(pictures, margins, constant_values=1.0)
    tiles[len(pictures) :] = 1.0
    lines = tiles.reshape(-1, n_columns, *tiles.shape[1:]).swapaxes(1, 2)
    height, width = lines.shape[1], n_columns * lines.shape[3]
    return lines.reshape(len(lines) * height, width, *tiles.shape[3:])


def _plain_array(X: Any) -> Any:
    """Return masked arrays and arrays of NumPy strings as arrays of numbers or objects.

    Masked values of a table become missing values.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind == "T":
        return X.astype(object)
    if not isinstance(X, np.ma.MaskedArray):
        return X
    masked: Any = X
    if not np.ma.is_masked(masked):
        return masked.data
    if X.ndim > 2:
        raise ValueError(
            f"X is a masked array in which {np.ma.count_masked(X)} pixels are masked. Images must "
            "hold a number in each pixel: fill masked ones first, as in X.filled(0)."
        )
    if X.dtype.kind in "fMm":
        return masked.filled(np.nan if X.dtype.kind == "f" else "NaT")
    return np.where(masked.mask, None, masked.data.astype(object))


def with_channels(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the height, width and number of channels of an image shape."""
    height, width, n_channels = (*shape, 1)[:3]
    return int(height), int(width), int(n_channels)


def in_words(image_shape: tuple[int, int, int]) -> str:
    """Describe the shape of an image in words, for messages."""
    height, width, n_channels = image_shape
    return f"{height} x {width} pixels and {n_channels} channel{'s' * (n_channels > 1)}"


def _stack_images(X: Any) -> Any:
    """Stack a list or an object array of images into one array; return anything else unchanged."""
    if not isinstance(X, list | tuple) and not (
        isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    ):
        return X
    try:
        if len(X) == 0 or np.ndim(X[0]) < 2:
            return X
        images = [np.asarray(image) for image in X]
    except (TypeError, ValueError):  # ragged within an image: validate_data has the message
        return X
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise ValueError(
            "X must hold images of one size. Got a list of images of several shapes, such as "
            f"{shapes[0]} and {shapes[-1]}. Resize or crop them to one size first."
        )
    return np.stack(images)
