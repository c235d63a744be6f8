"""Conversion between 64-bit integers and floats, exact wherever a float can be."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["EXACT", "difference", "multiples", "representable"]

# float64 represents all integers up to this value exactly.
EXACT = 2**53

_HALF = 0xFFFFFFFF
_LARGEST = float(np.nextafter(2.0**64, 0.0))


def difference(values: np.ndarray, origin: Any) -> np.ndarray:
    """Return integers minus an origin, or one origin per column, as float64.

    The upper and lower 32 bits are subtracted separately, so that nothing overflows and only their
    sum is rounded.
    """
    upper = (values >> 32).astype(np.float64) - _float(origin >> 32)
    lower = (values & _HALF).astype(np.float64) - _float(origin & _HALF)
    return upper * 2.0**32 + lower


def multiples(numbers: np.ndarray, low: int, high: int, step: int) -> np.ndarray:
    """Return ``low + step * round(numbers)``, at most `high`, as int64 or, if needed, uint64."""
    counts = np.clip(np.rint(numbers), 0.0, _LARGEST).astype(np.uint64)
    counts = np.minimum(counts, np.uint64((high - low) // step))
    # Unsigned integers wrap around modulo 2**64, so a negative `low` gives the right sum.
    values = counts * np.uint64(step) + np.uint64(low % 2**64)
    return values if high >= 2**63 else values.astype(np.int64)


def _float(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) else float(value)


def representable(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Clip numbers to the range of a dtype.

    The largest integer of a dtype, rounded to a float, may be one too large.
    """
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu" or values.dtype.kind != "f":
        return values
    limits = np.iinfo(dtype)
    highest = float(limits.max)
    if int(highest) > limits.max:
        highest = float(np.nextafter(highest, 0.0))
    return np.clip(values.astype(np.float64), limits.min, highest)
