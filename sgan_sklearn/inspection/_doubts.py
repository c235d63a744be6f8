"""Search for wrong labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn.inspection._evaluation import (
    check_options,
    evaluate,
    read_rows,
    split_tasks,
)
from sgan_sklearn.inspection._methods import check_has_probabilities, method_of, name_of
from sgan_sklearn.inspection._numbers import class_probabilities

__all__ = ["label_doubts"]


def label_doubts(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = "auto",
    groups: Any = None,
    unlabeled_value: Any = -1,
    n_jobs: int | None = None,
    random_state: RandomState = None,
    verbose: int = 1,
) -> np.ndarray:
    """Return how much a classifier doubts each label, to find wrong ones.

    Each label is compared with the prediction of a classifier that has not seen it: with the
    probability ``p_y`` of the label, its doubt is ``(1 + max_{k != y} p_k - p_y) / 2``, averaged
    over the repetitions of the cross-validation. Above 0.5, another class is more probable. Check
    the labels with the largest doubts first, since many doubted labels are right.

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
    doubts : ndarray of shape (n_samples,)
        Doubts from 0 to 1; nan for unlabeled rows, and for labels that are in no test fold.

    Raises
    ------
    ValueError
        If there is no labeled row, if a class has fewer labels than folds, or if a parameter is not
        as described.
    TypeError
        If `estimator` is not a classifier with ``predict_proba``.

    References
    ----------
    Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", 2019,
    arXiv:1911.00068.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sgan_sklearn.inspection import label_doubts
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2  # a wrong label
    >>> doubts = label_doubts(LogisticRegression(max_iter=1000), X, y, random_state=0, verbose=0)
    >>> int(np.nanargmax(doubts))
    7
    """
    check_options(
        "label_doubts",
        unlabeled_value=unlabeled_value,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=verbose,
    )
    method = method_of(estimator, unlabeled_value, "The 'estimator' parameter of label_doubts")
    check_has_probabilities(estimator, "label_doubts")
    name = name_of(estimator)
    rows = read_rows(X, y, unlabeled_value, "label_doubts")
    tasks = split_tasks(cv, rows, groups, check_random_state(random_state))
    results = evaluate(
        {name: method}, rows, tasks, _doubts, required=[name], n_jobs=n_jobs, verbose=verbose
    )
    sums, counts = np.zeros(len(rows.y)), np.zeros(len(rows.y))
    for task, values in zip(tasks, results.values[name], strict=True):
        sums[task.test] += values
        counts[task.test] += 1
    means = np.full(len(rows.y), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def _doubts(classifier: Any, X: Any, labels: np.ndarray) -> np.ndarray:
    """Return the doubts of a fitted classifier, for which unknown classes have probability 0."""
    probabilities, classes = class_probabilities(classifier, X), classifier.classes_
    is_label = labels[:, np.newaxis] == classes
    given = np.where(is_label, probabilities, 0.0).sum(axis=1)
    other = np.where(is_label, 0.0, probabilities).max(axis=1)
    doubts: np.ndarray = (1 + other - given) / 2
    return doubts
