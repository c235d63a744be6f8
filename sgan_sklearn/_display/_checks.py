"""Checks of estimators for displays."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sgan_sklearn._classifier import SGANClassifier

__all__ = ["check_estimator"]


def check_estimator(estimator: Any, display: type) -> None:
    """Raise an error unless the estimator is a fitted SGANClassifier."""
    if not isinstance(estimator, SGANClassifier):
        raise TypeError(
            f"The 'estimator' parameter of {display.__name__}.from_estimator must be an "
            f"SGANClassifier. Got {type(estimator).__name__}. For a Pipeline, pass the last step, "
            "pipeline[-1], and pipeline[:-1].transform(X). For a search, pass its best_estimator_."
        )
    check_is_fitted(estimator)
