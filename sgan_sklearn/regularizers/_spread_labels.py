"""Label spreading among similar rows, as a teacher of the network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import gen_batches
from sklearn.utils._param_validation import Interval

from sgan_sklearn import _losses
from sgan_sklearn._runtime.random import next_seed, released_lock
from sgan_sklearn._storage.state import is_tensor_of
from sgan_sklearn.regularizers._base import Regularizer, UnlabeledRows
from sgan_sklearn.regularizers._patches import PatchFeatures
from sgan_sklearn.regularizers._simple_classifiers import (
    balanced_subset,
    flat_rows,
    ignore_fit_warnings,
    most_frequent,
    random_subset,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from torch import Tensor

    from sgan_sklearn._data.rows import Rows

__all__ = ["SpreadLabels"]

# Maximum number of rows of the graph, since finding neighbors takes the square of it.
MAX_GRAPH_ROWS = 60_000
ROWS_AT_A_TIME = 500

# Clamping factor and steps of label spreading.
ALPHA = 0.99
N_STEPS = 100

# Powers of the probabilities, from which cross-validation on the labels chooses, and its folds.
POWERS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
DEFAULT_POWER = 3.0
MAX_FOLDS = 5
MIN_PROBABILITY = 1e-5


class SpreadLabels(Regularizer):
    """Label spreading: learn what similar rows tell about the class of a row.

    Before the first step, the labels spread on a graph of nearest neighbors. Images are compared by
    features of their patches, which are learned without labels; other rows are compared as the
    networks see them. With the class probabilities ``g`` of label spreading, ``q`` of the averaged
    network, and ``p`` of the network, the term is::

        t_k(x_i) = q_k(x_i) g_k(x_i) / sum_j q_j(x_i) g_j(x_i)
        mean_i sum_k -t_k(x_i) log p_k(view(x_i))

    The probabilities of label spreading are too moderate, so ``g`` is a power of them. The power is
    the one with the best log loss in cross-validation on the labels, or 3 if fewer than two classes
    have two labels.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of neighbors of each row in the graph. More neighbors spread the labels farther, also
        to other classes.
    weight : float, default=1.0
        Weight of the term. With a larger one, the network follows the graph more closely.
    start : int, default=0
        Number of training steps before the term is computed for the first time.
    ramp_up : int, default=300
        Number of training steps after ``start`` in which the weight increases to its full value.
    end : int or None, default=None
        Number of training steps after which the term is no longer computed, larger than ``start``.
        A network that has learned from the graph may then learn more from its own predictions, with
        `PseudoLabel`. None means until the end of the training.

    Attributes
    ----------
    n_classes_ : int
        Number of classes, set by training in the copy of the regularizer in
        ``SGANClassifier.net_.regularizers``.

    Notes
    -----
    The probabilities of each class are divided by their sum over all rows before those of a row are
    scaled to one. In a trial with classes of sizes up to ten to one, this was better for rare
    classes than dividing by the numbers of labels, and about equal over all rows.

    The graph has up to 60,000 rows, equal ones counted once. Any other rows have the mean
    probabilities of their nearest neighbors in the graph. For 60,000 gray images of 28 x 28 pixels,
    the graph takes about 90 seconds of one core, and for 50,000 color images of 32 x 32 pixels
    about three minutes. Images of more pixels are first reduced to about 32 x 32. This time is not
    part of `Training.max_time`.

    The term is zero if there are no unlabeled rows, or if a class has no labels, which can happen
    in `SGANClassifier.partial_fit`. Equal rows with different labels count for the class that most
    of them have.

    References
    ----------
    Zhou et al., "Learning with Local and Global Consistency", 2004 (label spreading).

    Iscen et al., "Label Propagation for Deep Semi-supervised Learning", 2019, arXiv:1904.04717.

    Coates, Ng and Lee, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning",
    2011 (features of images).

    Examples
    --------
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.regularizers import SpreadLabels
    >>> SGANClassifier(regularizer=SpreadLabels(n_neighbors=20))
    SGANClassifier(regularizer=SpreadLabels(n_neighbors=20))
    """

    name = "spread_labels"
    transient = ("log_shares_",)

    n_classes_: int
    log_shares_: Tensor | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Regularizer._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        weight: float = 1.0,
        start: int = 0,
        ramp_up: int = 300,
        end: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weight = weight
        self.start = start
        self.ramp_up = ramp_up
        self.end = end

    def prepare(self, rows: np.ndarray, codes: np.ndarray, n_classes: int) -> SpreadLabels:
        """Return a copy that knows the number of classes."""
        if self.end is not None and self.end <= self.start:
            raise ValueError(
                "The 'end' parameter of SpreadLabels must be larger than 'start', or None. "
                f"Got end={self.end} and start={self.start}."
            )
        prepared: SpreadLabels = clone(self)
        prepared.n_classes_ = n_classes
        return prepared

    def _check_prepared(self, n_classes: int) -> None:
        """Raise ValueError if the number of classes differs."""
        if type(self.n_classes_) is not int or self.n_classes_ != n_classes:
            raise ValueError(f"It was prepared for {self.n_classes_} classes, not {n_classes}.")

    def _check_training_state(self, values: dict[str, Any], n_rows: int, n_classes: int) -> None:
        """Raise ValueError if the probabilities do not match the rows."""
        shares = values.get("log_shares_")
        if shares is not None and not is_tensor_of(shares, n_rows, n_classes):
            raise ValueError(f"There are no class probabilities for {n_rows} rows.")

    def start_training(self, rows: Rows, codes: Tensor) -> None:
        """Spread the labels, and store the class probabilities of all rows."""
        self.log_shares_ = None
        y, seed = codes.cpu().numpy(), next_seed()
        is_complete = n_labeled_classes(y) >= max(2, self.n_classes_)
        if self.weight == 0 or (y >= 0).all() or not is_complete:
            return
        with released_lock(rows.device), ignore_fit_warnings():
            shares = self._shares(rows, y, seed)
        if shares is not None:
            self.log_shares_ = torch.from_numpy(np.log(shares + MIN_PROBABILITY)).to(rows.device)

    def _shares(self, rows: Rows, y: np.ndarray, seed: int) -> np.ndarray | None:
        """Return calibrated class probabilities of all rows, or None if a class has no label."""
        is_image = len(rows.shape) == 4
        features = PatchFeatures(rows, seed).transform if is_image else partial(flat_rows, rows)
        labeled = balanced_subset(y, MAX_GRAPH_ROWS // 2)
        unlabeled = random_subset(np.flatnonzero(y < 0), MAX_GRAPH_ROWS - len(labeled))
        seen = np.sort(np.append(labeled, unlabeled))
        # Equal rows would only have each other as neighbors, which would stop the spreading.
        known, places = np.unique(in_parts(features, seen), axis=0, return_inverse=True)
        places = places.ravel()
        is_labeled = y[seen] >= 0
        codes = most_frequent(y[seen][is_labeled], places[is_labeled], len(known), self.n_classes_)
        if n_labeled_classes(codes) < n_labeled_classes(y):
            return None  # a class shares all of its labeled rows with other classes
        graph = neighbor_graph(known, self.n_neighbors, rows.device)
        found = calibrated(graph, codes, self.n_classes_)
        shares = np.empty((len(y), self.n_classes_), dtype=np.float32)
        shares[seen] = found[places]
        # The rows that are not in the graph have the mean of their neighbors in it.
        others = np.setdiff1d(np.arange(len(y)), seen)
        if len(others) > 0:
            for part in gen_batches(len(others), ROWS_AT_A_TIME):
                queries = features(others[part])
                _, neighbors = nearest(queries, known, self.n_neighbors, rows.device)
                shares[others[part]] = found[neighbors].mean(axis=1)
        return shares

    def loss(self, unlabeled: UnlabeledRows) -> Tensor:
        """Return the cross-entropy with the product of both predictions."""
        if self.log_shares_ is None:
            return 0.0 * unlabeled.logits.sum()
        teacher = unlabeled.averaged_logits + self.log_shares_[unlabeled.indices]
        view = unlabeled.classify_noisy(unlabeled.augment_strongly(unlabeled.rows))
        return _losses.soft_cross_entropy(view, teacher)


def n_labeled_classes(y: np.ndarray) -> int:
    """Return the number of classes with a label."""
    return len(np.unique(y[y >= 0]))


def in_parts(features: Callable[[np.ndarray], np.ndarray], indices: np.ndarray) -> np.ndarray:
    """Return the features of rows, which are computed for some of them at a time."""
    parts = gen_batches(len(indices), ROWS_AT_A_TIME)
    return np.concatenate([features(indices[part]) for part in parts])


def nearest(
    queries: np.ndarray, rows: np.ndarray, k: int, device: torch.device | str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared distances to the nearest rows, and their indices, each (n, k)."""
    found = []
    candidates = torch.from_numpy(rows).to(device)
    for part in gen_batches(len(queries), ROWS_AT_A_TIME):
        distances = torch.cdist(torch.from_numpy(queries[part]).to(device), candidates)
        found.append(distances.topk(min(k, len(rows)), dim=1, largest=False))
    squares = torch.cat([values for values, _ in found]).square()
    return squares.cpu().numpy(), torch.cat([indices for _, indices in found]).cpu().numpy()


