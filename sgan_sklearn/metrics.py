"""Scorers for partially labeled data."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import _num_samples, indexable

from sgan_sklearn._data.labels import labels_of, warn_about_marks
from sgan_sklearn._data.targets import as_code, check_mark, check_target
from sgan_sklearn._data.validation import check_same_length
from sgan_sklearn._runtime.user_warnings import warn_user

__all__ = ["labeled_scorer"]


def labeled_scorer(scoring: Any, unlabeled_value: Any = -1) -> Any:
    """Return a scorer that ignores unlabeled rows.

    scikit-learn's scorers treat -1 as a class, or fail. Use this scorer if the test sets of
    ``cross_val_score``, ``GridSearchCV`` or similar tools contain unlabeled rows. It is not needed
    with `SemiSupervisedSplit`, whose test sets are labeled, or for ``SGANClassifier.score``.

    .. versionadded:: 0.1

    Parameters
    ----------
    scoring : str, callable, list or tuple of str, or dict
        The name of a scorer or a callable ``scorer(estimator, X, y)``, or several scorers as a
        list of names or a dict from names to scorers.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows; NaN includes all missing values. None means that all rows are
        labeled.

    Returns
    -------
    scorer : callable or dict of callables
        A scorer, or a dict of scorers if `scoring` names several, for use as ``scoring=``. If no
        row is labeled, the score is nan, with a warning. For this reason, pass several scorers as
        a dict rather than as a callable that returns a dict.

    Raises
    ------
    ValueError
        If `scoring` or `unlabeled_value` is not as described.

    See Also
    --------
    sgan_sklearn.model_selection.SemiSupervisedSplit : Splits with labeled test rows only.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from sgan_sklearn.metrics import labeled_scorer
    >>> from sgan_sklearn.model_selection import mask_labels
    >>> X, y = load_iris(return_X_y=True)
    >>> few_labels = mask_labels(y, per_class=5, random_state=0)
    >>> model = LabelSpreading().fit(X, few_labels)
    >>> labeled_scorer("accuracy")(model, X, few_labels)
    1.0
    """
    check_mark(unlabeled_value, "labeled_scorer")
    validate_parameter_constraints(
        {"unlabeled_value": [Real, str, None]},
        {"unlabeled_value": unlabeled_value},
        caller_name="labeled_scorer",
    )
    if isinstance(scoring, list | tuple | set):
        scoring = {name: name for name in scoring}
    if isinstance(scoring, dict):
        return {name: labeled_scorer(one, unlabeled_value) for name, one in scoring.items()}
    return _LabeledScorer(_checked_scorer(scoring), unlabeled_value)


class _LabeledScorer:
    """Scorer of the labeled rows, as a class so that it can be pickled."""

    def __init__(self, scorer: Any, unlabeled_value: Any) -> None:
        self.scorer = scorer
        self.unlabeled_value = unlabeled_value

    def __call__(self, estimator: Any, X: Any, y: Any, **kwargs: Any) -> Any:
        target = check_target(y, self.unlabeled_value, "labeled_scorer")
        n_rows = len(target.values)
        check_same_length("y", target.values, X)
        (X,) = indexable(X)
        labeled = np.flatnonzero(target.labeled)
        if len(labeled) == 0:
            warn_user(
                f"None of the {n_rows} rows to score has a label (unlabeled_value="
                f"{as_code(self.unlabeled_value)}), so the score is nan. Split with "
                "SemiSupervisedSplit, whose test rows are all labeled."
            )
            return np.nan
        warn_about_marks(labels_of(target), self.unlabeled_value, needs_unlabeled=False)
        labeled_kwargs = {
            name: _safe_indexing(value, labeled) if _has_rows(value, n_rows) else value
            for name, value in kwargs.items()
        }
        return self.scorer(
            estimator, _safe_indexing(X, labeled), target.known_labels, **labeled_kwargs
        )

    def get_metadata_routing(self) -> Any:
        """Return the metadata request of the wrapped scorer."""
        if hasattr(self.scorer, "get_metadata_routing"):
            return self.scorer.get_metadata_routing()
        return MetadataRequest(owner=self)  # a plain function requests nothing

    def __repr__(self) -> str:
        return f"labeled_scorer({self.scorer!r}, unlabeled_value={self.unlabeled_value!r})"


def _checked_scorer(scoring: Any) -> Any:
    """Return a scorer, given by name or as a callable, or raise ValueError."""
    if isinstance(scoring, str):
        return get_scorer(scoring)
    # As in scikit-learn, a metric is not a scorer, since it does not take an estimator.
    module = getattr(scoring, "__module__", None) or ""
    is_metric = module.startswith("sklearn.metrics.") and not module.endswith("_scorer")
    if not callable(scoring) or is_metric:
        raise ValueError(
            "The 'scoring' parameter of labeled_scorer must be the name of a scorer, such as "
            f"'accuracy', or a callable scorer(estimator, X, y). Got {scoring!r}"
            + (": wrap it with make_scorer." if is_metric else ".")
        )
    return scoring


def _has_rows(value: Any, n_rows: int) -> bool:
    """Return whether a keyword argument has one entry for each row, as sample weights do."""
    return (
        hasattr(value, "__len__") and not isinstance(value, str) and _num_samples(value) == n_rows
    )
