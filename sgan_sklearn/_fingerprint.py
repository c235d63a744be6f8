"""What tells one training from another: a digest of parameters, rows and labels."""

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

# Bytes of an array that are hashed at a time; a memory map is never copied as a whole.
BYTES_AT_A_TIME = 2**24


def fingerprint(*values: Any) -> str:
    """Return a digest, of 16 digits, that is the same in every process for equal values."""
    digest = hashlib.sha256()
    for part in _parts(values):
        # With lengths, lest "ab", "c" be the same as "a", "bc".
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:16]


def _parts(value: Any) -> Iterator[bytes]:
    yield type(value).__qualname__.encode()
    match value:
        case np.ndarray() if value.dtype != object:
            yield repr((value.dtype.str, value.shape)).encode()
            rows = np.atleast_1d(value)
            n_rows = 1 + BYTES_AT_A_TIME * len(rows) // (1 + rows.nbytes)
            for part in gen_batches(len(rows), n_rows):
                yield rows[part].tobytes()
        case np.ndarray():
            yield from _parts(value.tolist())
        case Tensor():
            yield from _parts(value.detach().cpu().numpy())
        case dict():
            for key, item in sorted(value.items(), key=lambda pair: str(pair[0])):
                yield from _parts(key)
                yield from _parts(item)
        case list() | tuple():
            for item in value:
                yield from _parts(item)
        case BaseEstimator():
            yield from _parts(value.get_params(deep=False))
        case nn.Module():
            yield repr(value).encode()
            yield from _parts(dict(value.state_dict()))
        case partial():
            yield from _parts([value.func, value.args, value.keywords])
        case FunctionType():
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            yield from _parts([value.__code__, value.__defaults__, value.__kwdefaults__, cells])
        case CodeType():
            # Not the name of its file nor its lines.
            yield value.co_code
            yield from _parts([value.co_names, list(value.co_consts)])
        case np.generic():  # whose repr depends on numpy.set_printoptions
            yield from _parts(np.asarray(value))
        case None | bool() | int() | float() | str():
            yield repr(value).encode()
        case _:
            with suppress(Exception):  # whatever it is, its class counts at least
                yield pickle.dumps(value)
