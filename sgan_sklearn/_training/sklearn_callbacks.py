"""Callbacks of scikit-learn 1.9 and later, called from the training of a skorch net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, indexable
from skorch.callbacks import Callback

from sgan_sklearn._data.labels import Labels
from sgan_sklearn._target import ClassTarget

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef] # mypy checks both branches
        """Empty class: this version of scikit-learn has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method: this version of scikit-learn has no callbacks."""
        return method


__all__ = ["CallbackSupportMixin", "epoch_reporters", "with_callbacks"]


class EpochReporter(Callback):
    """Call the callbacks that were set by ``set_callbacks``, for the fit and for each epoch.

    Parameters
    ----------
    estimator : estimator
        Estimator that is being fitted.
    X, y : array-like
        Labeled rows and their labels, for scorers.
    fitted : dict
        Attributes of the fitted estimator, except ``net_``.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, fitted: dict[str, Any]) -> None:
        self.estimator = estimator
        self.X = X
        self.y = y
        self.fitted = fitted

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin the task of the whole fit."""
        self.fit = self.estimator._init_callback_context(max_subtasks=net.max_epochs)
        self.fit.call_on_fit_task_begin(**self._arguments(net))

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        """Begin the task of an epoch."""
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self._arguments(net))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """End the task of an epoch; a callback may stop the training."""
        if self.epoch.call_on_fit_task_end(**self._arguments(net)):
            net.stop_training_ = True

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """End the task of the fit, and remove this callback from the net."""
        self.fit.call_on_fit_task_end(**self._arguments(net))
        net.callbacks.remove(self)
        net.callbacks_ = [pair for pair in net.callbacks_ if pair[1] is not self]

    def _arguments(self, net: Any) -> dict[str, Any]:
        return {
            "estimator": self.estimator,
            "X": self.X,
            "y": self.y,
            # A function, because only some callbacks need a copy of the net.
            "reconstruction_attributes": lambda: {**self.fitted, "net_": net.copied()},
        }


def epoch_reporters(
    estimator: Any, X: Any, labels: Labels, fitted: dict[str, Any]
) -> list[EpochReporter]:
    """Return the reporters that call the estimator's callbacks of scikit-learn, if it has any."""
    if not getattr(estimator, "_skl_callbacks", None):
        return []
    labeled = np.flatnonzero(ClassTarget.is_labeled(labels.codes))
    if len(labeled) == 0:  # in partial_fit, where no row can be scored
        return [EpochReporter(estimator, None, None, fitted)]
    y = ClassTarget(labels.classes).decode(labels.codes[labeled])
    (rows,) = indexable(X)  # not all sparse matrices have indices
    return [EpochReporter(estimator, _safe_indexing(rows, labeled), y, fitted)]
