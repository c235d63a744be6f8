"""Signs in the history that the two networks no longer learn from each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["collapsed_since", "dead_since", "relative_spread"]

# Healthy trainings, of five objectives on six data sets, never were below 0.2 in either; the ruined
# ones went below 0.03.
NO_SPREAD = 0.01
NO_LOSS = 0.05

# A deviation in the model space that is nothing but rounding.
CONSTANT = 1e-5


def relative_spread(generated: Tensor, real: Tensor) -> Tensor:
    """Return the mean standard deviation of generated columns against that of real ones."""
    of_generated, of_real = (
        rows.float().flatten(1).std(dim=0, correction=0).mean() for rows in (generated, real)
    )
    # Rows that are all the same are no measure, rounded as they may be.
    return torch.where(of_real > CONSTANT, of_generated / of_real, 1.0)


def collapsed_since(history: Sequence[dict[str, Any]]) -> int | None:
    """Return the epoch since which all generated rows were nearly equal, or None."""
    return _since(history, lambda epoch: epoch.get("generated_spread", 1.0) < NO_SPREAD)


def dead_since(history: Sequence[dict[str, Any]]) -> int | None:
    """Return the epoch since which no generated row was taken for a real one, or None."""
    return _since(
        history, lambda epoch: epoch.get("real", 1.0) + epoch.get("generated", 1.0) < NO_LOSS
    )


def _since(
    history: Sequence[dict[str, Any]], is_so: Callable[[dict[str, Any]], bool]
) -> int | None:
    n_epochs = len(history)
    while n_epochs and is_so(history[n_epochs - 1]):
        n_epochs -= 1
    return None if n_epochs == len(history) else n_epochs + 1
