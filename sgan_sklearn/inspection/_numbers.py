"""Any rows as numbers: scaled columns, features of networks, or class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import entr
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if

from sgan_sklearn._data.labels import labels_of
from sgan_sklearn._data.space import find_space
from sgan_sklearn._data.table import as_table
from sgan_sklearn._data.targets import check_target
from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn.regularizers._simple_classifiers import random_subset

if TYPE_CHECKING:
    from sgan_sklearn._classifier import SGANClassifier

__all__ = [
    "OnNumbers",
    "Similarity",
    "ToNumbers",
    "class_probabilities",
    "columns_of",
    "entropy",
]

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


def class_probabilities(classifier: Any, X: Any) -> np.ndarray:
    """Return class probabilities, equal ones where a classifier has none.

    `LabelSpreading` divides by zero for rows that no label reaches.
    """
    probabilities = np.array(classifier.predict_proba(X), dtype=float)
    unknown = ~np.isfinite(probabilities).all(axis=1)
    probabilities[unknown] = 1 / probabilities.shape[1]
    return probabilities


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of the class probabilities of each row."""
    return entr(probabilities).sum(axis=1)


def columns_of(classifier: Any) -> dict[str, Any]:
    """Return the parameters of a classifier that describe the columns."""
    return {
        name: value
        for name, value in classifier.get_params(deep=False).items()
        if name in ("categorical_features", "image_shape")
    }


@with_plain_settings
def _features_of_images(classifier: SGANClassifier, X: Any) -> np.ndarray:
    """Return the features of the discriminator of a fitted classifier."""
    features = classifier.net_.features(classifier._to_model_space(X))
    return features.flatten(1).numpy()


class Similarity:
    """Numbers of rows in which similar rows are close to each other.

    They are the features of the discriminator for images, and otherwise the numbers of `ToNumbers`,
    scaled as for all rows. Those of texts are their class probabilities.

    Parameters
    ----------
    classifier : classifier or None
        A fitted classifier, whose preprocessing is applied first.
    X : array-like, sparse matrix or DataFrame
        All rows.
    """

    def __init__(self, classifier: Any, X: Any) -> None:
        while not isinstance(classifier, Pipeline) and hasattr(classifier, "best_estimator_"):
            classifier = classifier.best_estimator_
        if isinstance(classifier, Pipeline):
            if len(classifier) > 1:
                X = classifier[:-1].transform(X)
            classifier = classifier[-1]
        self._X = X
        self._of_rows: Callable[[Any], np.ndarray] = partial(class_probabilities, classifier)
        if getattr(classifier, "image_shape_", None) is not None:
            self._of_rows = partial(_features_of_images, classifier)
        elif classifier is None or np.ndim(X) != 1:
            columns = {} if classifier is None else columns_of(classifier)
            self._of_rows = ToNumbers(**columns).fit(X).transform

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """Return the numbers of some rows."""
        numbers: np.ndarray = self._of_rows(_safe_indexing(self._X, places))
        return numbers


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
