"""Conversion of fitted objects to JSON and arrays, and back, restricted to known classes.

JSON's null, booleans, strings, lists and numbers represent themselves. Everything else is an object
with one key that names its type, such as ``{"tuple": [1, 2]}``.

An estimator is restored by its constructor from parameters that its class accepts, and gets only
the fitted attributes that its class can have: see `_check_attributes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from sgan_sklearn._data.dtypes import numpy_dtype
from sgan_sklearn._storage.sklearn_parts import (
    UNNEEDED,
    check_fitted,
    check_params,
    sklearn_class,
    sklearn_name,
)

__all__ = ["decode", "encode"]

PACKAGE = __name__.split(".")[0]

_REMEDY = "which cannot be saved without pickle: use skops or joblib instead"

# Kinds of dtypes that can be stored, and those that are stored as bytes.
_KINDS, _AS_BYTES = "biufUSmM", "USmM"

# Parameters that must be None: a joblib cache is read with pickle.
FORBIDDEN = ("memory",)

# Maximum nesting of lists and dicts, nesting of estimators, and number of estimators. Each level of
# a pipeline doubles the time that scikit-learn takes to display it.
MAX_DEPTH = 100
MAX_NESTED = 8
MAX_ESTIMATORS = 1_000

# Maximum number of dict keys that are not strings, since equal hashes would take quadratic time.
MAX_NUMBER_KEYS = 10_000

# Fitted attributes of the classes of this package.
_LEARNED = {"Distillation": ("factor_", "n_classes_"), "SpreadLabels": ("n_classes_",)}


def encode(value: Any, name: str) -> tuple[dict[str, np.ndarray], Any, list[Any]]:
    """Convert a value to arrays and a JSON value, which `decode` converts back.

    Parameters
    ----------
    value : object
        Numbers, strings, arrays, tensors, lists, dicts, estimators of scikit-learn and of this
        package, and nested combinations of these. Only the names of other estimators and functions
        are stored.
    name : str
        Name of the value in messages.

    Returns
    -------
    arrays : dict of str to ndarray
        Arrays of the value.
    tree : object
        JSON value that refers to the arrays.
    custom : list of type or function
        Classes and functions that must be passed to `decode` as `custom_objects`.

    Raises
    ------
    TypeError
        If the value contains any other object.
    """
    encoder = _Encoder()
    try:
        tree = encoder.encode(value, name)
    except RecursionError as error:
        raise TypeError(f"{name} contains itself, {_REMEDY}") from error
    return encoder.arrays, tree, encoder.custom


def decode(
    arrays: dict[str, np.ndarray],
    tree: Any,
    classes: Iterable[type] = (),
    custom_objects: Iterable[Any] = (),
) -> Any:
    """Restore a value from the results of `encode`.

    Parameters
    ----------
    arrays, tree
        Results of `encode`.
    classes : iterable of type
        Allowed classes of this package.
    custom_objects : iterable of type or function
        Other allowed classes and functions, identified by their ``__qualname__``.

    Raises
    ------
    ValueError
        If the tree refers to anything else, or is not a result of `encode`.
    """
    decoder = _Decoder(arrays, classes, custom_objects)
    try:
        return decoder.decode(tree)
    except _UnknownNameError as error:
        raise ValueError(str(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # a forged file may cause any error
        raise ValueError(
            f"It does not describe a model: {type(error).__name__}: {error}"
        ) from error


class _UnknownNameError(Exception):
    """The tree refers to a class or a function that is not allowed."""


def _check_attributes(estimator: Any, fitted: dict[str, Any]) -> None:
    """Check the names of fitted attributes, and the values of those of scikit-learn.

    Classes of this package may only have the listed attributes. Attributes of user-defined classes
    must not replace a class attribute, such as a method, or start with two underscores.
    """
    cls = type(estimator)
    if sklearn_name(cls) is not None:
        check_fitted(estimator, fitted)
        return
    in_package = cls.__module__.split(".")[0] == PACKAGE
    for name in fitted:
        if in_package:
            allowed = name in _LEARNED.get(cls.__name__, ())
        else:
            allowed = name.isidentifier() and (name.endswith("_") or name.startswith("_"))
            allowed = allowed and not name.startswith("__") and not hasattr(cls, name)
        if not allowed:
            raise ValueError(f"A {cls.__name__} cannot have a fitted attribute named {name!r}.")


# --- encoding -----------------------------------------------------------------------------------


class _Encoder:
    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.custom: list[Any] = []

    def encode(self, value: Any, name: str) -> Any:
        """Return the JSON form of a value; `name` is used in messages."""
        # Subclasses, such as OrderedDict, are excluded, since they would not be restored.
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
        function_name: Any = getattr(value, "__name__", None)
        match value:
            case np.generic():
                return {"scalar": self._array(np.asarray(value), name)}
            case Tensor() if value.layout is torch.strided and value.dtype is not torch.bfloat16:
                return {"tensor": self._array(value.detach().cpu().numpy(), name)}
            case np.dtype() if value.names is None:
                return {"dtype": value.str}
            case np.ufunc() if vars(np).get(function_name) is value:
                return {"ufunc": function_name}
            case np.random.RandomState():
                state = value.get_state(legacy=False)
                if state["bit_generator"] == "MT19937":
                    return {"random_state": self.encode(state, name)}
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
        """Store an array and return its dtype, shape and key; objects are encoded in place."""
        array = np.asarray(array)
        if array.dtype == object:
            return ["object", list(array.shape), self._items(array.ravel().tolist(), name)]
        if array.dtype.kind not in _KINDS or array.dtype.itemsize == 0:
            raise TypeError(f"{name} is an array of dtype {array.dtype}, {_REMEDY}")
        # Keep the memory order, since it affects the last digits of sums.
        axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
        plain = array.transpose(axes).ravel().astype(array.dtype.newbyteorder("<"))
        if _stored_as_bytes(array.dtype):
            plain = plain.view(np.uint8)
        key = str(len(self.arrays))
        self.arrays[key] = plain
        return [array.dtype.newbyteorder("<").str, list(array.shape), axes, key]

    def _object(self, value: Any, name: str) -> Any:
        cls = type(value)
        if hasattr(value, "cv_results_"):
            hint = "" if hasattr(value, "best_estimator_") else ", which requires refit=True,"
            raise TypeError(
                f"{name} is a fitted {cls.__qualname__}, which cannot be saved without pickle. "
                f"Save its best_estimator_{hint} instead."
            )
        if not isinstance(value, BaseEstimator):
            raise TypeError(f"{name} is {value!r} of the class {cls.__qualname__}, {_REMEDY}")
        return [self._class_name(cls), self._state(value, name)]

    def _class_name(self, cls: type) -> str:
        if cls.__module__.split(".")[0] == PACKAGE:
            return f"{PACKAGE}.{cls.__name__}"
        if sklearn_name(cls) is not None:
            return f"sklearn.{sklearn_name(cls)}"
        self.custom.append(cls)
        return f"custom.{cls.__qualname__}"

    def _state(self, value: Any, name: str) -> dict[str, Any]:
        """Return parameters and fitted attributes, or the saved state of a classifier."""
        keeps_state = hasattr(value, "_state_to_save")
        params = value._params_to_save() if keeps_state else value.get_params(deep=False)
        for parameter in FORBIDDEN:
            if params.get(parameter) is not None:
                raise TypeError(
                    f"{name} has {parameter}={params[parameter]!r}, {_REMEDY}, or set it to None"
                )
        state = value._state_to_save() if keeps_state else value.__getstate__()
        if not isinstance(state, dict):
            raise TypeError(f"{name}, {value!r}, has a state that is not a dict, {_REMEDY}")
        excluded = () if keeps_state else (*params, *UNNEEDED)
        fitted = {k: v for k, v in state.items() if k not in excluded}
        return {
            "params": {k: self.encode(v, f"{name}.{k}") for k, v in params.items()},
            "fitted": {k: self.encode(v, f"{name}.{k}") for k, v in fitted.items()},
        }


def _stored_as_bytes(dtype: np.dtype) -> bool:
    return dtype.kind in _AS_BYTES or dtype.itemsize > 8


# --- decoding -----------------------------------------------------------------------------------


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
        self.depth = self.n_nested = self.n_estimators = 0

    def decode(self, tree: Any) -> Any:
        """Return the value of a JSON form."""
        if not isinstance(tree, list | dict):
            return tree
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
        value = self._decoded(tree)
        self.depth -= 1
        return value

    def _decoded(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.decode(item) for item in tree]
        ((kind, content),) = tree.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "scalar": lambda content: self._array(content)[()],
            "float": self._float,
            "tuple": lambda content: tuple(self.decode(content)),
            "dict": self._dict,
            "slice": self._slice,
            "array": self._array,
            "tensor": lambda content: torch.from_numpy(self._array(content)),
            "dtype": self._dtype,
            "type": lambda content: self._dtype(content).type,
            "ufunc": self._ufunc,
            "random_state": self._random_state,
            "function": self._function,
            "object": self._object,
        }
        return readers[kind](content)

    def _array(self, content: list[Any]) -> np.ndarray:
        if content[0] == "object":
            _, shape, items = content
            array = np.empty(len(items), dtype=object)
            array[:] = self.decode(items)
            return array.reshape(self._shape(shape))
        name, shape, axes, key = content
        dtype, shape = self._dtype(name), self._shape(shape)
        # Use each array once, so that a model is no larger than its file.
        plain = np.array(self.arrays.pop(key))
        if plain.ndim != 1 or plain.dtype != (np.uint8 if _stored_as_bytes(dtype) else dtype):
            raise TypeError(f"an array of {plain.dtype} instead of {dtype}")
        in_memory = plain.view(dtype).reshape([shape[axis] for axis in axes])
        return in_memory.transpose(np.argsort(axes))

    @staticmethod
    def _shape(shape: Any) -> list[int]:
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise TypeError(f"invalid shape {shape!r}")
        return shape

    @staticmethod
    def _dtype(name: Any) -> np.dtype:
        return numpy_dtype(name, f"{_KINDS}O")

    @staticmethod
    def _float(name: str) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[name]

    def _dict(self, content: Any) -> dict[Any, Any]:
        if sum(type(key) is not str for key, _ in content) > MAX_NUMBER_KEYS:
            raise ValueError(f"a dict with more than {MAX_NUMBER_KEYS} keys that are not strings")
        return {self.decode(key): self.decode(value) for key, value in content}

    def _slice(self, content: Any) -> slice:
        parts = self.decode(content)
        if not all(part is None or isinstance(part, str | int) for part in parts):
            raise TypeError(f"a slice of {parts!r}")
        return slice(*parts)

    @staticmethod
    def _ufunc(name: str) -> np.ufunc:
        function = vars(np).get(name)
        if not isinstance(function, np.ufunc):
            raise TypeError(f"numpy.{name} is not a universal function")
        return function

    def _random_state(self, content: Any) -> np.random.RandomState:
        """Return a random generator with a state, whose fields NumPy does not check."""
        random_state = np.random.RandomState(0)
        given, known = self.decode(content), random_state.get_state(legacy=False)
        state, has_gauss, gauss = given["state"], given["has_gauss"], given["gauss"]
        typed = type(state["pos"]) is int and type(has_gauss) is int and type(gauss) is float
        if not (
            typed
            and set(given) == set(known)
            and set(state) == {"key", "pos"}
            and isinstance(state["key"], np.ndarray)
            and state["key"].dtype == np.uint32
            and state["key"].shape == known["state"]["key"].shape
            and 0 <= state["pos"] <= len(state["key"])
            and has_gauss in (0, 1)
            and math.isfinite(gauss)
        ):
            raise ValueError("invalid state of a random generator")
        random_state.set_state(given)
        return random_state

    def _function(self, name: Any) -> Any:
        function = self._custom(name)
        if not isinstance(function, FunctionType):
            raise TypeError(f"{name} is not a function")
        return function

    def _custom(self, name: Any) -> Any:
        if name not in self.custom:
            raise _UnknownNameError(
                f"It refers to {name!r}, which is unknown. If you trust it, import it and pass it "
                f"as custom_objects=[{name.split('.')[-1]}]."
            )
        return self.custom[name]

    def _object(self, content: Any) -> Any:
        self.n_nested, self.n_estimators = self.n_nested + 1, self.n_estimators + 1
        if self.n_nested > MAX_NESTED or self.n_estimators > MAX_ESTIMATORS:
            raise ValueError(
                f"it has more than {MAX_NESTED} levels of nested estimators, or more than "
                f"{MAX_ESTIMATORS} estimators"
            )
        estimator = self._estimator(content)
        self.n_nested -= 1
        return estimator

    def _estimator(self, content: Any) -> Any:
        name, state = content
        cls = self._class(str(name))
        params = {key: self.decode(value) for key, value in state["params"].items()}
        if any(params.get(parameter) is not None for parameter in FORBIDDEN):
            raise TypeError(f"a {name} with a cache of pickles")
        if sklearn_name(cls) is not None:
            check_params(name, params)
        estimator = cls(**params)
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        fitted = {key: self.decode(value) for key, value in state["fitted"].items()}
        if hasattr(cls, "_restore_state"):
            estimator._restore_state(fitted)
        else:
            _check_attributes(estimator, fitted)
            vars(estimator).update(fitted)
        return estimator

    def _class(self, name: str) -> Any:
        cls = self.classes.get(name)
        if cls is None and name.startswith("custom."):
            cls = self._custom(name.removeprefix("custom."))
        if cls is None and name.startswith("sklearn."):
            cls = sklearn_class(name.removeprefix("sklearn."))
        if not (isinstance(cls, type) and issubclass(cls, BaseEstimator)):
            raise _UnknownNameError(
                f"It refers to the class {name!r}, which is neither in this version of "
                "sgan_sklearn nor one of the scikit-learn classes that can be loaded."
            )
        return cls
