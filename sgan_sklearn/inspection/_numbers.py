"""Any rows as numbers, for classifiers and clusters that need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if

from sgan_sklearn._data.labels import labels_of
from sgan_sklearn._data.space import find_space
from sgan_sklearn._data.table import as_table
from sgan_sklearn._data.targets import check_target
from sgan_sklearn.regularizers._simple_classifiers import random_subset

if TYPE_CHECKING:
    from sgan_sklearn._classifier import SGANClassifier

__all__ = ["OnNumbers", "ToNumbers", "features_of_images"]

# Maximum number of unlabeled rows of a classifier.
MAX_UNLABELED = 10_000


class ToNumbers(TransformerMixin, BaseEstimator):
    """Convert rows to the numbers that `SGANClassifier` makes of them, as flat rows.

    Parameters
    ----------
    categorical_features, image_shape
        As in `SGANClassifier`.
    """

    def __init__(
        self, categorical_features: Any = "from_dtype", image_shape: tuple[int, ...] | None = None
    ) -> None:
        self.categorical_features = categorical_features
        self.image_shape = image_shape

    def fit(self, X: Any, y: Any = None) -> ToNumbers:
        """Fit the scaling; `y` are class codes, if there are any."""
        table = as_table(X)
        self.space_ = find_space(
            table,
            image_shape=self.image_shape,
            categorical_features=self.categorical_features,
            scaling="auto",
            n_components=500,
            for_images=False,
        )
        rows = self.space_.read(self, table, reset=True)
        codes = np.zeros(len(rows), dtype=int) if y is None else y
        self.space_.fit(rows, codes, np.random.RandomState(0))
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the numbers, without missing values."""
        rows = self.space_.read_like_training(self, X)
        return self.space_.transform(rows).reshape(len(rows), -1)


def features_of_images(classifier: SGANClassifier, X: Any) -> np.ndarray:
    """Return the features of the discriminator of a fitted classifier."""
    features = classifier.net_.features(classifier._to_model_space(X))
    return features.flatten(1).numpy()


class OnNumbers(ClassifierMixin, BaseEstimator):
    """A classifier on the numbers that `SGANClassifier` makes of its rows.

    Parameters
    ----------
    classifier : classifier
        It gets class codes, which are -1 if unlabeled.
    unlabeled_value : object
        Label of the unlabeled rows.
    categorical_features, image_shape
        As in `SGANClassifier`.
    """

    def __init__(
        self,
        classifier: Any,
        unlabeled_value: Any,
        categorical_features: Any = "from_dtype",
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.classifier = classifier
        self.unlabeled_value = unlabeled_value
        self.categorical_features = categorical_features
        self.image_shape = image_shape

    def fit(self, X: Any, y: Any) -> OnNumbers:
        """Fit the classifier on the labeled rows, and on at most 10,000 unlabeled ones."""
        labels = labels_of(check_target(y, self.unlabeled_value))
        self.numbers_ = ToNumbers(self.categorical_features, self.image_shape).fit(X, labels.codes)
        unlabeled = random_subset(np.flatnonzero(labels.codes < 0), MAX_UNLABELED)
        chosen = np.sort(np.concatenate([np.flatnonzero(labels.codes >= 0), unlabeled]))
        self.classes_ = labels.classes
        numbers = self.numbers_.transform(_safe_indexing(X, chosen))
        self.classifier_ = clone(self.classifier).fit(numbers, labels.codes[chosen])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted classes."""
        return self.classes_[self.classifier_.predict(self.numbers_.transform(X))]

    @available_if(lambda self: hasattr(self.classifier, "predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the class probabilities."""
        probabilities: np.ndarray = self.classifier_.predict_proba(self.numbers_.transform(X))
        return probabilities
