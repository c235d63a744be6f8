"""Learning-rate schedules: the factor of both rates, by the share of the training that passed.

One function for each, and :data:`SCHEDULES` at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["SCHEDULES"]


def linear(passed: float) -> float:
    """Fall evenly to zero: ``1 - t``."""
    return 1 - passed


def cosine(passed: float) -> float:
    """Fall to zero, slowly at the start and at the end: ``(1 + cos(pi t)) / 2``."""
    return (1 + math.cos(math.pi * passed)) / 2


SCHEDULES: dict[str, Callable[[float], float] | None] = {
    "constant": None,
    "linear": linear,
    "cosine": cosine,
}
