"""Early stopping on labeled rows that are held back from the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from sgan_sklearn._data.stratification import draw_stratified, stratified_counts

if TYPE_CHECKING:
    from sgan_sklearn._data.labels import Labels
    from sgan_sklearn._runtime.random import RandomState

__all__ = ["EarlyStopping", "draw_validation_rows"]


def draw_validation_rows(labels: Labels, fraction: float, random_state: RandomState) -> np.ndarray:
    """Return the mask of labeled rows to hold back, or raise ValueError if there are too few."""
    labeled = np.flatnonzero(labels.codes >= 0)
    codes = labels.codes[labeled]
    n_classes, n_labeled = len(labels.classes), len(labeled)
    n_held = round(fraction * n_labeled)
    counts = np.bincount(codes)
    if not n_classes <= n_held <= n_labeled - n_classes or counts.min() < 2:
        rarest = labels.classes.tolist()[counts.argmin()]
        remedy = f"Label more rows, such as of {rarest!r}, which has {counts.min()}"
        if counts.min() >= 2:
            least, most = n_classes / n_labeled, 1 - n_classes / n_labeled
            remedy = f"Choose a validation_fraction from {least:.2g} to {most:.2g}, label more rows"
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} would hold {n_held} of "
            f"{n_labeled} labeled rows back, but needs one of each of the {n_classes} classes on "
            f"either side. {remedy}, or set early_stopping=False."
        )
    wanted = stratified_counts(counts - 1, n_held)  # so that one of each class is left
    held = draw_stratified(codes, wanted, n_held, check_random_state(random_state))
    mask = np.zeros(len(labels.codes), dtype=bool)
    mask[labeled[held]] = True
    return mask


class EarlyStopping:
    """Watches the accuracy on validation rows, and keeps the best epoch.

    Parameters
    ----------
    n_iter_no_change : int
        Epochs without a gain after which the training is to stop.
    tol : float
        What counts as a gain.
    """

    def __init__(self, n_iter_no_change: int, tol: float) -> None:
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.best_score = -np.inf
        self.best: dict[str, Any] | None = None
        self.n_without_gain = 0

    def look(self, net: Any, score: float) -> None:
        """Record the score of an epoch, and ask for the end if there is no gain."""
        net.history.record("validation_score", score)
        gained = score >= self.best_score + self.tol
        self.n_without_gain = 0 if gained else self.n_without_gain + 1
        # Few rows often give equal scores; the later epoch has learned more from the unlabeled.
        if score >= self.best_score:
            self.best_score, self.best = score, net.snapshot()
        net.stop_training_ = net.stop_training_ or self.n_without_gain >= self.n_iter_no_change

    def restore_best(self, net: Any) -> None:
        """Go back to the best epoch, if one was scored."""
        if self.best is not None:
            net.restore(self.best)
