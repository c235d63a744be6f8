"""Learning-rate schedules: factors of both learning rates.

One function for each schedule, and :data:`SCHEDULES` at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "scheduled_factor"]


def linear(passed: float) -> float:
    """Decrease linearly to zero: ``1 - t``."""
    return 1 - passed


def cosine(passed: float) -> float:
    """Decrease to zero along a cosine: ``(1 + cos(pi t)) / 2``."""
    return (1 + math.cos(math.pi * passed)) / 2


def scheduled_factor(schedule: Callable[[float], float], passed: float) -> float:
    """Return the factor after a share of the training; raise ValueError if it is invalid."""
    factor = schedule(passed)
    if not 0 <= factor < math.inf:
        raise ValueError(
            "The 'lr_schedule' parameter of Training must return a factor of at least 0. "
            f"Got {factor!r} after {passed:.3f} of the training."
        )
    return factor


SCHEDULES: dict[str, Callable[[float], float] | None] = {
    "constant": None,
    "linear": linear,
    "cosine": cosine,
}
