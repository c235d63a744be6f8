"""Detection of failed training in the history, and warnings about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn.objectives import OBJECTIVES, FeatureMatching

__all__ = ["relative_spread", "warn_about_failures"]

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


def warn_about_failures(net: Any, *, early_stopping: bool) -> None:
    """Warn if a training was interrupted, has diverged, or if one network dominates the other."""
    n_epochs = len(net.history)
    if net.interrupted_:
        warn_user(
            f"The training was interrupted after {n_epochs} complete epochs. The estimator keeps "
            "the model so far: it can predict, or continue with warm_start=True. In a search, such "
            "as GridSearchCV, this estimator is a clone and is lost."
        )
    discriminator_lr = f"discriminator_lr (now {net.optimizer__lr})"
    generator_lr = f"generator_lr (now {net.generator_optimizer__lr})"
    if net.diverged_:
        epoch = "the best epoch" if early_stopping else "the epoch before"
        kept = f"the model of {epoch} is kept" if net.n_steps_ else "it is untrained"
        warn_user(
            f"The training diverged in epoch {n_epochs} and was stopped; {kept}. Lower "
            f"{discriminator_lr} or {generator_lr}.",
            ConvergenceWarning,
        )
        return
    history = net.history
    if early_stopping:  # up to the epoch that is kept
        scores = [epoch.get("validation_score", -1.0) for epoch in history] or [-1.0]
        history = history[: len(scores) - int(np.argmax(scores[::-1]))]
    collapsed, dead = collapsed_since(history), dead_since(history)
    # Terms of the same names may have another meaning in a user's own objective. Features that are
    # normalized for each kind of rows teach the generator even then.
    is_known = isinstance(net.objective, tuple(OBJECTIVES.values()))
    matches_normalized = (
        isinstance(net.objective, FeatureMatching) and net.module_.uses_batch_statistics
    )
    if not is_known or matches_normalized:
        dead = None
    if collapsed is not None:
        warn_user(
            f"The generator has collapsed: since epoch {collapsed} of {n_epochs} its rows are "
            "nearly equal ('generated_spread' in history_), so that the discriminator learns "
            f"nothing from them and sample is of no use. Lower {generator_lr}.",
            ConvergenceWarning,
        )
    elif dead is not None:
        warn_user(
            f"The discriminator is too strong: since epoch {dead} of {n_epochs} it distinguishes "
            "all generated rows from real ones ('real' and 'generated' in history_ are near zero), "
            f"so that neither network learns from the other. Raise {generator_lr}, lower "
            f"{discriminator_lr}, or add noise to the architecture.",
            ConvergenceWarning,
        )
