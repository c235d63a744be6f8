"""Image data for the benchmarks, from a folder or from OpenML."""

from __future__ import annotations

import io
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.io import loadmat
from sklearn.datasets import fetch_openml

# Name of the data set on OpenML, the shape of its images if the channels come first there, and the
# number of its training rows, which come first.
OPENML = {
    "mnist": ("mnist_784", (28, 28), 60_000),
    "fashion_mnist": ("Fashion-MNIST", (28, 28), 60_000),
    "cifar10": ("CIFAR_10", (3, 32, 32), 50_000),
    "svhn": ("SVHN", (32, 32, 3), 73_257),
}


class Images(NamedTuple):
    """Images of shape (n, height, width[, channels]) as uint8, and their classes."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@cache
def load_images(name: str, folder: Path | None, svhn: Path | None = None) -> Images:
    """Load a data set with its official split.

    Parameters
    ----------
    name : {"mnist", "fashion_mnist", "cifar10", "svhn"}
        The data set.
    folder : Path or None
        Folder that may contain ``name.npz``, with arrays ``X_train, y_train, X_test, y_test``.
        Instead of ``X_train`` it may contain concatenated JPEG files, ``jpeg_train``, and their
        ``offsets_train``; the same applies to the test images.
    svhn : Path or None
        Folder with the original files ``train_32x32.mat`` and ``test_32x32.mat``.
    """
    if name == "svhn" and svhn is not None:
        return Images(*_from_mat(svhn / "train_32x32.mat"), *_from_mat(svhn / "test_32x32.mat"))
    path = None if folder is None else folder / f"{name}.npz"
    if path is None or not path.exists():
        return _from_openml(name)
    with np.load(path) as arrays:
        parts = []
        for split in ("train", "test"):
            if f"X_{split}" in arrays:
                images = arrays[f"X_{split}"]
            else:
                images = _decoded(arrays[f"jpeg_{split}"], arrays[f"offsets_{split}"])
            parts += [images, arrays[f"y_{split}"].astype(int)]
    return Images(*parts)


def _decoded(jpegs: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    from PIL import Image

    files = (jpegs[start:stop].tobytes() for start, stop in pairwise(offsets))
    return np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])


def _from_mat(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read images stored along the last axis, and classes in which 10 stands for the digit 0."""
    content = loadmat(path)
    return np.ascontiguousarray(np.moveaxis(content["X"], -1, 0)), content["y"].ravel() % 10


def _from_openml(name: str) -> Images:
    dataset, shape, n_train = OPENML[name]
    X, y = fetch_openml(dataset, version=1, return_X_y=True, as_frame=False, parser="auto")
    X = X.reshape(-1, *shape).astype(np.uint8)
    if shape[0] == 3:
        X = np.ascontiguousarray(np.moveaxis(X, 1, -1))
    y = y.astype(int)
    if name == "svhn":
        y = y % 10
    return Images(X[:n_train], y[:n_train], X[n_train:], y[n_train:])
