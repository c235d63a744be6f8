"""Fitted objects as JSON and arrays, and back, where nothing but known classes can come of it.

JSON's own null, booleans, strings, lists and numbers stand for themselves. Everything else is an
object with one key, which says what it is, such as ``{"tuple": [1, 2]}``.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePath
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

__all__ = ["decode", "encode"]

PACKAGE = __name__.split(".")[0]

# Where estimators of scikit-learn may come from: those that work with arrays in Python, where a
# senseless array raises an error. Compiled code would take it for granted.
MODULES = (
    "calibration",
    "compose",
    "decomposition",
    "discriminant_analysis",
    "dummy",
    "feature_extraction",
    "feature_extraction.image",
    "feature_extraction.text",
    "feature_selection",
    "impute",
    "kernel_approximation",
    "linear_model",
    "multiclass",
    "multioutput",
    "naive_bayes",
    "pipeline",
    "preprocessing",
    "random_projection",
)

_REMEDY = "which is not kept without pickle: use skops or joblib instead"

# Beginning of the methods that may be kept: those of an architecture.
BUILDERS = "build_"

# What names a dtype: "<f4", "float32", "datetime64[ns]".
_DTYPE = re.compile(r"[<>|=]?[A-Za-z][A-Za-z0-9_]*(\[[A-Za-z0-9]+\])?")

# Attributes of scikit-learn's estimators that must be None: where a joblib cache is, which is read
# by pickle.
FORBIDDEN = ("memory",)


def encode(value: Any, name: str) -> tuple[dict[str, np.ndarray], Any, list[Any]]:
    """Return arrays and what JSON knows, of which `decode` makes the same value.

    Third come the classes and functions that `decode` must be given for that.

    Parameters
    ----------
    value : object
        Numbers, strings, arrays, tensors, lists, dicts, estimators of scikit-learn and of this
        package, and whatever of these they hold. Other estimators and functions are named; who
        reads them must have them.
    name : str
        What messages call the value.

    Raises
    ------
    TypeError
        If it holds anything else.
    """
    encoder = _Encoder()
    try:
        tree = encoder.encode(value, name)
    except RecursionError as error:
        raise TypeError(f"{name} holds itself, {_REMEDY}") from error
    return encoder.arrays, tree, encoder.custom


def decode(
    arrays: dict[str, np.ndarray],
    tree: Any,
    classes: Iterable[type] = (),
    custom_objects: Iterable[Any] = (),
) -> Any:
    """Return what `encode` was given.

    Parameters
    ----------
    arrays, tree
        What `encode` has returned.
    classes : iterable of type
        Classes of this package that may occur.
    custom_objects : iterable of type or function
        Other classes and functions that may, known by their ``__qualname__``.

    Raises
    ------
    ValueError
        If the tree names anything else, or is none that `encode` has returned.
    """
    decoder = _Decoder(arrays, classes, custom_objects)
    try:
        return decoder.decode(tree)
    except _UnknownNameError as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # whatever a file that was tampered with may lead to
        raise ValueError(
            f"It does not describe a model: {type(error).__name__}: {error}"
        ) from error


class _UnknownNameError(Exception):
    """The tree names a class or a function that may not occur."""


# --- there --------------------------------------------------------------------------------------


class _Encoder:
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.custom: list[Any] = []

    def encode(self, value: Any, name: str) -> Any:
        """Return the JSON form of a value; `name` is what messages call it."""
        # Of subclasses, such as OrderedDict, less would come back than there was.
        kind: Any = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is list:
            return self._items(value, name)
        if kind is tuple:
            return {"tuple": self._items(value, name)}
        if kind is dict:
            return {"dict": self._pairs(value, name)}
        if kind is np.ndarray or kind is np.memmap:
            return {"array": self._array(value, name)}
        if kind is slice:
            return {"slice": self._items([value.start, value.stop, value.step], name)}
        own_name: Any = getattr(value, "__name__", None)
        match value:
            case np.generic():
                return {"scalar": self._array(np.asarray(value), name)}
            case Tensor() if value.layout is torch.strided and value.dtype is not torch.bfloat16:
                return {"tensor": self._array(value.detach().cpu().numpy(), name)}
            case np.dtype() if value.names is None:
                return {"dtype": value.str}
            case np.ufunc() if vars(np).get(own_name) is value:
                return {"ufunc": own_name}
            case PurePath():
                return {"path": str(value)}
            case np.random.RandomState():
                state = value.get_state(legacy=False)
                if state["bit_generator"] == "MT19937":
                    return {"random_state": self.encode(state, name)}
            case partial() if isinstance(value.func, MethodType):
                parts = [value.func, list(value.args), value.keywords]
                return {"partial": self._items(parts, name)}
            case MethodType() if value.__name__.startswith(BUILDERS):
                return {"method": [self.encode(value.__self__, name), value.__name__]}
            case type() if issubclass(value, np.generic):
                return {"type": np.dtype(value).name}
            case FunctionType() if value.__name__ != "<lambda>":
                self.custom.append(value)
                return {"function": value.__qualname__}
        return {"object": self._object(value, name)}

    def _items(self, values: Iterable[Any], name: str) -> list[Any]:
        return [self.encode(value, f"{name}[{i}]") for i, value in enumerate(values)]

    def _pairs(self, values: dict[Any, Any], name: str) -> list[Any]:
        return [
            [self.encode(key, name), self.encode(value, f"{name}[{key!r}]")]
            for key, value in values.items()
        ]

    def _array(self, array: np.ndarray, name: str) -> list[Any]:
        """Return the name of an array and its dtype, or its values where these are objects."""
        array = np.asarray(array)
        if array.dtype == object:
            return ["object", list(array.shape), self._items(array.ravel().tolist(), name)]
        if array.dtype.kind not in "biufUSmM" or array.dtype.itemsize == 0:
            raise TypeError(f"{name} is an array of the dtype {array.dtype}, {_REMEDY}")
        # In the order of memory, without which sums would have other last digits.
        axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
        plain = array.transpose(axes).ravel().astype(array.dtype.newbyteorder("<"))
        if array.dtype.kind in "USmM" or array.dtype.itemsize > 8:
            plain = plain.view(np.uint8)
        key = str(len(self.arrays))
        self.arrays[key] = plain
        return [_plain_name(array.dtype), list(array.shape), axes, key]

    def _object(self, value: Any, name: str) -> Any:
        cls = type(value)
        if hasattr(value, "_fields") and _own_name(cls):
            return [_own_name(cls), self.encode(value._asdict(), name)]
        key = _own_name(cls) or _name_in_sklearn(cls)
        if key is None and isinstance(value, BaseEstimator):
            key = f"custom.{cls.__qualname__}"
            self.custom.append(cls)
        if key is None:
            raise TypeError(f"{name} is {value!r} of the class {cls.__qualname__}, {_REMEDY}")
        state = value._plain_state() if hasattr(value, "_plain_state") else value.__getstate__()
        if not isinstance(state, dict):
            raise TypeError(f"{name}, {value!r}, has a state that is no dict, {_REMEDY}")
        for attribute in FORBIDDEN:
            if state.get(attribute) is not None:
                raise TypeError(
                    f"{name} has {attribute}={state[attribute]!r}, {_REMEDY}, or set it to None"
                )
        pairs = [[key, self.encode(item, f"{name}.{key}")] for key, item in state.items()]
        return [key, {"dict": pairs}]


def _plain_name(dtype: np.dtype) -> str:
    """Return what names a dtype on every machine."""
    return dtype.newbyteorder("<").str


def _own_name(cls: type) -> str | None:
    return f"{PACKAGE}.{cls.__name__}" if cls.__module__.split(".")[0] == PACKAGE else None


def _name_in_sklearn(cls: type) -> str | None:
    """Return the public name of a class of scikit-learn, such as sklearn.pipeline.Pipeline."""
    parts = cls.__module__.split(".")
    public = ".".join(part for part in parts if not part.startswith("_"))
    name = f"{public}.{cls.__qualname__}"
    return name if _sklearn_class(name) is cls else None


def _sklearn_class(name: str) -> type | None:
    """Return a public estimator of scikit-learn by its name, or None if it may not occur."""
    module, _, own_name = name.rpartition(".")
    if module not in [f"sklearn.{known}" for known in MODULES]:
        return None
    cls = vars(importlib.import_module(module)).get(own_name)
    return cls if isinstance(cls, type) and issubclass(cls, BaseEstimator) else None


# --- and back -----------------------------------------------------------------------------------


class _Decoder:
    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        classes: Iterable[type],
        custom_objects: Iterable[Any],
    ) -> None:
        self.arrays = dict(arrays)
        self.classes = {f"{PACKAGE}.{cls.__name__}": cls for cls in classes}
        self.custom = {item.__qualname__: item for item in custom_objects}

    def decode(self, tree: Any) -> Any:
        """Return the value of a JSON form."""
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "scalar": lambda content: self._array(content)[()],
            "float": self._float,
            "tuple": lambda content: tuple(self.decode(content)),
            "dict": lambda content: {self.decode(k): self.decode(v) for k, v in content},
            "slice": lambda content: slice(*self.decode(content)),
            "array": self._array,
            "tensor": lambda content: torch.from_numpy(self._array(content)),
            "dtype": self._dtype,
            "type": lambda content: self._dtype(content).type,
            "ufunc": self._ufunc,
            "path": Path,
            "random_state": self._random_state,
            "partial": self._partial,
            "method": self._method,
            "function": self._custom,
            "object": self._object,
        }
        return readers[kind](content)

    def _array(self, content: list[Any]) -> np.ndarray:
        if content[0] == "object":
            _, shape, items = content
            array = np.empty(len(items), dtype=object)
            array[:] = self.decode(items)
            return array.reshape(shape)
        name, shape, axes, key = content
        dtype = self._dtype(name)
        plain = np.array(self.arrays.pop(key))  # each once, so that a file is no larger than it is
        stored_as_bytes = dtype.kind in "USmM" or dtype.itemsize > 8
        if plain.dtype != (np.uint8 if stored_as_bytes else dtype):
            raise TypeError(f"an array of {plain.dtype} in place of {dtype}")
        in_memory = plain.view(dtype).reshape([shape[axis] for axis in axes])
        return in_memory.transpose(np.argsort(axes))

    @staticmethod
    def _dtype(name: Any) -> np.dtype:
        # NumPy takes other text for lists of dtypes, and has Python parse parts of it.
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise TypeError(f"the dtype {name!r}")
        dtype = np.dtype(name)
        if dtype.kind not in "biufUSmMO" or dtype.names is not None:
            raise TypeError(f"the dtype {dtype}")
        return dtype

    @staticmethod
    def _float(name: str) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[name]

    @staticmethod
    def _ufunc(name: str) -> np.ufunc:
        function = vars(np).get(name)
        if not isinstance(function, np.ufunc):
            raise TypeError(f"numpy.{name}, which is no universal function")
        return function

    def _random_state(self, content: Any) -> np.random.RandomState:
        random_state = np.random.RandomState()
        random_state.set_state(self.decode(content))
        return random_state

    def _partial(self, content: Any) -> Any:
        function, args, keywords = self.decode(content)
        if not isinstance(function, MethodType):
            raise TypeError(f"a partial {function!r}")
        return partial(function, *args, **keywords)

    def _method(self, content: Any) -> Any:
        tree, name = content
        owner = self.decode(tree)
        own = (*self.classes.values(), *(c for c in self.custom.values() if isinstance(c, type)))
        if not (name.startswith(BUILDERS) and isinstance(owner, own)):
            raise TypeError(f"the method {name}")
        return getattr(owner, name)

    def _custom(self, name: str) -> Any:
        if name not in self.custom:
            raise _UnknownNameError(
                f"It names {name!r}, which is not known here. If you trust it, import it and pass "
                f"it as custom_objects=[{name.split('.')[-1]}]."
            )
        return self.custom[name]

    def _object(self, content: Any) -> Any:
        name, tree = content
        cls = self.classes.get(name)
        if cls is None and str(name).startswith("custom."):
            cls = self._custom(name.removeprefix("custom."))
        if cls is None:
            cls = _sklearn_class(str(name))
        if cls is None:
            raise _UnknownNameError(
                f"It names the class {name!r}, which is none of this version of sgan_sklearn nor "
                "one of scikit-learn's that may be loaded."
            )
        state = self.decode(tree)
        if any(state.get(attribute) is not None for attribute in FORBIDDEN):
            raise TypeError(f"a {name} with a cache of pickles")
        if hasattr(cls, "_fields"):
            return cls(**state)
        if hasattr(cls, "_from_plain_state"):
            return cls._from_plain_state(state)
        made: Any = object.__new__(cls)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            vars(made).update(state)
        return made
