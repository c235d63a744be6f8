"""Search for rows of no known class."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils._param_validation import StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _num_samples

from sgan_sklearn._data.targets import as_code
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn.inspection._evaluation import (
    PartlyLabeled,
    Task,
    check_options,
    evaluate,
    fitted,
    read_rows,
    split_tasks,
)
from sgan_sklearn.inspection._methods import check_has_probabilities, method_of, name_of
from sgan_sklearn.inspection._numbers import class_probabilities, entropy

__all__ = ["novelty_p_values"]

CALLER = "novelty_p_values"


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
    The scores ``s_i`` of the ``n`` labeled rows in test folds come from classifiers that have not
    seen their labels; with repeated folds, each of the scores of a row counts as a part of a row.
    The p-value of a row with the score ``s`` is::

        (1 + #{i: s_i >= s}) / (n + 1)

    If the labeled rows are a random sample of the rows of their classes, about a share ``alpha`` of
    the other rows of these classes has a p-value up to ``alpha``. So ``p <= 0.1`` finds rows of no
    known class at a rate of false alarms of about a tenth. This is a mean over samples of the
    labels: the fewer labels, the more it varies. P-values are not below ``1 / (n + 1)``.

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
        classifier and rows that returns a number for each row. Larger numbers are more unusual.
    cv : "auto", int or splitter, default="auto"
        Folds of the labeled rows, as in `SemiSupervisedSplit`, or an instance of it. "auto" is two
        repetitions of five folds, or fewer for classes with fewer labels.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, for a `cv` that needs it.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows; NaN includes all missing values, and None means that there are
        none.
    n_jobs : int or None, default=None
        Number of processes; None means 1, unless in a ``joblib.parallel_backend`` context, and
        -1 all processors.
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
        If there are no labeled rows or no rows to return p-values of, if a class has fewer labels
        than folds, if a score is not finite, or if a parameter is not as described.
    TypeError
        If `estimator` is not a classifier with ``predict_proba``.

    References
    ----------
    Bates et al., "Testing for Outliers with Conformal p-values", 2021, arXiv:2104.08279.

    Barber et al., "Predictive Inference with the Jackknife+", 2019, arXiv:1905.02928 (scores of
    labeled rows by cross-validation).

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
    check_options(
        CALLER,
        unlabeled_value=unlabeled_value,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=verbose,
    )
    validate_parameter_constraints(
        {"score": [StrOptions({"entropy"}), callable]}, {"score": score}, caller_name=CALLER
    )
    method = method_of(estimator, unlabeled_value, f"The 'estimator' parameter of {CALLER}")
    name = name_of(estimator)
    rows = read_rows(X, y, unlabeled_value, CALLER)
    unlabeled, in_training = np.flatnonzero(~rows.target.labeled), X_new is None
    if not in_training:
        (X_new,) = indexable(X_new)
        _check_columns(rows.X, X_new)
    elif len(unlabeled) == 0:
        raise ValueError(
            f"y of {CALLER} holds no unlabeled row (unlabeled_value={as_code(unlabeled_value)}). "
            "Pass other rows as X_new, or the unlabeled_value that y has."
        )
    if isinstance(score, str):
        _check_has_entropy(estimator, rows)
        score = _entropy_of_probabilities
    rng = check_random_state(random_state)
    tasks = split_tasks(cv, rows, groups, rng)
    if in_training:
        # The rows are unlabeled training rows, so those of the test folds must be, too.
        tasks = [task._replace(train=np.union1d(task.train, task.test)) for task in tasks]
        X_new = _safe_indexing(rows.X, unlabeled)
    seed = int(rng.randint(2**31 - 1))
    measure = partial(_scores, score)
    results = evaluate(
        {name: method}, rows, tasks, measure, required=[name], n_jobs=n_jobs, verbose=verbose
    )
    classifier = fitted(method, rows, np.flatnonzero(rows.target.labeled), seed)
    p_values = _p_values(tasks, results.values[name], _scores(score, classifier, X_new))
    if not in_training:
        return p_values
    of_all_rows = np.full(len(rows.y), np.nan)
    of_all_rows[unlabeled] = p_values
    return of_all_rows


def _check_has_entropy(estimator: Any, rows: PartlyLabeled) -> None:
    """Raise an error if the entropy of the class probabilities is missing or always zero."""
    check_has_probabilities(estimator, CALLER)
    if len(np.unique(rows.target.known_labels)) < 2:
        raise ValueError(
            f'score="entropy" of {CALLER} needs labels of two classes or more. Got one class: '
            "pass another score, or label rows of other classes."
        )


def _check_columns(X: Any, X_new: Any) -> None:
    """Raise ValueError if rows have another shape than the training rows."""
    shape, new_shape = np.shape(X[:1])[1:], np.shape(X_new[:1])[1:]
    if (len(shape) == len(new_shape) and shape != new_shape) or bool(shape) != bool(new_shape):
        raise ValueError(
            f"The 'X_new' parameter of {CALLER} must hold rows like those of X, of the shape "
            f"{shape}. Got rows of the shape {new_shape}."
        )


def _entropy_of_probabilities(classifier: Any, X: Any) -> np.ndarray:
    return entropy(class_probabilities(classifier, X))


def _scores(score: Any, classifier: Any, X: Any, y: Any = None) -> np.ndarray:
    """Return the scores of a fitted classifier, or raise ValueError if they are not numbers."""
    scores, n_rows = np.asarray(score(classifier, X)), _num_samples(X)
    if scores.dtype.kind not in "fiu" or scores.shape != (n_rows,):
        found = f"the shape {scores.shape} and the dtype {scores.dtype}"
    elif not np.isfinite(scores).all():
        found = f"{np.count_nonzero(~np.isfinite(scores))} infinite or missing ones"
    else:
        return scores.astype(float)
    raise ValueError(
        f"The 'score' parameter of {CALLER} must return a finite number for each of the {n_rows} "
        f"rows. Got {found}."
    )


def _p_values(
    tasks: Sequence[Task], of_test_rows: Sequence[np.ndarray], scores: np.ndarray
) -> np.ndarray:
    """Return the p-value of each score, given those of the labeled rows in the test folds."""
    tested = np.concatenate([task.test for task in tasks])
    known = np.concatenate(of_test_rows)
    weights = 1 / np.bincount(tested)[tested]  # of the scores of one row, 1 in all
    order = np.argsort(known)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    n_rows = len(np.unique(tested))
    n_above = n_rows - below[np.searchsorted(known[order], scores, side="left")]
    p_values: np.ndarray = (1 + n_above.round(9)) / (n_rows + 1)
    return p_values
