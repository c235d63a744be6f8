"""Splitters for partially labeled data."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.model_selection import (
    BaseCrossValidator,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, validate_parameter_constraints
from sklearn.utils.validation import indexable

from sgan_sklearn._data.labels import labels_of, warn_about_marks
from sgan_sklearn._data.stratification import draw_stratified, stratified_counts
from sgan_sklearn._data.targets import as_code, check_mark, check_target, is_nan
from sgan_sklearn._data.validation import check_same_length
from sgan_sklearn._runtime.random import RandomState

__all__ = ["SemiSupervisedSplit", "mask_labels"]


def mask_labels(
    y: Any,
    *,
    n_labeled: int | None = None,
    fraction: float | None = None,
    per_class: int | None = None,
    stratify: bool = True,
    unlabeled_value: Any = -1,
    random_state: RandomState = None,
) -> np.ndarray:
    """Remove the labels of most rows, to evaluate semi-supervised learning.

    At least one label of each class is kept. Pass one of `n_labeled`, `fraction` and `per_class`.

    .. versionadded:: 0.1

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Class labels. Rows with `unlabeled_value` remain unlabeled. `y` is not changed.
    n_labeled : int, default=None
        Number of labels to keep.
    fraction : float, default=None
        Fraction of the labels to keep, above 0 and at most 1; rounded to an integer number.
    per_class : int, default=None
        Number of labels of each class to keep.
    stratify : bool, default=True
        Whether to preserve the class proportions with `n_labeled` or `fraction`. If False, the
        labels are drawn at random.
    unlabeled_value : int, float or str, default=-1
        Label of the other rows. NaN includes all missing values in `y`.
    random_state : int, RandomState instance or None, default=None
        Determines which labels are kept.

    Returns
    -------
    masked : ndarray of shape (n_samples,)
        The kept labels, and `unlabeled_value` elsewhere. The dtype is that of `y` if it can hold
        `unlabeled_value`. Unsigned integers and booleans become int64; text, and numbers that no
        numeric dtype can hold exactly, become object.

    Raises
    ------
    ValueError
        If not exactly one of the three numbers is passed, if it is too small for one label of each
        class or larger than the number of labels, or if `y` is not as described.

    See Also
    --------
    SemiSupervisedSplit : Cross-validation on the remaining labels.

    Examples
    --------
    >>> import numpy as np
    >>> from sgan_sklearn.model_selection import mask_labels
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> mask_labels(y, per_class=1, random_state=0)
    array([-1, -1,  0, -1, -1,  1])
    """
    check_mark(unlabeled_value, "mask_labels")
    at_least_one = [Interval(Integral, 1, None, closed="left"), None]
    validate_parameter_constraints(
        {
            "n_labeled": at_least_one,
            "fraction": [Interval(Real, 0, 1, closed="right"), None],
            "per_class": at_least_one,
            "stratify": ["boolean"],
            "unlabeled_value": [Real, str],
            "random_state": ["random_state"],
        },
        {
            "n_labeled": n_labeled,
            "fraction": fraction,
            "per_class": per_class,
            "stratify": stratify,
            "unlabeled_value": unlabeled_value,
            "random_state": random_state,
        },
        caller_name="mask_labels",
    )
    given = {"n_labeled": n_labeled, "fraction": fraction, "per_class": per_class}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ValueError(
            "mask_labels takes exactly one of 'n_labeled', 'fraction' and 'per_class'. Got "
            f"{', '.join(named) or 'none of them'}."
        )
    target = check_target(y, unlabeled_value, "mask_labels")
    labels, labeled = target.values, np.flatnonzero(target.labeled)
    classes, codes, counts = np.unique(target.known_labels, return_inverse=True, return_counts=True)
    if len(classes) == 0:
        raise ValueError(
            f"y holds no class: all {len(labels)} rows are unlabeled "
            f"(unlabeled_value={as_code(unlabeled_value)}). Pass labels, of which some will be "
            "kept."
        )
    n_kept = _number_to_keep(given, named[0], classes, counts)
    if per_class is not None:
        class_counts = np.full(len(classes), per_class)
    elif stratify:
        class_counts = stratified_counts(counts, n_kept)
    else:
        class_counts = np.ones(len(classes), dtype=int)
    rng = check_random_state(random_state)
    chosen = labeled[draw_stratified(codes, class_counts, n_kept, rng)]
    masked = np.full(
        len(labels), unlabeled_value, dtype=_dtype_for(labels[labeled], unlabeled_value)
    )
    masked[chosen] = labels[chosen]
    return masked


def _number_to_keep(
    given: dict[str, Any], name: str, classes: np.ndarray, counts: np.ndarray
) -> int:
    """Return the number of labels to keep according to the named argument, or raise ValueError."""
    value, n_labels = given[name], int(counts.sum())
    if name == "per_class":
        if value > counts.min():
            rarest = classes.tolist()[counts.argmin()]
            raise ValueError(
                f"The 'per_class' parameter of mask_labels must be at most {counts.min()}, the "
                f"number of labels of the rarest class, {rarest!r}. Got {value}."
            )
        return int(value) * len(classes)
    n_kept = int(value) if name == "n_labeled" else round(value * n_labels)
    if not len(classes) <= n_kept <= n_labels:
        raise ValueError(
            f"The '{name}' parameter of mask_labels must keep at least {len(classes)} labels, one "
            f"for each class, and at most all {n_labels}. Got {value}, which keeps {n_kept}."
        )
    return n_kept


class SemiSupervisedSplit(BaseCrossValidator):
    """Cross-validation over the labeled rows, with all unlabeled rows in each training set.

    scikit-learn's splitters treat -1 as a class: unlabeled rows are put into test sets, where they
    count as errors and are not used for training. This splitter splits the labeled rows with
    another splitter and adds all unlabeled rows to each training set. It works with any estimator
    that supports unlabeled rows, including ``LabelSpreading`` and ``SelfTrainingClassifier``.

    .. versionadded:: 0.1

    Parameters
    ----------
    cv : int or splitter, default=5
        Number of folds of a ``StratifiedKFold`` over the labeled rows, or a scikit-learn splitter
        for them, such as ``GroupKFold()`` or ``StratifiedShuffleSplit(10)``.
    unlabeled_value : int, float, str or None, default=-1
        Label of the unlabeled rows; NaN includes all missing values. None means that all rows are
        labeled.
    shuffle : bool, default=False
        Whether to shuffle the labeled rows before splitting them into folds. Only used if `cv` is
        an integer.
    random_state : int, RandomState instance or None, default=None
        Determines the order of shuffling. Only used if ``shuffle=True``.

    Notes
    -----
    Labeled and unlabeled rows are spread evenly over a training set, so that its first rows, as
    used by ``learning_curve``, have the same proportion of labeled rows. Use sizes that include a
    few labels of each class.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels
    >>> X, y = load_iris(return_X_y=True)
    >>> few_labels = mask_labels(y, per_class=5, random_state=0)
    >>> scores = cross_val_score(LabelSpreading(), X, few_labels)
    >>> print(f"{scores.mean():.2f}")  # -1 counts as an error
    0.09
    >>> scores = cross_val_score(LabelSpreading(), X, few_labels, cv=SemiSupervisedSplit())
    >>> print(f"{scores.mean():.2f}")
    0.93
    """

    # With metadata routing, request groups for `split` by default. scikit-learn requires a class
    # attribute of this name.
    __metadata_request__split = {"groups": True}  # noqa: RUF012

    def __init__(
        self,
        cv: Any = 5,
        *,
        unlabeled_value: Any = -1,
        shuffle: bool = False,
        random_state: RandomState = None,
    ) -> None:
        self.cv = cv
        self.unlabeled_value = unlabeled_value
        self.shuffle = shuffle
        self.random_state = random_state

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the training and the test rows of each fold.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            Labels, with `unlabeled_value` for unlabeled rows.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for a `cv` that needs it. Unlabeled rows are in each training set
            regardless of their groups.

        Yields
        ------
        train : ndarray
            Indices of labeled rows and of all unlabeled rows, interleaved.
        test : ndarray
            Indices of labeled rows.

        Raises
        ------
        ValueError
            If there are fewer labels than folds, or if an argument or parameter is not as
            described.
        """
        inner = self._splitter()
        if y is None:
            raise ValueError(
                "SemiSupervisedSplit.split requires y to find the labeled rows. Got None."
            )
        target = check_target(y, self.unlabeled_value, "SemiSupervisedSplit.split")
        check_same_length("y", target.values, X)
        (X,) = indexable(X)
        labeled, unlabeled = np.flatnonzero(target.labeled), np.flatnonzero(~target.labeled)
        if len(labeled) == 0:
            raise ValueError(
                f"y holds no labeled row to split: all {len(target.values)} rows are unlabeled "
                f"(unlabeled_value={as_code(self.unlabeled_value)}). Label some rows of each class."
            )
        warn_about_marks(labels_of(target), self.unlabeled_value, needs_unlabeled=False)
        labels = target.known_labels
        if isinstance(inner, StratifiedKFold):
            _check_folds(inner.n_splits, labels)
        if isinstance(inner, RepeatedStratifiedKFold):
            _check_folds(inner.cvargs["n_splits"], labels)
        if isinstance(inner, PredefinedSplit) and len(inner.test_fold) != len(labeled):
            raise ValueError(
                "The 'cv' parameter of SemiSupervisedSplit must define a fold for each labeled row "
                f"and for no other row: {len(labeled)} in their order. Got a PredefinedSplit of "
                f"{len(inner.test_fold)} rows."
            )
        if groups is not None:
            check_same_length("groups", groups, X)
            groups = _safe_indexing(groups, labeled)
        for train, test in inner.split(_safe_indexing(X, labeled), labels, groups):
            yield _spread(labeled[train], unlabeled), labeled[test]

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The rows, for a `cv` whose number of folds depends on them.
        y : array-like of shape (n_samples,), default=None
            Labels, for the same purpose.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for the same purpose.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        inner = self._splitter()
        if y is None:
            return int(inner.get_n_splits(X, y, groups))
        target = check_target(y, self.unlabeled_value, "SemiSupervisedSplit.get_n_splits")
        labeled = np.flatnonzero(target.labeled)
        X, groups = (
            None if values is None else _safe_indexing(values, labeled) for values in (X, groups)
        )
        return int(inner.get_n_splits(X, target.known_labels, groups))

    def _splitter(self) -> Any:
        """Check the parameters and return the splitter of the labeled rows."""
        check_mark(self.unlabeled_value, "SemiSupervisedSplit")
        validate_parameter_constraints(
            {
                "unlabeled_value": [Real, str, None],
                "shuffle": ["boolean"],
                "random_state": ["random_state"],
            },
            {
                "unlabeled_value": self.unlabeled_value,
                "shuffle": self.shuffle,
                "random_state": self.random_state,
            },
            caller_name="SemiSupervisedSplit",
        )
        is_number = isinstance(self.cv, Integral) and not isinstance(self.cv, bool | np.bool_)
        if is_number and int(self.cv) >= 2:
            random_state = self.random_state if self.shuffle else None
            return StratifiedKFold(int(self.cv), shuffle=self.shuffle, random_state=random_state)
        is_splitter = hasattr(self.cv, "split") and hasattr(self.cv, "get_n_splits")
        if is_number or not is_splitter or isinstance(self.cv, type):
            raise ValueError(
                "The 'cv' parameter of SemiSupervisedSplit must be an integer of at least 2 or a "
                f"scikit-learn splitter, such as GroupKFold(). Got {self.cv!r}."
            )
        if self.shuffle:
            raise ValueError(
                "The 'shuffle' parameter of SemiSupervisedSplit must be False unless cv is an "
                f"integer. Got True with {self.cv!r}: set shuffle=True there, if it is supported."
            )
        return self.cv


