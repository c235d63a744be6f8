"""Saving of estimators to a single file, without pickle."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from sklearn.base import BaseEstimator

from sgan_sklearn._storage.encoding import decode, encode
from sgan_sklearn._storage.files import read_file, write_file

__all__ = ["FilePath", "expanded", "load_estimator", "save_estimator"]

FilePath = str | os.PathLike[str]


def save_estimator(estimator: Any, path: FilePath, classes: Sequence[type]) -> None:
    """Write an estimator to a file; see `sgan_sklearn.save`."""
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(
            "save requires an estimator, such as an SGANClassifier or a Pipeline that ends in one. "
            f"Got an instance of {type(estimator).__name__}."
        )
    path = expanded(path)
    names = ("sgan_sklearn", "sklearn", "torch", "numpy")
    versions = {name: str(sys.modules[name].__version__) for name in names}
    arrays, tree, custom = encode(estimator, type(estimator).__name__)
    try:
        decode(arrays, tree, classes, custom)
    except ValueError as error:  # detect an unreadable file when it is saved
        raise TypeError(
            f"{type(estimator).__name__} cannot be saved without pickle: use skops or joblib "
            f"instead. {error}"
        ) from error
    write_file(path, arrays, {"versions": versions, "estimator": tree})


def load_estimator(path: FilePath, classes: Sequence[type], custom_objects: Sequence[Any]) -> Any:
    """Read an estimator from a file; see `sgan_sklearn.load`."""
    path = expanded(path)
    _check_custom_objects(custom_objects)
    arrays, content = read_file(path)
    tree = content.get("estimator") if isinstance(content, dict) else None
    try:
        estimator = decode(arrays, tree, classes, custom_objects)
    except ValueError as error:
        raise ValueError(f"{path} cannot be loaded. {error}") from error
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"{path} cannot be loaded. It does not contain an estimator.")
    return estimator


def expanded(path: Any) -> Path:
    """Return the path of a file with "~" expanded, or raise TypeError."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"The path of a file must be a string or a path. Got {path!r}.")
    return Path(os.fsdecode(path)).expanduser()


def _check_custom_objects(custom_objects: Any) -> None:
    is_list = isinstance(custom_objects, list | tuple)
    if not is_list or not all(isinstance(item, type | FunctionType) for item in custom_objects):
        raise TypeError(
            "custom_objects must be a list of classes and functions, such as [MyObjective]. Got "
            f"{custom_objects!r}."
        )