def neighbor_graph(
    rows: np.ndarray, n_neighbors: int, device: torch.device | str = "cpu"
) -> csr_matrix:
    """Return the weights ``exp(-4 d^2 / d_k^2)`` of neighbors, with the distance of the last one.

    A pair has the larger weight of both directions. A row is no neighbor of itself.
    """
    from scipy.sparse import csr_matrix

    n = len(rows)
    squares, indices = nearest(rows, rows, n_neighbors + 1, device)
    scale = np.maximum(squares[:, -1:], np.finfo(np.float32).tiny)
    pairs = np.repeat(np.arange(n), indices.shape[1]), indices.ravel()
    graph = csr_matrix((np.exp(-4 * squares / scale).ravel(), pairs), shape=(n, n))
    graph.setdiag(0)
    return graph.maximum(graph.T)


def spread(graph: csr_matrix, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return class probabilities by label spreading, with classes of equal weight.

    The probabilities of each class are divided by their sum. Otherwise classes whose labels spread
    farther would take over the rows between. scikit-learn's ``LabelSpreading`` scales each row to
    the sum one, so that these sums are lost.
    """
    from scipy.sparse import diags

    labeled = np.flatnonzero(y >= 0)
    start = np.zeros((len(y), n_classes), dtype=np.float32)
    start[labeled, y[labeled]] = 1
    root = diags(1 / np.sqrt(np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12)))
    similarity = (root @ graph @ root).astype(np.float32)
    shares = start
    for _ in range(N_STEPS):
        shares = ALPHA * (similarity @ shares) + (1 - ALPHA) * start
    shares /= np.maximum(shares.sum(axis=0), 1e-12)  # in cross-validation, a class may be hidden
    shares += 1e-12  # equal for rows that no label reaches
    spread_shares: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
    return spread_shares


def calibrated(graph: csr_matrix, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Return a power of the probabilities with the best log loss in cross-validation.

    A class with a single label cannot be evaluated.
    """
    from sklearn.model_selection import StratifiedKFold

    labeled = np.flatnonzero(y >= 0)
    evaluated = labeled[np.bincount(y[labeled])[y[labeled]] > 1]
    true, power = y[evaluated], DEFAULT_POWER
    if len(np.unique(true)) > 1:
        held_out = np.empty((len(evaluated), n_classes), dtype=np.float32)
        n_folds = min(MAX_FOLDS, np.bincount(true).max())
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=0)
        for _, hidden in folds.split(true, true):
            shown = y.copy()
            shown[evaluated[hidden]] = -1
            held_out[hidden] = spread(graph, shown, n_classes)[evaluated[hidden]]
        power = min(POWERS, key=lambda power: _log_loss(_to_power(held_out, power), true))
    return _to_power(spread(graph, y, n_classes), power)


def _to_power(shares: np.ndarray, power: float) -> np.ndarray:
    powers = shares**power
    normalized: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return normalized


def _log_loss(shares: np.ndarray, true: np.ndarray) -> float:
    return -float(np.log(shares[np.arange(len(true)), true] + MIN_PROBABILITY).mean())
