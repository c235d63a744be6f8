"""Choice of the rows to label next."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _num_samples, check_is_fitted

from sgan_sklearn._data.targets import check_mark, check_target
from sgan_sklearn._data.validation import check_same_length
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn.inspection._methods import (
    FOREST,
    SEARCHES,
    baselines_for,
    columns_of,
    is_classifier_instance,
)
from sgan_sklearn.inspection._numbers import ToNumbers, features_of_images
from sgan_sklearn.regularizers._simple_classifiers import random_subset, seeded_clone

__all__ = ["suggest_labels"]

# Maximum number of rows that are clustered: enough to tell what is typical.
MAX_CLUSTERED = 20_000

# From this number of clusters on, k-means uses batches of rows.
MANY_CLUSTERS = 100

# Number of neighbors whose distances tell how typical a row is.
N_NEIGHBORS = 20

# The smallest weight of a row in k-means, compared to the largest.
SMALLEST = 1e-6


def suggest_labels(
    estimator: Any,
    X: Any,
    n_rows: int,
    *,
    y: Any = None,
    strategy: str = "auto",
    n_candidates: int = 5,
    unlabeled_value: Any = -1,
    random_state: RandomState = None,
) -> np.ndarray:
    """Return the indices of the rows to label next.

    Uncertain rows are often similar to each other, so that labels of all of them would be of little
    use. With the class probabilities of the classifier, the ``n_candidates * n_rows`` most
    uncertain rows are therefore grouped in `n_rows` clusters by k-means, weighted by their
    uncertainty, and the rows closest to the centers are suggested.

    Without a classifier, the rows are grouped in clusters, and the most typical row of each large
    cluster is suggested: the one whose neighbors are closest.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : classifier or None
        A fitted classifier with ``predict_proba``, or None if there are no labels yet.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
        Rows, all of which may be suggested, except those with a label.
    n_rows : int
        Number of rows to label.
    y : array-like of shape (n_samples,), default=None
        Labels, with `unlabeled_value` for unlabeled rows. None means that no row has a label.
    strategy : {"auto", "margin", "entropy", "disagreement", "typical"}, default="auto"
        How useful the label of a row would be. "auto" is "typical" without a classifier, and
        "margin" otherwise.

        - "margin": small difference of the two largest class probabilities;
        - "entropy": large entropy of the class probabilities;
        - "disagreement": large Jensen-Shannon divergence of the class probabilities and those of a
          random forest, which is fitted on the labeled rows;
        - "typical": the row is in a cluster with few labels, and its neighbors are close to it.
    n_candidates : int, default=5
        Number of uncertain rows for each suggested one. A larger number gives suggestions that
        differ more from each other, but are less uncertain. 1 takes the most uncertain rows.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows; NaN includes all missing values.
    random_state : int, RandomState instance or None, default=None
        Determines the clusters and the random forest.

    Returns
    -------
    indices : ndarray of shape (n_rows,)
        Indices of unlabeled rows, the most useful one first.

    Raises
    ------
    ValueError
        If there are fewer unlabeled rows than `n_rows`, if a strategy lacks the classifier or the
        labels that it needs, or if a parameter is not as described.
    TypeError
        If `estimator` is not a classifier with ``predict_proba``.
    sklearn.exceptions.NotFittedError
        If `estimator` is not fitted.

    References
    ----------
    Zhdanov, "Diverse mini-batch Active Learning", 2019, arXiv:1901.05954.

    Hacohen et al., "Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets",
    2022, arXiv:2202.02794 (typical rows).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sgan_sklearn.inspection import suggest_labels
    >>> X, true_labels = load_iris(return_X_y=True)
    >>> y = np.full(150, -1)
    >>> first = suggest_labels(None, X, 6, random_state=0)
    >>> y[first] = true_labels[first]
    >>> classifier = LogisticRegression(max_iter=1000).fit(X[first], y[first])
    >>> suggest_labels(classifier, X, 3, y=y, random_state=0).shape
    (3,)
    """
    strategy = _check(
        estimator,
        strategy,
        n_rows=n_rows,
        n_candidates=n_candidates,
        unlabeled_value=unlabeled_value,
        random_state=random_state,
    )
    labeled = np.zeros(_num_samples(X), dtype=bool)
    if y is not None:
        target = check_target(y, unlabeled_value, "suggest_labels")
        check_same_length("y", target.values, X)
        labeled = target.labeled
    unlabeled = np.flatnonzero(~labeled)
    if n_rows > len(unlabeled):
        raise ValueError(
            "The 'n_rows' parameter of suggest_labels must be at most the number of unlabeled "
            f"rows, {len(unlabeled)}. Got {n_rows}."
        )
    rng = check_random_state(random_state)
    if strategy == "typical":
        return _typical_rows(estimator, X, labeled, n_rows, rng)
    if strategy == "disagreement":
        if not labeled.any():
            raise ValueError(
                'strategy="disagreement" of suggest_labels fits a random forest on the labeled '
                "rows. Pass y with their labels."
            )
        forest = baselines_for(estimator, unlabeled_value)[FOREST].classifier
        forest = seeded_clone(forest, lambda: int(rng.randint(2**31 - 1)))
        forest.fit(_safe_indexing(X, np.flatnonzero(labeled)), target.known_labels)
        uncertainty = _disagreement(estimator, forest, _safe_indexing(X, unlabeled))
    else:
        probabilities = estimator.predict_proba(_safe_indexing(X, unlabeled))
        uncertainty = UNCERTAINTIES[strategy](probabilities)
    most = np.argsort(-uncertainty, kind="stable")[: n_candidates * n_rows]
    if n_candidates > 1:
        candidates = _features(estimator, _safe_indexing(X, unlabeled[most]))
        most = most[_different_rows(candidates, uncertainty[most], n_rows, rng)]
    return unlabeled[most]


def _check(estimator: Any, strategy: str, **params: Any) -> str:
    """Return the strategy that "auto" stands for, or raise an error."""
    check_mark(params["unlabeled_value"], "suggest_labels")
    validate_parameter_constraints(
        {
            "n_rows": [Interval(Integral, 1, None, closed="left")],
            "strategy": [StrOptions({"auto", *STRATEGIES})],
            "n_candidates": [Interval(Integral, 1, None, closed="left")],
            "unlabeled_value": [Real, str, None],
            "random_state": ["random_state"],
        },
        {"strategy": strategy, **params},
        caller_name="suggest_labels",
    )
    if strategy == "auto":
        strategy = "typical" if estimator is None else "margin"
    if estimator is None and strategy != "typical":
        raise ValueError(
            f"strategy={strategy!r} of suggest_labels needs a fitted classifier. Got estimator="
            'None: pass one, or strategy="typical".'
        )
    if estimator is not None:
        if not (is_classifier_instance(estimator) and hasattr(estimator, "predict_proba")):
            raise TypeError(
                "The 'estimator' parameter of suggest_labels must be a classifier with "
                f"predict_proba, or None. Got {estimator!r}."
            )
        check_is_fitted(estimator)
    return strategy


# --- uncertainty ------------------------------------------------------------------------------


def _small_margin(probabilities: np.ndarray) -> np.ndarray:
    """Return 1 minus the difference of the two largest probabilities."""
    ordered = np.sort(probabilities, axis=1)
    second: Any = ordered[:, -2] if ordered.shape[1] > 1 else 0.0
    return 1 - (ordered[:, -1] - second)


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return entr(probabilities).sum(axis=1)


def _disagreement(classifier: Any, other: Any, X: Any) -> np.ndarray:
    """Return the Jensen-Shannon divergence of the class probabilities of two classifiers."""
    classes = np.union1d(classifier.classes_, other.classes_)
    first, second = (
        _probabilities_of(classes, each.predict_proba(X), each.classes_)
        for each in (classifier, other)
    )
    mean = _entropy((first + second) / 2)
    return (mean - (_entropy(first) + _entropy(second)) / 2).clip(min=0)


def _probabilities_of(classes: np.ndarray, known: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return the probabilities of more classes, zero for those that are not known."""
    probabilities = np.zeros((len(known), len(classes)))
    probabilities[:, np.searchsorted(classes, of)] = known
    return probabilities


UNCERTAINTIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "margin": _small_margin,
    "entropy": _entropy,
}
STRATEGIES = (*UNCERTAINTIES, "disagreement", "typical")


# --- differences between rows -----------------------------------------------------------------


def _features(estimator: Any, X: Any) -> np.ndarray:
    """Return numbers in which similar rows are close to each other."""
    if isinstance(estimator, SEARCHES):
        return _features(estimator.best_estimator_, X)
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return _features(estimator[-1], X)
    if getattr(estimator, "image_shape_", None) is not None:
        return features_of_images(estimator, X)
    columns = columns_of(estimator) if estimator is not None else {}
    return ToNumbers(**columns).fit_transform(X)


def _different_rows(
    rows: np.ndarray, weights: np.ndarray, n_rows: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the indices of the rows closest to the centers of weighted clusters, in order."""
    if n_rows >= len(rows):
        return np.arange(len(rows))
    distinct = np.unique(rows, axis=0)
    n_clusters = min(n_rows, len(distinct))
    clusters = KMeans(n_clusters, n_init=1, random_state=rng)
    # All weights are positive, even if the classifier is certain of all rows.
    clusters.fit(rows, sample_weight=weights / max(weights.max(), SMALLEST) + SMALLEST)
    chosen = np.zeros(len(rows), dtype=bool)
    for distances in euclidean_distances(clusters.cluster_centers_, rows):
        chosen[np.where(chosen, np.inf, distances).argmin()] = True
    # Fewer clusters than rows: the first of the other rows.
    chosen[np.flatnonzero(~chosen)[: n_rows - n_clusters]] = True
    return np.flatnonzero(chosen)


def _typical_rows(
    estimator: Any, X: Any, labeled: np.ndarray, n_rows: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the indices of typical rows from clusters with few labels."""
    candidates = random_subset(np.flatnonzero(~labeled), max(MAX_CLUSTERED, n_rows))
    known = random_subset(np.flatnonzero(labeled), MAX_CLUSTERED)
    places = np.concatenate([candidates, known])
    rows = _features(estimator, _safe_indexing(X, places))
    is_free = np.arange(len(rows)) < len(candidates)
    n_clusters = min(len(known) + n_rows, max(1, len(np.unique(rows, axis=0)) // 2))
    cluster = KMeans if n_clusters < MANY_CLUSTERS else MiniBatchKMeans
    cluster_of = cluster(n_clusters, n_init=1, random_state=rng).fit_predict(rows)
    neighbors = NearestNeighbors(n_neighbors=min(N_NEIGHBORS, len(rows) - 1)).fit(rows)
    distance = neighbors.kneighbors()[0].mean(axis=1)
    n_labels = np.bincount(cluster_of[~is_free], minlength=n_clusters)
    size = np.bincount(cluster_of, minlength=n_clusters)
    chosen = []
    for _ in range(n_rows):
        # The largest of the clusters with the fewest labels.
        free = np.unique(cluster_of[is_free])
        best = free[np.lexsort((-size[free], n_labels[free]))[0]]
        members = np.flatnonzero(is_free & (cluster_of == best))
        row = members[distance[members].argmin()]
        chosen.append(row)
        is_free[row] = False
        n_labels[best] += 1
    return places[chosen]
