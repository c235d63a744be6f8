"""Class probabilities for rows with other class proportions than the training rows."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from sgan_sklearn._runtime.user_warnings import warn_user
from sgan_sklearn._target import ClassTarget

__all__ = ["PriorAdjustedClassifier", "adjust_to_prior"]

# The smallest proportion of a class and the smallest probability that are divided or multiplied.
SMALLEST = 1e-12


class PriorAdjustedClassifier(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose class probabilities are adjusted to other class proportions.

    With the class probabilities ``p_k`` of the classifier, the class proportions ``t_k`` in its
    training and the new ones ``s_k``, the adjusted probabilities are::

        p_k s_k / t_k / sum_j (p_j s_j / t_j)

    "em" estimates the new proportions from unlabeled rows. It repeats this with the means ``m_k``
    of the adjusted probabilities as the next proportions, shrunk towards those of the training::

        s_k = (m_k + shrinkage * t_k) / (1 + shrinkage)

    Without shrinkage, this maximizes the likelihood. It assumes that only the proportions differ,
    while the rows of each class are the same as in the training, and that the probabilities of the
    classifier are right. With few labels they are not: the proportions of classes that are hard to
    distinguish would be estimated as almost zero, which lowers the accuracy.

    .. versionadded:: 0.1

    Parameters
    ----------
    classifier : classifier
        A fitted classifier with ``predict_proba``. Wrap it in scikit-learn's ``FrozenEstimator``,
        as `adjust_to_prior` does, so that ``clone`` keeps it fitted.
    prior : "em", dict or array-like of shape (n_classes,), default="em"
        The new class proportions, by class or in the order of ``classes_``; "em" estimates
        them from the rows passed to `fit`. Only their ratios matter.
    training_prior : dict, array-like of shape (n_classes,) or None, default=None
        Class proportions in the training, which the probabilities of the classifier assume. For a
        classifier that was fitted on labeled rows only, these are those of the labels: equal ones
        with as many labels of each class, and not those of other rows. None takes those of a
        classifier that learns from unlabeled rows: ``class_prior_`` of `SGANClassifier`, or the
        means of ``label_distributions_``.
    shrinkage : float, default=1.0
        Weight of the training proportions in the estimate of "em", compared with the new rows: 1
        counts them as much. A smaller value follows large changes of the proportions more closely,
        if the probabilities are right. 0 is the estimate of Saerens et al.
    tol : float, default=1e-6
        "em" ends when no proportion changes by more than this.
    max_iter : int, default=1000
        Maximum number of repetitions of "em".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.
    prior_ : ndarray of shape (n_classes,)
        The new proportions.
    training_prior_ : ndarray of shape (n_classes,)
        The proportions in the training.
    p_value_ : float or None
        Result of a test whether the class probabilities of the new rows have the same means as
        those of the unlabeled training rows. A small one, such as 0.01, means that the rows have
        changed: the class proportions, or the rows of a class. None if the classifier is no
        `SGANClassifier`, or with fewer than two different unlabeled training rows or new rows.
        After `partial_fit`, the training rows are those of the last part.
    n_features_in_ : int
        Number of columns, if the classifier stores it.
    n_iter_ : int
        Number of repetitions; 0 if the proportions were given.

    See Also
    --------
    adjust_to_prior : Returns this classifier, fitted.

    References
    ----------
    Saerens et al., "Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural
    Computation 14, 2002.

    Lipton et al., "Detecting and Correcting for Label Shift with Black Box Predictors", 2018,
    arXiv:1802.03916 (the test).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sgan_sklearn.calibration import PriorAdjustedClassifier
    >>> X, y = make_blobs(400, centers=[[0, 0], [2, 0]], random_state=0)
    >>> linear = LogisticRegression().fit(X, y)
    >>> X_new, y_new = make_blobs([900, 100], centers=[[0, 0], [2, 0]], random_state=1)
    >>> frozen = FrozenEstimator(linear)
    >>> adjusted = PriorAdjustedClassifier(frozen, training_prior=[0.5, 0.5]).fit(X_new)
    >>> adjusted.prior_.round(1)
    array([0.6, 0.4])
    >>> adjusted.set_params(shrinkage=0).fit(X_new).prior_.round(1)
    array([0.9, 0.1])
    >>> bool(adjusted.score(X_new, y_new) > linear.score(X_new, y_new))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "classifier": [object],
        "prior": [StrOptions({"em"}), dict, "array-like"],
        "training_prior": [dict, "array-like", None],
        "shrinkage": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        classifier: Any,
        prior: Any = "em",
        *,
        training_prior: Any = None,
        shrinkage: float = 1.0,
        tol: float = 1e-6,
        max_iter: int = 1000,
    ) -> None:
        self.classifier = classifier
        self.prior = prior
        self.training_prior = training_prior
        self.shrinkage = shrinkage
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any = None) -> PriorAdjustedClassifier:
        """Adjust the class probabilities to the class proportions in unlabeled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            New rows, of the kind that will be predicted.
        y : None
            Ignored.

        Returns
        -------
        self : PriorAdjustedClassifier
            The classifier.

        Raises
        ------
        ValueError
            If a parameter is not as described, if the class proportions of the training are not
            known, or if a class probability is nan.
        TypeError
            If `classifier` is not a classifier with ``predict_proba``.

        Warns
        -----
        ConvergenceWarning
            If "em" has not converged after `max_iter` repetitions.
        """
        self._validate_params()
        classifier = self.classifier
        if not (hasattr(classifier, "get_params") and hasattr(classifier, "predict_proba")):
            raise TypeError(
                "The 'classifier' parameter of PriorAdjustedClassifier must be a classifier with "
                f"predict_proba. Got {classifier!r}."
            )
        check_is_fitted(classifier)
        self.classes_ = classifier.classes_
        inner = _inner(classifier)
        self.training_prior_ = self._training_proportions(inner)
        probabilities = self._probabilities(X)
        if isinstance(self.prior, str):
            self.prior_, self.n_iter_ = self._estimated(probabilities / self.training_prior_)
        else:
            self.prior_, self.n_iter_ = self._checked(self.prior, "prior", smallest=0.0), 0
        self.p_value_ = None
        if hasattr(inner, "labeled_mask_"):
            weights = getattr(inner, "_row_weights", None)
            weights = np.ones(len(inner.labeled_mask_)) if weights is None else weights
            # Labels that are given are not predictions.
            tested = ~inner.labeled_mask_ & (weights > 0)
            predicted = inner.label_distributions_[tested].astype(np.float64)
            self.p_value_ = _p_value_of_means(predicted, weights[tested], probabilities)
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(classifier, name):
                setattr(self, name, getattr(classifier, name))
        return self

    def _probabilities(self, X: Any) -> np.ndarray:
        probabilities = np.asarray(self.classifier.predict_proba(X), dtype=np.float64)
        n_missing = int(np.isnan(probabilities).any(axis=1).sum())
        if n_missing:
            raise ValueError(
                f"The class probabilities of {n_missing} of {len(probabilities)} rows in X are "
                f"nan. Remove these rows, or use another classifier than {self.classifier!r}."
            )
        clipped: np.ndarray = np.clip(probabilities, SMALLEST, None)
        return clipped

    def _training_proportions(self, inner: Any) -> np.ndarray:
        if self.training_prior is not None:
            return self._checked(self.training_prior, "training_prior", smallest=SMALLEST)
        if not hasattr(inner, "label_distributions_"):
            raise ValueError(
                "The 'training_prior' parameter of PriorAdjustedClassifier must hold the class "
                f"proportions in the training of {self.classifier!r}, which does not store "
                "label_distributions_. Got None: pass the proportions of its labels."
            )
        proportions = getattr(inner, "class_prior_", None)
        if proportions is None:
            distributions = inner.label_distributions_
            # nan in LabelSpreading for rows that no label reaches
            finite = np.isfinite(distributions).all(axis=1)
            proportions = ClassTarget.proportions(distributions[finite], None)
        clipped: np.ndarray = np.clip(proportions, SMALLEST, None)
        return clipped

    def _checked(self, choice: Any, name: str, *, smallest: float) -> np.ndarray:
        """Return proportions in the order of the classes, or raise ValueError."""
        if isinstance(choice, dict):
            classes = self.classes_.tolist()
            if set(choice) != set(classes):
                raise ValueError(
                    f"The '{name}' parameter of PriorAdjustedClassifier must hold a number for "
                    f"each of the classes {classes}. Got {choice!r}."
                )
            choice = [choice[label] for label in classes]
        try:
            proportions = np.asarray(choice, dtype=np.float64)
        except (TypeError, ValueError):
            proportions = np.empty(0)
        fits = proportions.shape == self.classes_.shape and np.isfinite(proportions).all()
        if not (fits and (proportions >= smallest).all() and proportions.sum() > 0):
            raise ValueError(
                f"The '{name}' parameter of PriorAdjustedClassifier must hold one "
                f"{'positive' if smallest else 'nonnegative'} number for each of the "
                f"{len(self.classes_)} classes. Got {choice!r}."
            )
        normalized: np.ndarray = proportions / proportions.sum()
        return normalized

    def _estimated(self, ratios: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the most likely proportions and the number of repetitions."""
        proportions = self.training_prior_
        for n_iter in range(1, self.max_iter + 1):
            before, means = proportions, _normalized(ratios * proportions).mean(axis=0)
            proportions = (means + self.shrinkage * self.training_prior_) / (1 + self.shrinkage)
            if np.abs(proportions - before).max() <= self.tol:
                return proportions, n_iter
        warn_user(
            f"The class proportions have not converged after max_iter={self.max_iter} "
            "repetitions. Increase the max_iter or tol of PriorAdjustedClassifier.",
            ConvergenceWarning,
        )
        return proportions, self.max_iter

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the adjusted class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities in the order of ``classes_``.
        """
        check_is_fitted(self)
        return _normalized(self._probabilities(X) * self.prior_ / self.training_prior_)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted classes.
        """
        codes = self.predict_proba(X).argmax(axis=1)
        labels: np.ndarray = self.classes_[codes]
        return labels

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, on the labeled rows if the classifier knows unlabeled ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            True labels; rows with the `unlabeled_value` of an `SGANClassifier` are ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        accuracy : float
            Weighted proportion of the rows that `predict` gets right.

        Raises
        ------
        ValueError
            If no row is labeled.
        """
        inner = _inner(self.classifier)
        if not hasattr(inner, "unlabeled_value"):
            return float(super().score(X, y, sample_weight))
        mark = inner.unlabeled_value
        return ClassTarget.score_labeled(self.predict, X, y, sample_weight, mark)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "prior_")


def adjust_to_prior(
    classifier: Any,
    X: Any,
    prior: Any = "em",
    *,
    training_prior: Any = None,
    shrinkage: float = 1.0,
) -> PriorAdjustedClassifier:
    """Return a fitted classifier adjusted to the class proportions in new, unlabeled rows.

    .. versionadded:: 0.1

    Parameters
    ----------
    classifier : classifier
        A fitted classifier with ``predict_proba``. It is not changed.
    X : array-like of shape (n_samples, n_features)
        New rows, of the kind that will be predicted.
    prior : "em", dict or array-like of shape (n_classes,), default="em"
        The new class proportions; "em" estimates them from `X`.
    training_prior : dict, array-like of shape (n_classes,) or None, default=None
        Class proportions in the training, as in `PriorAdjustedClassifier`.
    shrinkage : float, default=1.0
        Weight of the training proportions in the estimate of "em", compared with the new rows.

    Returns
    -------
    adjusted : PriorAdjustedClassifier
        The adjusted classifier, with the proportions as ``prior_`` and a test for their change as
        ``p_value_``.

    Raises
    ------
    ValueError
        If a parameter is not as described, or the proportions of the training are not known.
    TypeError
        If `classifier` is not a classifier with ``predict_proba``.

    See Also
    --------
    PriorAdjustedClassifier : The class, with further parameters and the formulas.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sgan_sklearn import SGANClassifier
    >>> from sgan_sklearn.calibration import adjust_to_prior
    >>> from sgan_sklearn.model_selection import mask_labels
    >>> X, y = make_blobs(400, centers=[[0, 0], [2, 0]], random_state=0)
    >>> few_labels = mask_labels(y, per_class=20, random_state=0)
    >>> sgan = SGANClassifier(max_epochs=5, random_state=0).fit(X, few_labels)
    >>> X_new, y_new = make_blobs([900, 100], centers=[[0, 0], [2, 0]], random_state=1)
    >>> adjusted = adjust_to_prior(sgan, X_new)
    >>> bool(adjusted.score(X_new, y_new) > sgan.score(X_new, y_new))
    True
    """
    frozen = FrozenEstimator(classifier)
    adjusted = PriorAdjustedClassifier(
        frozen, prior, training_prior=training_prior, shrinkage=shrinkage
    )
    return adjusted.fit(X)


def _inner(classifier: Any) -> Any:
    """Return the classifier within frozen estimators, searches and pipelines."""
    while True:
        if isinstance(classifier, FrozenEstimator):
            classifier = classifier.estimator
        elif isinstance(classifier, Pipeline):
            classifier = classifier[-1]
        elif hasattr(classifier, "best_estimator_"):
            classifier = classifier.best_estimator_
        else:
            return classifier


def _p_value_of_means(
    probabilities: np.ndarray, weights: np.ndarray, others: np.ndarray
) -> float | None:
    """Return the p value of Hotelling's test for equal means of class probabilities."""
    if min(len(probabilities), len(others), probabilities.shape[1]) < 2:
        return None
    if not any(np.ptp(rows, axis=0).any() for rows in (probabilities, others)):
        return None
    means, squares, effective = [], np.zeros(2 * probabilities.shape[1:]), []
    for rows, counts in ((probabilities, weights), (others, np.ones(len(others)))):
        shares = counts / counts.sum()
        means.append(shares @ rows)
        effective.append(1 / np.square(shares).sum())
        squares += effective[-1] * ((rows - means[-1]).T * shares) @ (rows - means[-1])
    n_rows, difference = sum(effective), means[0] - means[1]
    # Both samples have one distribution if nothing has changed, so their covariances are pooled:
    # that of a few new rows alone would be too inaccurate.
    covariance = squares / (n_rows - 2) * sum(1 / n for n in effective)
    # The probabilities sum to one, so that one of the classes is redundant.
    variances, directions = np.linalg.eigh(covariance)
    kept = variances > 1e-6 * variances[-1]
    n_kept = int(kept.sum())
    if n_rows - n_kept - 1 <= 0:
        return None
    statistic = ((difference @ directions[:, kept]) ** 2 / variances[kept]).sum()
    factor = (n_rows - n_kept - 1) / ((n_rows - 2) * n_kept)
    return float(stats.f.sf(factor * statistic, n_kept, n_rows - n_kept - 1))


def _normalized(values: np.ndarray) -> np.ndarray:
    """Return rows that sum to one."""
    rows: np.ndarray = values / values.sum(axis=1, keepdims=True)
    return rows
