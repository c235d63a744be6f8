"""Search for rows of no known class."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _num_samples

from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn.inspection._evaluation import (
    check_options,
    evaluate,
    fitted,
    mean_of_each_row,
    read_rows,
    split_tasks,
)
from sgan_sklearn.inspection._methods import check_has_probabilities, method_of, name_of

__all__ = ["novelty_p_values"]


def novelty_p_values(
    estimator: Any,
    X: Any,
    y: Any,
    X_new: Any = None,
    *,
    score: Any = "entropy",
    cv: Any = "auto",
    groups: Any = None,
    unlabeled_value: Any = -1,
    n_jobs: int | None = None,
    random_state: RandomState = None,
    verbose: int = 1,
) -> np.ndarray:
    """Return p-values of rows for being of a known class, to find rows of other classes.

    Each row has a score of how unusual it is, by default the entropy of its class probabilities.
    The scores ``s_i`` of the ``n`` labeled rows are those of classifiers that have not seen their
    labels. The p-value of a row with the score ``s`` is::

        (1 + #{i: s_i >= s}) / (n + 1)

    Of the rows of known classes, a share of at most about ``alpha`` has a p-value up to ``alpha``,
    if the labeled rows are a random sample of them. So ``p <= 0.1`` finds rows of no known class at
    a rate of false alarms of a tenth. ``n`` labels suffice for an alpha down to ``1 / (n + 1)``.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : classifier
        A classifier with ``predict_proba``. It is fitted on the labeled rows only, unless it learns
        from unlabeled rows, as `SGANClassifier` does.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
        Labeled and unlabeled rows.
    y : array-like of shape (n_samples,)
        Labels, with `unlabeled_value` for unlabeled rows.
    X_new : array-like like `X`, default=None
        Other rows, whose p-values are returned. None means the unlabeled rows of `X`.
    score : {"entropy"} or callable, default="entropy"
        How unusual rows are: the entropy of their class probabilities, or a function of a fitted
        classifier and rows that returns a number for each row. Larger ones are more unusual.
    cv : "auto", int or splitter, default="auto"
        Folds of the labeled rows, as in `SemiSupervisedSplit`, or an instance of it. "auto" is two
        repetitions of five folds, or fewer for classes with fewer labels.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, for a `cv` that needs it.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows; NaN includes all missing values, and None means that there are
        none.
    n_jobs : int or None, default=None
        Number of processes.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, unless `cv` is a splitter, and all random states that are None.
    verbose : int, default=1
        1 prints how long it will take, and the progress; 0 prints nothing.

    Returns
    -------
    p_values : ndarray of shape (n_samples,) or (n_new_samples,)
        P-values above 0 and up to 1, of the rows of `X_new`, or else of the rows of `X`, which are
        nan for labeled rows.

    Raises
    ------
    ValueError
        If there is no labeled row, if a class has fewer labels than folds, if a score is not
        finite, or if a parameter is not as described.
    TypeError
        If `estimator` is not a classifier with ``predict_proba``.

    References
    ----------
    Bates et al., "Testing for Outliers with Conformal p-values", 2021, arXiv:2104.08279.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sgan_sklearn.inspection import novelty_p_values
    >>> X, y = load_iris(return_X_y=True)
    >>> y[y == 2] = -1  # no labels of the third class
    >>> def distance(classifier, X):
    ...     return classifier.kneighbors(X)[0].mean(axis=1)
    >>> p_values = novelty_p_values(
    ...     KNeighborsClassifier(), X, y, score=distance, random_state=0, verbose=0
    ... )
    >>> bool((p_values[100:] < 0.1).mean() > 0.8)
    True
    """
    caller = "novelty_p_values"
    check_options(
        caller,
        unlabeled_value=unlabeled_value,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=verbose,
    )
    validate_parameter_constraints(
        {"score": [StrOptions({"entropy"}), callable]}, {"score": score}, caller_name=caller
    )
    method = method_of(estimator, unlabeled_value, f"The 'estimator' parameter of {caller}")
    if score == "entropy":
        check_has_probabilities(estimator, caller)
        score = _entropy
    name = name_of(estimator)
    rows = read_rows(X, y, unlabeled_value, caller)
    rng = check_random_state(random_state)
    tasks = split_tasks(cv, rows, groups, rng)
    seed = int(rng.randint(2**31 - 1))
    results = evaluate(
        {name: method},
        rows,
        tasks,
        partial(_scores, score),
        required=[name],
        n_jobs=n_jobs,
        verbose=verbose,
    )
    known = mean_of_each_row(tasks, results.values[name], len(rows.y))
    classifier = fitted(method, rows, np.flatnonzero(rows.target.labeled), seed)
    X_scored, unlabeled = X_new, np.flatnonzero(~rows.target.labeled)
    if X_new is None:
        X_scored = _safe_indexing(rows.X, unlabeled)
    scores = _scores(score, classifier, X_scored) if _num_samples(X_scored) else np.empty(0)
    calibration = np.sort(known[np.isfinite(known)])
    n_above = len(calibration) - np.searchsorted(calibration, scores, side="left")
    p_values = (1 + n_above) / (len(calibration) + 1)
    if X_new is not None:
        return p_values
    of_all_rows = np.full(len(rows.y), np.nan)
    of_all_rows[unlabeled] = p_values
    return of_all_rows


def _entropy(classifier: Any, X: Any) -> np.ndarray:
    """Return the entropy of the class probabilities."""
    return entr(classifier.predict_proba(X)).sum(axis=1)


def _scores(score: Any, classifier: Any, X: Any, y: Any = None) -> np.ndarray:
    """Return the scores of a fitted classifier, or raise ValueError if they are not numbers."""
    scores = np.asarray(score(classifier, X), dtype=float)
    n_rows = _num_samples(X)
    if scores.shape != (n_rows,) or not np.isfinite(scores).all():
        raise ValueError(
            "The 'score' parameter of novelty_p_values must return a finite number for each of the "
            f"{n_rows} rows. Got the shape {scores.shape}"
            + (" with values that are not finite." if scores.shape == (n_rows,) else ".")
        )
    return scores
