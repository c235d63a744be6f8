"""Fitted estimators in one file, without pickle."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from sklearn.base import BaseEstimator

from sgan_sklearn._columns import TableColumns
from sgan_sklearn._encoding import decode, encode
from sgan_sklearn._features import FeatureScaler, TableScaler
from sgan_sklearn._files import read_file, write_file
from sgan_sklearn._images import Layout
from sgan_sklearn._net import SGANNet
from sgan_sklearn.architectures import ARCHITECTURES, Heads
from sgan_sklearn.augmentations import AUGMENTATIONS
from sgan_sklearn.objectives import OBJECTIVES
from sgan_sklearn.regularizers import REGULARIZERS
from sgan_sklearn.samplers import SAMPLERS, ColumnMap

__all__ = ["FilePath", "load_estimator", "save_estimator"]

FilePath = str | os.PathLike[str]

# The classes of this package that a fitted classifier is made of.
PARTS = (
    *ARCHITECTURES.values(),
    *OBJECTIVES.values(),
    *REGULARIZERS.values(),
    *AUGMENTATIONS.values(),
    *SAMPLERS.values(),
    ColumnMap,
    FeatureScaler,
    Heads,
    Layout,
    SGANNet,
    TableColumns,
    TableScaler,
)


def save_estimator(estimator: Any, path: FilePath, classes: Iterable[type]) -> None:
    """Write an estimator to a file; see `sgan_sklearn.save`."""
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(
            "save takes an estimator, such as an SGANClassifier or a Pipeline that ends in one. "
            f"Got {estimator!r}."
        )
    names = ("sgan_sklearn", "sklearn", "torch", "numpy")
    versions = {name: str(sys.modules[name].__version__) for name in names}
    arrays, tree, custom = encode(estimator, type(estimator).__name__)
    try:
        decode(arrays, tree, (*PARTS, *classes), custom)
    except ValueError as error:  # better now than when it is needed
        raise TypeError(f"{estimator!r} cannot be kept without pickle. {error}") from error
    write_file(Path(path), arrays, {"versions": versions, "estimator": tree})


def load_estimator(path: FilePath, classes: Iterable[type], custom_objects: Sequence[Any]) -> Any:
    """Read an estimator from a file; see `sgan_sklearn.load`."""
    path = Path(path)
    _check_custom_objects(custom_objects)
    arrays, content = read_file(path)
    tree = content.get("estimator") if isinstance(content, dict) else None
    try:
        estimator = decode(arrays, tree, (*PARTS, *classes), custom_objects)
    except ValueError as error:
        raise ValueError(f"{path} cannot be loaded. {error}") from error
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(f"{path} cannot be loaded. It holds no estimator.")
    return estimator


def _check_custom_objects(custom_objects: Any) -> None:
    is_list = isinstance(custom_objects, list | tuple)
    if not is_list or not all(isinstance(item, type | FunctionType) for item in custom_objects):
        raise TypeError(
            "custom_objects must be a list of classes and functions, such as [MyObjective]. Got "
            f"{custom_objects!r}."
        )
