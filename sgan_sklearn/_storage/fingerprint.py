"""Hash that identifies a training run: its parameters, rows, labels and user-defined code."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import gen_batches
from torch import Tensor, nn

__all__ = ["fingerprint"]

# Number of bytes of an array that are hashed at a time, so that memory maps are not copied.
CHUNK_BYTES = 2**24

# Packages whose code is not hashed, since their versions identify it.
LIBRARIES = ("abc", "builtins", "numpy", "scipy", "sgan_sklearn", "sklearn", "skorch", "torch")

# Attributes of a class other than its methods and constants.
IGNORED = {"_abc_impl", "__annotations__", "__dict__", "__doc__", "__firstlineno__"}
IGNORED |= {"__module__", "__qualname__", "__static_attributes__", "__weakref__"}


def fingerprint(*values: Any) -> str:
    """Return a 16-digit hash that is the same in every process for equal values.

    For functions and classes outside of the libraries, the hash includes the code, the constants,
    and the functions, classes and globals of simple types that the code refers to.
    """
    digest = hashlib.sha256()
    for part in _Parts().of(values):
        # Include the lengths, so that "ab", "c" differs from "a", "bc".
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


class _Parts:
    """Conversion of values to bytes, with each function and class included once."""

    def __init__(self) -> None:
        self._seen: list[Any] = []

    def of(self, value: Any) -> Iterator[bytes]:
        match value:
            # Convert NumPy numbers to Python numbers, since their repr depends on print options.
            case np.generic() if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
                value = value.item()
            case np.generic():
                value = np.asarray(value)
        yield type(value).__qualname__.encode()
        match value:
            case np.ndarray() if value.dtype != object:
                yield from self._array_parts(value)
            case np.ndarray():
                yield repr(value.shape).encode()
                yield from self.of(value.tolist())
            case Tensor():
                yield from self.of(value.detach().cpu().numpy())
            case dict():
                for key, item in sorted(value.items(), key=lambda pair: str(pair[0])):
                    yield from self.of(key)
                    yield from self.of(item)
            case list() | tuple():
                yield str(len(value)).encode()
                for item in value:
                    yield from self.of(item)
            case set() | frozenset():
                yield from sorted(b"".join(_Parts().of(item)) for item in value)
            case BaseEstimator():
                yield from self._class_parts(type(value))
                yield from self.of(value.get_params(deep=False))
            case nn.Module():
                yield repr(value).encode()
                for module in value.modules():
                    yield from self._class_parts(type(module))
                yield from self.of(dict(value.state_dict()))
            case partial():
                yield from self.of([value.func, value.args, value.keywords])
            case FunctionType():
                yield from self._function_parts(value)
            case type():
                yield value.__qualname__.encode()
                yield from self._class_parts(value)
            case None | bool() | int() | float() | str() | bytes():
                yield repr(value).encode()
            case _:
                with suppress(Exception):  # other objects count by their class
                    yield pickle.dumps(value)

    @staticmethod
    def _array_parts(array: np.ndarray) -> Iterator[bytes]:
        yield repr((array.dtype.str, array.shape)).encode()
        rows = np.atleast_1d(array)
        n_rows = 1 + CHUNK_BYTES * len(rows) // (1 + rows.nbytes)
        for part in gen_batches(len(rows), n_rows):
            yield rows[part].tobytes()

    def _function_parts(self, function: FunctionType) -> Iterator[bytes]:
        if self._is_known(function):
            return
        cells = [_content(cell) for cell in function.__closure__ or ()]
        yield from self._code_parts(function.__code__)
        yield from self.of([function.__defaults__, function.__kwdefaults__, cells])
        for name in sorted(_names(function.__code__) & set(function.__globals__)):
            item = function.__globals__[name]
            if isinstance(item, type | FunctionType) or _is_plain(item):
                yield name.encode()
                yield from self.of(item)

    def _code_parts(self, code: CodeType) -> Iterator[bytes]:
        # Exclude the file name and the line numbers.
        yield code.co_code
        yield from self.of(code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from self._code_parts(constant)
            else:
                yield from self.of(constant)

    def _class_parts(self, cls: type) -> Iterator[bytes]:
        """Yield the methods and constants of a class and its bases."""
        for base in cls.__mro__:
            if self._is_known(base):
                continue
            for name, item in sorted(vars(base).items()):
                # Include class methods and the accessors of properties.
                parts = [getattr(item, kind, None) for kind in ("__func__", "fget", "fset")]
                parts = [part for part in (item, *parts) if isinstance(part, FunctionType)]
                if name not in IGNORED and (parts or _is_plain(item)):
                    yield name.encode()
                    yield from self.of(parts or item)

    def _is_known(self, item: Any) -> bool:
        """Return whether a function or a class belongs to a library or was already included."""
        in_library = item.__module__.split(".")[0] in LIBRARIES if item.__module__ else False
        if in_library or any(item is other for other in self._seen):
            return True
        self._seen.append(item)
        return False


def _names(code: CodeType) -> set[str]:
    """Return the names that a function and its nested functions use."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _is_plain(value: Any) -> bool:
    """Return whether a value contains only numbers and text."""
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(item) for key, item in value.items())
    if isinstance(value, np.ndarray):
        return value.dtype != object
    return value is None or isinstance(
        value, bool | int | float | str | bytes | np.generic | Tensor
    )
