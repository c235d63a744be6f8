"""Choice of the rows to label next."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import _safe_indexing, check_random_state, indexable
from sklearn.utils._param_validation import Interval, StrOptions, validate_parameter_constraints
from sklearn.utils.validation import _num_samples, check_is_fitted

from sgan_sklearn._data.targets import as_code, check_mark, check_target
from sgan_sklearn._data.validation import check_collected, check_same_length
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn.inspection._methods import check_has_probabilities, method_of
from sgan_sklearn.inspection._numbers import Similarity, class_probabilities, entropy

__all__ = ["suggest_labels"]

CALLER = "suggest_labels"

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
        Rows to choose from, except those with a label.
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
        - "typical": the row is in a cluster with few labels, and its neighbors are close to it. The
          rows are chosen from 20,000 random ones if there are more.
    n_candidates : int, default=5
        Number of uncertain rows for each suggested one. A larger number gives suggestions that
        differ more from each other, but are less uncertain. 1 takes the most uncertain rows.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows; NaN includes all missing values.
    random_state : int, RandomState instance or None, default=None
        Determines the order of equally uncertain rows, the clusters and the random forest.

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
        If `estimator` is not a classifier, or has no ``predict_proba`` where it is needed.
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
    check_collected(X)
    (X,) = indexable(X)
    labeled = np.zeros(_num_samples(X), dtype=bool)
    if y is not None:
        target = check_target(y, unlabeled_value, CALLER)
        check_same_length("y", target.values, X)
        labeled = target.labeled
    unlabeled = np.flatnonzero(~labeled)
    if n_rows > len(unlabeled):
        raise ValueError(
            f"The 'n_rows' parameter of {CALLER} must be at most the number of unlabeled rows, "
            f"{len(unlabeled)} of {len(labeled)} (unlabeled_value={as_code(unlabeled_value)}). Got "
            f"{n_rows}."
        )
    rng = check_random_state(random_state)
    if strategy == "disagreement" and not labeled.any():
        raise ValueError(
            f'strategy="disagreement" of {CALLER} fits a random forest on the labeled rows, but '
            "there are none. Pass their labels as y."
        )
    if strategy in ("disagreement", "typical") or n_candidates > 1:
        similarity = Similarity(estimator, X)
    if strategy == "typical":
        return _typical_rows(similarity, labeled, int(n_rows), rng)
    probabilities = class_probabilities(estimator, _safe_indexing(X, unlabeled))
    if strategy == "disagreement":
        of_forest = _forest_probabilities(
            estimator.classes_, similarity, target.known_labels, labeled, rng
        )
        uncertainty = _divergence(probabilities, of_forest)
    else:
        uncertainty = UNCERTAINTIES[strategy](probabilities)
    # Rounding, so that equally uncertain rows are in random order.
    order = np.lexsort((rng.uniform(size=len(unlabeled)), -uncertainty.round(9)))
    most = order[: n_candidates * n_rows]
    if n_candidates > 1:
        candidates = similarity.numbers(unlabeled[most])
        most = most[_different_rows(candidates, uncertainty[most], int(n_rows), rng)]
    return unlabeled[most]


def _check(estimator: Any, strategy: str, **params: Any) -> str:
    """Return the strategy that "auto" stands for, or raise an error."""
    check_mark(params["unlabeled_value"], CALLER)
    validate_parameter_constraints(
        {
            "n_rows": [Interval(Integral, 1, None, closed="left")],
            "strategy": [StrOptions({"auto", *STRATEGIES})],
            "n_candidates": [Interval(Integral, 1, None, closed="left")],
            "unlabeled_value": [Real, str, None],
            "random_state": ["random_state"],
        },
        {"strategy": strategy, **params},
        caller_name=CALLER,
    )
    if strategy == "auto":
        strategy = "typical" if estimator is None else "margin"
    if estimator is not None:
        name = f"The 'estimator' parameter of {CALLER}, unless it is None,"
        method_of(estimator, params["unlabeled_value"], name)
        check_is_fitted(estimator)
        if strategy != "typical":
            check_has_probabilities(estimator, CALLER)
    elif strategy != "typical":
        raise ValueError(
            f"strategy={strategy!r} of {CALLER} needs a fitted classifier. Got estimator=None: "
            'pass one, or strategy="typical".'
        )
    return strategy


# --- uncertainty ------------------------------------------------------------------------------


def _small_margin(probabilities: np.ndarray) -> np.ndarray:
    """Return 1 minus the difference of the two largest probabilities."""
    ordered = np.sort(probabilities, axis=1)
    second: Any = ordered[:, -2] if ordered.shape[1] > 1 else 0.0
    return (1 - (ordered[:, -1] - second)).clip(min=0)


def _divergence(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Jensen-Shannon divergence of class probabilities."""
    mean = entropy((first + second) / 2)
    return (mean - (entropy(first) + entropy(second)) / 2).clip(min=0)


