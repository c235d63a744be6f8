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
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from sgan_sklearn._columns import frame_kind

__all__ = ["decode", "encode"]

PACKAGE = __name__.split(".")[0]

# Public estimators of scikit-learn: no module or name with an underscore before it.
OF_SKLEARN = re.compile(r"(sklearn(?:\.[a-z]\w*)+)\.([A-Z]\w*)")

# Attributes of scikit-learn's estimators that must be None: where a joblib cache is, which is read
# by pickle.
FORBIDDEN = ("memory",)


def encode(value: Any, name: str) -> tuple[dict[str, np.ndarray], Any]:
    """Return arrays and what JSON knows, of which `decode` makes the same value.

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
    tree = encoder.encode(value, name)
    return encoder.arrays, tree


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

    def encode(self, value: Any, name: str) -> Any:
        """Return the JSON form of a value; `name` is what messages call it."""
        match value:
            case None | bool() | str():
                return str(value) if isinstance(value, str) else value
            case np.generic():
                return {"scalar": self._array(np.asarray(value), name)}
            case int():
                return int(value)
            case float():
                return float(value) if math.isfinite(value) else {"float": repr(float(value))}
            case list():
                return self._items(value, name)
            case tuple() if not hasattr(value, "_fields"):
                return {"tuple": self._items(value, name)}
            case dict():
                return {"dict": self._pairs(value, name)}
            case slice():
                return {"slice": [value.start, value.stop, value.step]}
            case np.ndarray():
                return {"array": self._array(value, name)}
            case Tensor():
                return {"tensor": self._array(value.detach().cpu().numpy(), name)}
            case np.dtype() if value.names is None:
                return {"dtype": value.str}
            case np.ufunc():
                return {"ufunc": value.__name__}
            case PurePath():
                return {"path": str(value)}
            case np.random.RandomState():
                return {"random_state": self.encode(value.get_state(legacy=False), name)}
            case partial():
                parts = [value.func, list(value.args), value.keywords]
                return {"partial": self._items(parts, name)}
            case MethodType():
                return {"method": [self.encode(value.__self__, name), value.__name__]}
            case type() if issubclass(value, np.generic):
                return {"type": value.__name__}
            case FunctionType() if value.__name__ != "<lambda>":
                return {"function": value.__qualname__}
        return self._other(value, name)

    def _other(self, value: Any, name: str) -> Any:
        kind = frame_kind(value)
        if kind is not None and len(value) == 0:
            return {kind: self._frame(value, name)}
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
        # A matrix by columns gives other last digits than one by rows.
        order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
        plain = array.ravel(order).astype(array.dtype.newbyteorder("="))
        if array.dtype.kind in "USmM" or array.dtype.itemsize > 8:
            plain = plain.view(np.uint8)
        key = str(len(self.arrays))
        self.arrays[key] = plain
        return [plain_name(array.dtype), list(array.shape), order, key]

    def _frame(self, frame: Any, name: str) -> list[Any]:
        """Return the names and the dtypes of the columns of a frame without rows."""
        if frame_kind(frame) == "polars":
            return [[column, _polars_dtype(dtype)] for column, dtype in frame.schema.items()]
        columns = frame.columns
        names = self._items(columns.tolist(), f"{name}.columns")
        dtypes = [self._pandas_dtype(dtype, name) for dtype in frame.dtypes]
        of_names = None if columns.nlevels > 1 else self._pandas_dtype(columns.dtype, name)
        return [names, of_names, dtypes]

    def _pandas_dtype(self, dtype: Any, name: str) -> Any:
        import pandas

        if isinstance(dtype, pandas.CategoricalDtype):
            levels = dtype.categories
            if levels is None:
                return {"categories": None, "ordered": dtype.ordered}
            return {
                "categories": self._items(levels.tolist(), name),
                "dtype": self._pandas_dtype(levels.dtype, name),
                "ordered": dtype.ordered,
            }
        if pandas.api.types.pandas_dtype(str(dtype)) != dtype:
            raise TypeError(f"{name} has a column of the dtype {dtype!r}, {_REMEDY}")
        return str(dtype)

    def _object(self, value: Any, name: str) -> Any:
        cls = type(value)
        if hasattr(value, "_fields") and _own_name(cls):
            return [_own_name(cls), self.encode(value._asdict(), name)]
        key = _own_name(cls) or _name_in_sklearn(cls)
        if key is None and isinstance(value, BaseEstimator):
            key = f"custom.{cls.__qualname__}"
        if key is None:
            raise TypeError(f"{name} is {value!r} of the class {cls.__qualname__}, {_REMEDY}")
        state = value.plain_state() if hasattr(value, "plain_state") else value.__getstate__()
        if not isinstance(state, dict):
            raise TypeError(f"{name}, {value!r}, has a state that is no dict, {_REMEDY}")
        for attribute in FORBIDDEN:
            if state.get(attribute) is not None:
                raise TypeError(
                    f"{name} has {attribute}={state[attribute]!r}, {_REMEDY}, or set it to None"
                )
        pairs = [[key, self.encode(item, f"{name}.{key}")] for key, item in state.items()]
        return [key, {"dict": pairs}]


_REMEDY = "which is not kept without pickle: use skops or joblib instead"


def plain_name(dtype: np.dtype) -> str:
    """Return what names a dtype on every machine."""
    return dtype.newbyteorder("<").str


def _polars_dtype(dtype: Any) -> Any:
    name = dtype.__name__ if isinstance(dtype, type) else type(dtype).__name__
    match name:
        case "Enum":
            return [name, dtype.categories.to_list()]
        case "Decimal":
            return [name, dtype.precision, dtype.scale]
        case _:
            return [name]


def _own_name(cls: type) -> str | None:
    return f"{PACKAGE}.{cls.__name__}" if cls.__module__.split(".")[0] == PACKAGE else None


def _name_in_sklearn(cls: type) -> str | None:
    """Return the public name of a class of scikit-learn, such as sklearn.svm.SVC."""
    parts = cls.__module__.split(".")
    public = ".".join(part for part in parts if not part.startswith("_"))
    name = f"{public}.{cls.__qualname__}"
    return name if parts[0] == "sklearn" and _sklearn_class(name) is cls else None


def _sklearn_class(name: str) -> type | None:
    """Return a public estimator of scikit-learn by its name, or None if it has none such."""
    found = OF_SKLEARN.fullmatch(name)
    if found is None:
        return None
    try:
        module = importlib.import_module(found[1])
    except ImportError:
        return None
    cls = getattr(module, found[2], None)
    return cls if isinstance(cls, type) and issubclass(cls, BaseEstimator) else None


# --- and back -----------------------------------------------------------------------------------


class _Decoder:
    def __init__(
        self,
        arrays: dict[str, np.ndarray],
        classes: Iterable[type],
        custom_objects: Iterable[Any],
    ) -> None:
        self.arrays = arrays
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
            "slice": lambda content: slice(*content),
            "array": self._array,
            "tensor": lambda content: torch.from_numpy(self._array(content)),
            "dtype": self._dtype,
            "type": lambda content: np.dtype(content).type,
            "ufunc": self._ufunc,
            "path": Path,
            "random_state": self._random_state,
            "partial": self._partial,
            "method": self._method,
            "function": self._custom,
            "pandas": self._pandas_frame,
            "polars": self._polars_frame,
            "object": self._object,
        }
        return readers[kind](content)

    def _array(self, content: list[Any]) -> np.ndarray:
        if content[0] == "object":
            _, shape, items = content
            array = np.empty(len(items), dtype=object)
            array[:] = self.decode(items)
            return array.reshape(shape)
        name, shape, order, key = content
        dtype = self._dtype(name)
        plain = np.array(self.arrays[key])
        stored_as_bytes = dtype.kind in "USmM" or dtype.itemsize > 8
        if plain.dtype != (np.uint8 if stored_as_bytes else dtype):
            raise TypeError(f"an array of {plain.dtype} in place of {dtype}")
        return plain.view(dtype).reshape(shape, order=order)

    @staticmethod
    def _dtype(name: str) -> np.dtype:
        dtype = np.dtype(name)
        if dtype.kind not in "biufUSmMO" or dtype.names is not None:
            raise TypeError(f"the dtype {dtype}")
        return dtype

    @staticmethod
    def _float(name: str) -> float:
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[name]

    @staticmethod
    def _ufunc(name: str) -> np.ufunc:
        function = getattr(np, name)
        if not isinstance(function, np.ufunc):
            raise TypeError(f"numpy.{name}, which is no universal function")
        return function

    def _random_state(self, content: Any) -> np.random.RandomState:
        random_state = np.random.RandomState()
        random_state.set_state(self.decode(content))
        return random_state

    def _partial(self, content: Any) -> Any:
        function, args, keywords = self.decode(content)
        return partial(function, *args, **keywords)

    def _method(self, content: Any) -> Any:
        tree, name = content
        owner = self.decode(tree)
        own = (*self.classes.values(), *(c for c in self.custom.values() if isinstance(c, type)))
        if not (name.startswith("build_") and isinstance(owner, own)):
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
        if cls is None and name.startswith("custom."):
            cls = self._custom(name.removeprefix("custom."))
        if cls is None:
            cls = _sklearn_class(name)
        if cls is None:
            raise _UnknownNameError(
                f"It names the class {name!r}, which is none of scikit-learn nor of this version "
                "of sgan_sklearn."
            )
        state = self.decode(tree)
        if any(state.get(attribute) is not None for attribute in FORBIDDEN):
            raise TypeError(f"a {name} with a cache of pickles")
        if hasattr(cls, "_fields"):
            return cls(**state)
        if hasattr(cls, "from_plain_state"):
            return cls.from_plain_state(state)
        made: Any = object.__new__(cls)
        if hasattr(made, "__setstate__"):
            made.__setstate__(state)
        else:
            vars(made).update(state)
        return made

    # --- frames without rows --------------------------------------------------------------------

    def _pandas_frame(self, content: Any) -> Any:
        import pandas

        names, of_names, dtypes = content
        frame = pandas.DataFrame(
            {
                i: pandas.Series([], dtype=self._pandas_dtype(dtype))
                for i, dtype in enumerate(dtypes)
            }
        )
        dtype = None if of_names is None else self._pandas_dtype(of_names)
        frame.columns = pandas.Index(self.decode(names), dtype=dtype)
        return frame

    def _pandas_dtype(self, content: Any) -> Any:
        import pandas

        if isinstance(content, str):
            return pandas.api.types.pandas_dtype(content)
        levels = content["categories"]
        if levels is not None:
            dtype = self._pandas_dtype(content["dtype"])
            levels = pandas.Index(self.decode(levels), dtype=dtype)
        return pandas.CategoricalDtype(levels, ordered=content["ordered"])

    def _polars_frame(self, content: Any) -> Any:
        import polars

        schema = {}
        for column, (name, *arguments) in content:
            dtype = getattr(polars, name)
            if not (isinstance(dtype, type) and issubclass(dtype, polars.DataType)):
                raise TypeError(f"polars.{name}, which is no dtype")
            schema[column] = dtype(*arguments) if arguments else dtype
        return polars.DataFrame(schema=schema)
