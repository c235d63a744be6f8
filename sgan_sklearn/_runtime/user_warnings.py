"""Warnings that are attributed to the code of the user."""

from __future__ import annotations

import sys
import warnings

__all__ = ["warn_user"]


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the first caller outside this package and libraries that call it."""
    inside = (__name__.split(".")[0], "contextlib", "joblib", "sklearn", "skorch")
    stacklevel, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(inside):
        stacklevel, frame = stacklevel + 1, frame.f_back
    warnings.warn(message, category, stacklevel=stacklevel)