def _forest_probabilities(
    classes: np.ndarray,
    similarity: Similarity,
    labels: np.ndarray,
    labeled: np.ndarray,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Return the class probabilities of a random forest for the unlabeled rows.

    Rows of classes that the classifier does not know are left out.
    """
    known = np.isin(labels, classes)
    if not known.any():
        raise ValueError(
            f"y of {CALLER} holds none of the classes that the estimator knows, "
            f"{classes.tolist()}. Got {np.unique(labels).tolist()}: pass the labels that it was "
            "fitted on."
        )
    forest = RandomForestClassifier(random_state=rng)
    forest.fit(similarity.numbers(np.flatnonzero(labeled)[known]), labels[known])
    probabilities = np.zeros((int((~labeled).sum()), len(classes)))
    places = np.searchsorted(classes, forest.classes_)
    probabilities[:, places] = forest.predict_proba(similarity.numbers(np.flatnonzero(~labeled)))
    return probabilities


UNCERTAINTIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "margin": _small_margin,
    "entropy": entropy,
}
STRATEGIES = (*UNCERTAINTIES, "disagreement", "typical")


# --- differences between rows -----------------------------------------------------------------


def _different_rows(
    rows: np.ndarray, weights: np.ndarray, n_rows: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the indices of the rows closest to the centers of weighted clusters, in order."""
    if n_rows >= len(rows):
        return np.arange(len(rows))
    rows = _without_rounding_errors(rows)
    n_clusters = min(n_rows, len(np.unique(rows, axis=0)))
    clusters = _clusters(n_clusters, rng)
    # All weights are positive, even if the classifier is certain of all rows.
    clusters.fit(rows, sample_weight=weights / max(weights.max(), SMALLEST) + SMALLEST)
    chosen = np.zeros(len(rows), dtype=bool)
    for part in pairwise_distances_chunked(clusters.cluster_centers_, rows):
        for distances in part:
            chosen[np.where(chosen, np.inf, distances).argmin()] = True
    # Fewer clusters than rows: the first of the other rows.
    chosen[np.flatnonzero(~chosen)[: n_rows - n_clusters]] = True
    return np.flatnonzero(chosen)


def _typical_rows(
    similarity: Similarity, labeled: np.ndarray, n_rows: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the indices of typical rows from clusters with few labels."""
    candidates = rng.permutation(np.flatnonzero(~labeled))[: max(MAX_CLUSTERED, n_rows)]
    if n_rows == len(candidates):
        return candidates
    known = rng.permutation(np.flatnonzero(labeled))[:MAX_CLUSTERED]
    places = np.concatenate([candidates, known])
    rows = _without_rounding_errors(similarity.numbers(places))
    is_free = np.arange(len(rows)) < len(candidates)
    n_clusters = min(len(known) + n_rows, max(1, len(np.unique(rows, axis=0)) // 2))
    cluster_of = _clusters(n_clusters, rng).fit_predict(rows)
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


def _without_rounding_errors(rows: np.ndarray) -> np.ndarray:
    """Return scaled rows, so that those with equal values up to rounding are equal."""
    return (rows / max(np.abs(rows).max(), SMALLEST)).round(6)


def _clusters(n_clusters: int, rng: np.random.RandomState) -> Any:
    """Return unfitted clusters."""
    cluster = KMeans if n_clusters < MANY_CLUSTERS else MiniBatchKMeans
    return cluster(n_clusters, n_init=1, random_state=rng)
