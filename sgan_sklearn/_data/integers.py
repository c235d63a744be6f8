"""Integers of 64 bits as floats and back, exact wherever a float can be."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["EXACT", "difference", "multiples", "representable"]

# Integers up to this are floats of 64 bits as well.
EXACT = 2**53

_HALF = 0xFFFFFFFF
_LARGEST = float(np.nextafter(2.0**64, 0.0))


def difference(values: np.ndarray, origin: Any) -> np.ndarray:
    """Return integers minus an integer, or one for each column, as float64.

    Upper and lower halves are subtracted apart, so that nothing overflows and only their sum is
    rounded.
    """
    upper = (values >> 32).astype(np.float64) - _float(origin >> 32)
    lower = (values & _HALF).astype(np.float64) - _float(origin & _HALF)
    return upper * 2.0**32 + lower


def multiples(numbers: np.ndarray, low: int, high: int, step: int) -> np.ndarray:
    """Return `low` plus rounded numbers of steps, up to `high`; int64, or uint64 where needed."""
    counts = np.clip(np.rint(numbers), 0.0, _LARGEST).astype(np.uint64)
    counts = np.minimum(counts, np.uint64((high - low) // step))
    # Integers without a sign wrap around, and back.
    values = counts * np.uint64(step) + np.uint64(low % 2**64)
    return values if high >= 2**63 else values.astype(np.int64)


def _float(value: Any) -> Any:
    return value.astype(np.float64) if isinstance(value, np.ndarray) else float(value)


def representable(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Return numbers that a dtype can hold: as a float the largest integer is one too large."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "iu" or values.dtype.kind != "f":
        return values
    limits = np.iinfo(dtype)
    highest = float(limits.max)
    if int(highest) > limits.max:
        highest = float(np.nextafter(highest, 0.0))
    return np.clip(values.astype(np.float64), limits.min, highest)