def _check_folds(n_splits: int, labels: np.ndarray) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    fewest = counts.min()
    if n_splits > fewest:
        rarest = classes.tolist()[counts.argmin()]
        remedy = (
            f"The largest possible number of folds is {fewest}."
            if fewest > 1
            else "Label another row, or use a splitter without classes: cv=KFold() or "
            "ShuffleSplit()."
        )
        raise ValueError(
            f"The 'cv' parameter of SemiSupervisedSplit asks for {n_splits} folds, but the class "
            f"{rarest!r} has only {fewest} labeled row{'s' * bool(fewest > 1)}. {remedy}"
        )


def _spread(labeled: np.ndarray, unlabeled: np.ndarray) -> np.ndarray:
    """Interleave labeled and unlabeled rows evenly, in random order."""
    rng = np.random.RandomState(0)  # independent of random_state, which only affects the folds
    labeled, unlabeled = rng.permutation(labeled), rng.permutation(unlabeled)
    # Labeled rows have the positions 0, 1/n, 2/n and so on; the other rows are between them.
    positions = [
        np.arange(len(labeled)) / max(len(labeled), 1),
        (np.arange(len(unlabeled)) + 0.5) / max(len(unlabeled), 1),
    ]
    order = np.argsort(np.concatenate(positions), kind="stable")
    return np.concatenate([labeled, unlabeled])[order]


def _dtype_for(labels: np.ndarray, unlabeled_value: Any) -> Any:
    """Return a dtype that can hold both the labels and the unlabeled value."""
    if labels.dtype.kind not in "biuf" or isinstance(unlabeled_value, str):
        return object
    label_dtype = np.dtype(np.int64) if labels.dtype.kind in "ub" else labels.dtype
    if isinstance(unlabeled_value, Integral):
        dtype = np.result_type(label_dtype, np.min_scalar_type(int(unlabeled_value)))
    elif label_dtype.kind == "f" and is_nan(unlabeled_value):
        dtype = label_dtype
    else:
        dtype = np.result_type(label_dtype, np.float64)
    classes = np.unique(labels)
    (mark,) = np.full(1, unlabeled_value, dtype=dtype).tolist()
    # Compare Python numbers, since NumPy rounds integers to compare them with floats.
    is_exact = classes.astype(dtype).tolist() == classes.tolist()
    is_exact &= mark == unlabeled_value or is_nan(unlabeled_value)
    return dtype if is_exact else object
