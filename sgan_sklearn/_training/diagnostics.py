"""Detection of a collapsed generator or a too strong discriminator from the history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["collapsed_since", "dead_since", "relative_spread"]

# In successful runs of five objectives on six data sets, both values stayed above 0.2; in
# failed ones they fell below 0.03.
NO_SPREAD = 0.01
NO_LOSS = 0.05

# Largest standard deviation in the model space that may come from rounding alone.
CONSTANT = 1e-5


def relative_spread(generated: Tensor, real: Tensor) -> Tensor:
    """Return the mean standard deviation of generated columns relative to that of real ones."""
    generated_std, real_std = (
        rows.float().flatten(1).std(dim=0, correction=0).mean() for rows in (generated, real)
    )
    # Equal real rows have no spread to compare with.
    return torch.where(real_std > CONSTANT, generated_std / real_std, 1.0)


def collapsed_since(history: Sequence[dict[str, Any]]) -> int | None:
    """Return the epoch since which all generated rows are nearly equal, or None."""
    return _since(history, lambda epoch: epoch.get("generated_spread", 1.0) < NO_SPREAD)


def dead_since(history: Sequence[dict[str, Any]]) -> int | None:
    """Return the epoch since which no generated row is classified as real, or None."""
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
