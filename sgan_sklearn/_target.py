"""What the labels of rows mean to the networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import accuracy_score
from sklearn.utils import _safe_indexing, gen_batches
from torch import Tensor

from sgan_sklearn._data.labels import Labels, check_labels, check_scored_labels
from sgan_sklearn._data.targets import check_target
from sgan_sklearn._data.validation import check_collected, check_same_length
from sgan_sklearn._losses import supervised_loss

__all__ = ["ClassTarget"]

# Number of rows that are scored at a time, since rows of a memory map are copied.
MAX_SCORED_ROWS = 2**16


class ClassTarget:
    """Classes as the target of the networks.

    Everything that uses the meaning of a label is here. Another kind of target, such as a number,
    would be another class with these methods.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted class labels.
    """

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes

    @staticmethod
    def encode(y: Any, unlabeled_value: Any, classes: np.ndarray | None = None) -> Labels:
        """Return the classes of `y` and the class code of each row, -1 where unlabeled."""
        return check_labels(y, unlabeled_value, classes)

    @staticmethod
    def is_labeled(codes: Any) -> Any:
        """Return the mask of the rows that have a label, given their codes."""
        return codes >= 0

    @staticmethod
    def loss(logits: Tensor, codes: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the mean loss of labeled rows, given the class logits and the class codes."""
        return supervised_loss(logits, codes, weights)

    @staticmethod
    def n_correct(logits: Tensor, codes: Tensor) -> int:
        """Return how many rows are classified correctly."""
        return int((logits.argmax(dim=1) == codes.to(logits.device)).sum())

    @staticmethod
    def score(true: np.ndarray, predicted: np.ndarray, sample_weight: Any = None) -> float:
        """Return the accuracy of predicted labels."""
        return float(accuracy_score(true, predicted, sample_weight=sample_weight))

    @staticmethod
    def score_labeled(
        predict: Callable[[Any], np.ndarray],
        X: Any,
        y: Any,
        sample_weight: Any,
        unlabeled_value: Any,
    ) -> float:
        """Return the accuracy of predictions for the labeled rows."""
        check_collected(X)
        X = X.tocsr() if sparse.issparse(X) else X
        target = check_target(y, unlabeled_value)
        check_same_length("y", target.values, X)
        labeled, true = check_scored_labels(target, unlabeled_value)
        if sample_weight is not None:
            check_same_length("sample_weight", sample_weight, X)
            sample_weight = np.asarray(sample_weight)[labeled]
        parts = [labeled[part] for part in gen_batches(len(labeled), MAX_SCORED_ROWS)]
        predicted = np.concatenate([predict(_safe_indexing(X, part)) for part in parts])
        return ClassTarget.score(true, predicted, sample_weight)

    @staticmethod
    def proportions(distributions: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
        """Return the weighted mean of the class distributions of rows."""
        if weights is None:
            means = distributions.mean(axis=0, dtype=np.float64)
        else:
            means = weights @ distributions
        proportions: np.ndarray = means / means.sum()
        return proportions

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return the labels of class codes, or of the largest of the logits in each row."""
        return self.classes[values.argmax(axis=1) if values.ndim == 2 else values]

    @staticmethod
    def distributions(labels: Labels) -> np.ndarray:
        """Return the class distribution of each labeled row, which is one for its class."""
        labeled = labels.codes >= 0
        if labels.probabilities is not None:
            return labels.probabilities[labeled]
        return np.eye(len(labels.classes))[labels.codes[labeled]]
