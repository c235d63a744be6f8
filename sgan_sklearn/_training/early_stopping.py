"""Early stopping on labeled rows that are held out of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from sgan_sklearn._data.stratification import draw_stratified, stratified_counts
from sgan_sklearn._target import ClassTarget

if TYPE_CHECKING:
    from sgan_sklearn._data.labels import Labels
    from sgan_sklearn._runtime.random import RandomState

__all__ = ["EarlyStopping", "draw_validation_rows", "validation_scores"]


def draw_validation_rows(labels: Labels, fraction: float, random_state: RandomState) -> np.ndarray:
    """Return the mask of labeled rows to hold out; raise ValueError if there are too few."""
    labeled = np.flatnonzero(ClassTarget.is_labeled(labels.codes))
    # With class probabilities, some classes may be the most probable ones of no row.
    present, codes = np.unique(labels.codes[labeled], return_inverse=True)
    n_classes, n_labeled = len(present), len(labeled)
    n_held = round(fraction * n_labeled)
    counts = np.bincount(codes)
    if not n_classes <= n_held <= n_labeled - n_classes or counts.min() < 2:
        rarest = labels.classes[present].tolist()[counts.argmin()]
        remedy = f"Label more rows, such as of {rarest!r}, which has {counts.min()}"
        if counts.min() >= 2:
            least, most = n_classes / n_labeled, 1 - n_classes / n_labeled
            remedy = f"Choose a validation_fraction from {least:.2g} to {most:.2g}, label more rows"
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} would hold out {n_held} of "
            f"{n_labeled} labeled rows, but both parts need a row of each of the {n_classes} "
            f"classes. {remedy}, or set early_stopping=False."
        )
    wanted = stratified_counts(counts - 1, n_held)  # at least one row of each class is trained on
    held = draw_stratified(codes, wanted, n_held, check_random_state(random_state))
    mask = np.zeros(len(labels.codes), dtype=bool)
    mask[labeled[held]] = True
    return mask


class EarlyStopping:
    """Stop a training without improvement on the validation rows, and keep the best epoch.

    Parameters
    ----------
    n_iter_no_change : int
        Number of epochs without improvement after which the training stops.
    tol : float
        Smallest increase of the score that counts as an improvement.
    """

    def __init__(self, n_iter_no_change: int, tol: float) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.best_score = -np.inf
        self.best: dict[str, Any] | None = None
        self.n_without_gain = 0

    def update(self, net: Any, score: float) -> None:
        """Record the score of an epoch, and stop the training if there is no improvement."""
        net.history.record("validation_score", score)
        gained = score >= self.best_score + self.tol
        self.n_without_gain = 0 if gained else self.n_without_gain + 1
        # Few rows often give equal scores; the later epoch has seen more unlabeled rows.
        if score >= self.best_score:
            self.best_score, self.best = score, net.snapshot()
        net.stop_training_ = net.stop_training_ or self.n_without_gain >= self.n_iter_no_change

    def restore_best(self, net: Any) -> None:
        """Restore the weights of the best epoch, if there is one."""
        if self.best is not None:
            net.restore(self.best)

    def state_dict(self) -> dict[str, Any]:
        """Return what changes during a training."""
        return {
            "best_score": self.best_score,
            "best": self.best,
            "n_without_gain": self.n_without_gain,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the state of an earlier run."""
        vars(self).update(state)


def validation_scores(history: list[dict[str, Any]]) -> list[float]:
    """Return the scores of epochs; one in which the training diverged has none."""
    return [epoch["validation_score"] for epoch in history if "validation_score" in epoch]
