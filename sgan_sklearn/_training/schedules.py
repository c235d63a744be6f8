"""Learning-rate schedules: factors of both learning rates.

One function for each schedule, and :data:`SCHEDULES` at the bottom.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "scheduled_factor"]

# Share of the training in which the rates of "one_cycle" increase, and the first factor.
WARM_UP, FIRST = 0.1, 0.1


def linear(passed: float) -> float:
    """Decrease linearly to zero: ``1 - t``."""
    return 1 - passed


def cosine(passed: float) -> float:
    """Decrease to zero along a cosine: ``(1 + cos(pi t)) / 2``."""
    return (1 + math.cos(math.pi * passed)) / 2


def one_cycle(passed: float) -> float:
    """Increase linearly from 0.1 to 1 in the first tenth of the training, then decrease to zero."""
    if passed < WARM_UP:
        return FIRST + (1 - FIRST) * passed / WARM_UP
    return (1 - passed) / (1 - WARM_UP)


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
    "one_cycle": one_cycle,
}
