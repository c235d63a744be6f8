"""Comparison of a classifier with the same classifier on the labels alone, and with baselines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_pandas_support
from sklearn.utils._param_validation import Interval, validate_parameter_constraints

from sgan_sklearn._data.labels import labels_of, warn_about_marks
from sgan_sklearn._data.targets import as_code
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn.inspection._evaluation import (
    check_options,
    evaluate_scores,
    read_rows,
    score_name,
    split_tasks,
)
from sgan_sklearn.inspection._methods import LABELS_ALONE, Method, baselines_for, method_of, name_of

__all__ = ["Comparison", "compare_with_labels_alone"]

# The number of labels that would be needed is not stated beyond this many times those at hand. It
# is that for a verdict in 80 percent of the cases, that is, 0.84 standard errors more.
MOST_LABELS = 20
POWER = 0.84

# The columns of the table of a comparison.
COLUMNS = ["score", "deviation", "difference", "low", "high", "seconds"]


class Difference(NamedTuple):
    """A mean difference of scores and its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 or -1 if the interval is above or below zero, otherwise 0."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of a classifier, of the same classifier on the labels alone, and of baselines.

    The result of `compare_with_labels_alone`. ``print`` shows the verdict and a table.

    .. versionadded:: 0.1

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_splits,)
        Score of each method in each split. The first one is the classifier, and "labels alone" the
        same one without the unlabeled rows.
    seconds : dict of str to ndarray of shape (n_splits,)
        Duration of each fit with its score.
    scoring : str
        Name of the score.
    n_labeled, n_unlabeled : int
        Number of rows with and without a label.
    test_ratio : float
        Number of test rows for each labeled row of a training.
    confidence_level : float
        Probability that an interval contains the difference.

    Examples
    --------
    >>> import numpy as np
    >>> from sgan_sklearn.inspection import Comparison
    >>> scores = {"ours": np.array([0.9, 0.8, 0.9]), "labels alone": np.array([0.7, 0.7, 0.7])}
    >>> seconds = {name: np.ones(3) for name in scores}
    >>> comparison = Comparison(
    ...     scores,
    ...     seconds,
    ...     scoring="accuracy",
    ...     n_labeled=60,
    ...     n_unlabeled=900,
    ...     test_ratio=0.5,
    ...     confidence_level=0.9,
    ... )
    >>> comparison.verdict
    'helps'
    >>> print(comparison)
    The 900 unlabeled rows help: ...
    """

    scores: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]
    scoring: str
    n_labeled: int
    n_unlabeled: int
    test_ratio: float
    confidence_level: float

    @property
    def name(self) -> str:
        """Name of the classifier."""
        return next(iter(self.scores))

    @property
    def verdict(self) -> str:
        """Whether the unlabeled rows are of use: "helps", "harms" or "cannot tell"."""
        return ("cannot tell", "helps", "harms")[self.difference().sign]

    @property
    def n_more_labels(self) -> float:
        """About how many more labels would tell whether the unlabeled rows help.

        It is 0 if the present ones tell, and ``inf`` for more than 20 times as many. With these,
        four of five draws of labels would tell, if the mean difference is the true one and the
        interval shrinks with the square root of the number of labels.
        """
        difference = self.difference()
        if difference.sign:
            return 0
        half = difference.high - difference.mean
        quantile = self._quantile
        if not difference.mean or math.isinf(half):
            return math.inf
        factor = (half * (1 + POWER / quantile) / difference.mean) ** 2
        return math.ceil(self.n_labeled * (factor - 1)) if factor <= MOST_LABELS else math.inf

    def difference(self, name: str = LABELS_ALONE) -> Difference:
        """Return the mean difference in score to another method, with a confidence interval.

        The interval is that of a t test for paired scores of overlapping training sets: their
        variance is multiplied by ``1 / n_splits + test_ratio``.

        Parameters
        ----------
        name : str, default="labels alone"
            Name of the other method.

        Returns
        -------
        difference : (mean, low, high)
            The mean difference, and the ends of the interval: nan if the method failed, and
            infinite with a single split.
        """
        differences = self.scores[self.name] - self.scores[name]
        mean = float(differences.mean())
        n_splits = len(differences)
        if n_splits == 1:
            return Difference(mean, -math.inf, math.inf)
        # The scores of a few rows are often equal, although the classifiers are not: the variance
        # is at least that of rounding to one row.
        n_test = self.n_labeled * self.test_ratio / (1 + self.test_ratio)
        variance = max(float(differences.var(ddof=1)), 1 / (12 * n_test**2))
        half = self._quantile * math.sqrt(variance * (1 / n_splits + self.test_ratio))
        return Difference(mean, mean - half, mean + half)

    @property
    def _quantile(self) -> float:
        n_splits = len(self.scores[self.name])
        return float(stats.t.ppf((1 + self.confidence_level) / 2, n_splits - 1))

    def frame(self) -> Any:
        """Return a pandas DataFrame with a row for each method, in the order of their scores.

        Returns
        -------
        frame : DataFrame of shape (n_methods, 6)
            The mean and the standard deviation of the score, the mean difference of the classifier
            to the method and the ends of its interval, and the seconds of a fit.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pd = check_pandas_support("Comparison.frame")
        return pd.DataFrame.from_dict(self._statistics(), orient="index", columns=COLUMNS)

    def _statistics(self) -> dict[str, list[float]]:
        """Return the values of `COLUMNS` for each method, the best one first."""
        rows = {}
        for name, values in self.scores.items():
            difference = self.difference(name) if name != self.name else 3 * [np.nan]
            statistics = [values.mean(), values.std(), *difference]
            rows[name] = [*statistics, self.seconds[name].mean()]
        # Methods without a score come last.
        order = sorted(rows, key=lambda name: (np.isnan(rows[name][0]), -rows[name][0]))
        return {name: rows[name] for name in order}

    def __str__(self) -> str:
        names = list(self._statistics())
        width = max(map(len, names))
        lines = [self._summary(), "", f"{'':{width}}  {'score':>14}  difference"]
        for name in names:
            values = self.scores[name]
            score = f"{values.mean():.3f} ± {values.std():.3f}"
            line = f"{name:{width}}  {score:>14}"
            if name != self.name:
                line += "  {:+.3f} ({:+.3f} to {:+.3f})".format(*self.difference(name))
            lines.append(line)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        header = "".join(f"<th>{name}</th>" for name in ("", *COLUMNS))
        rows = [
            f"<tr><th>{escape(name)}</th>"
            + "".join("<td></td>" if np.isnan(v) else f"<td>{v:.3f}</td>" for v in values)
            + "</tr>"
            for name, values in self._statistics().items()
        ]
        table = f"<table><tr>{header}</tr>{''.join(rows)}</table>"
        return f"<p>{escape(self._summary())}</p>{table}"

    def _summary(self) -> str:
        """Return the verdict in words."""
        mean, low, high = self.difference()
        found = (
            f"the difference in {self.scoring} is {mean:+.3f} ({self.confidence_level:.0%} "
            f"interval {low:+.3f} to {high:+.3f})"
        )
        match self.verdict:
            case "helps":
                text = f"The {self.n_unlabeled} unlabeled rows help: {found}."
            case "harms":
                text = f"The {self.n_unlabeled} unlabeled rows harm: {found}."
            case _:
                text = f"Cannot tell with {self.n_labeled} labels whether the unlabeled rows help: "
                text += f"{found}. {self._remedy()}"
        others = {name: values.mean() for name, values in self.scores.items() if name != self.name}
        best = max(others, key=lambda name: np.nan_to_num(others[name], nan=-np.inf))
        if others[best] >= self.scores[self.name].mean():
            text += f" The score of {best!r} is not lower."
        return text

    def _remedy(self) -> str:
        if len(self.scores[self.name]) == 1:
            return "Pass a cv of several splits."
        more = self.n_more_labels
        if math.isinf(more):
            return f"More than {MOST_LABELS} times as many labels would be needed."
        return f"About {more} more labels would tell, if the true difference is of this size."


def compare_with_labels_alone(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    baselines: Any = "auto",
    cv: Any = "auto",
    groups: Any = None,
    scoring: Any = "balanced_accuracy",
    unlabeled_value: Any = -1,
    confidence_level: float = 0.8,
    n_jobs: int | None = None,
    random_state: RandomState = None,
    verbose: int = 1,
) -> Comparison:
    """Measure whether the unlabeled rows help a classifier, on the labels at hand.

    The classifier is compared with the same classifier on the labels alone, and with baselines, by
    cross-validation over the labeled rows, with the unlabeled rows in each training. The verdict is
    "helps" or "harms" if an interval of the difference does not contain zero, and otherwise "cannot
    tell", with the number of labels that would tell. With a few dozen labels, only large
    differences can be told.

    .. versionadded:: 0.1

    Parameters
    ----------
    estimator : classifier
        A classifier that learns from unlabeled rows, such as `SGANClassifier`, `LabelSpreading`,
        `SelfTrainingClassifier`, or a pipeline or search of one. On the labels alone, it has
        ``unsupervised_weight=0`` if it has this parameter, which also turns off the regularizers
        and the ensemble of `SGANClassifier`, and is otherwise fitted on the labeled rows only.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
        Labeled and unlabeled rows.
    y : array-like of shape (n_samples,)
        Labels, with `unlabeled_value` for unlabeled rows.
    baselines : "auto", dict of str to classifier, or None, default="auto"
        Other methods. "auto" is a random forest on the labeled rows, label spreading over the
        nearest neighbors, and self-training of a logistic regression, on the numbers that
        `SGANClassifier` makes of the rows and on at most 10,000 unlabeled rows. Classifiers of a
        dict are fitted on the labeled rows only, unless they learn from unlabeled rows.
    cv : "auto", int or splitter, default="auto"
        Folds of the labeled rows, as in `SemiSupervisedSplit`, or an instance of it. "auto" is two
        repetitions of five folds, or fewer for classes with fewer labels.
    groups : array-like of shape (n_samples,), default=None
        Group of each row, for a `cv` that needs it.
    scoring : str, callable or None, default="balanced_accuracy"
        A single score, as in scikit-learn. None is that of the classifier.
    unlabeled_value : int, float or str, default=-1
        Label of the unlabeled rows; NaN includes all missing values. scikit-learn's classifiers
        require -1.
    confidence_level : float, default=0.8
        Probability that the interval contains the difference. The higher, the fewer verdicts are
        wrong, and the more are "cannot tell". With the default, if the unlabeled rows make no
        difference, about one in ten verdicts is "helps" and one in ten "harms".
    n_jobs : int or None, default=None
        Number of processes; None means 1, unless in a ``joblib.parallel_backend`` context, and
        -1 all processors.
    random_state : int, RandomState instance or None, default=None
        Determines the folds, unless `cv` is a splitter, and all random states that are None.
    verbose : int, default=1
        1 prints how long it will take, and the progress; 0 prints nothing.

    Returns
    -------
    comparison : Comparison
        Scores, differences and the verdict.

    Raises
    ------
    ValueError
        If there are no labeled or no unlabeled rows, if a class has fewer labels than folds, or if
        a parameter is not as described.
    TypeError
        If `estimator` or a baseline is not a classifier, or `estimator` does not learn from
        unlabeled rows.

    Warns
    -----
    FitFailedWarning
        If a baseline fails. Its score is nan in these fits.

    See Also
    --------
    ComparisonDisplay : Plot of the differences.
    LabelCostDisplay : Scores by number of labels.

    References
    ----------
    Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52, 2003 (the
    interval).

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from sgan_sklearn.inspection import compare_with_labels_alone
    >>> from sgan_sklearn.model_selection import mask_labels
    >>> X, y = load_wine(return_X_y=True)
    >>> few_labels = mask_labels(y, per_class=10, random_state=0)
    >>> spreading = make_pipeline(StandardScaler(), LabelSpreading(kernel="knn"))
    >>> comparison = compare_with_labels_alone(spreading, X, few_labels, random_state=0, verbose=0)
    >>> comparison.verdict
    'cannot tell'
    """
    check_options(
        "compare_with_labels_alone",
        unlabeled_value=unlabeled_value,
        n_jobs=n_jobs,
        random_state=random_state,
        verbose=verbose,
    )
    validate_parameter_constraints(
        {
            "confidence_level": [Interval(Real, 0, 1, closed="neither")],
            "unlabeled_value": [Real, str],
        },
        {"confidence_level": confidence_level, "unlabeled_value": unlabeled_value},
        caller_name="compare_with_labels_alone",
    )
    methods = _methods(estimator, baselines, unlabeled_value)
    rows = read_rows(X, y, unlabeled_value, "compare_with_labels_alone")
    labeled = rows.target.labeled
    if labeled.all():
        raise ValueError(
            f"y holds no unlabeled row (unlabeled_value={as_code(unlabeled_value)}), so there is "
            "nothing to compare."
        )
    warn_about_marks(labels_of(rows.target), unlabeled_value)
    tasks = split_tasks(cv, rows, groups, check_random_state(random_state))
    scores, seconds = evaluate_scores(
        methods,
        rows,
        tasks,
        scoring,
        required=list(methods)[:2],
        n_jobs=n_jobs,
        verbose=verbose,
    )
    return Comparison(
        scores=scores,
        seconds=seconds,
        scoring=score_name(scoring),
        n_labeled=int(labeled.sum()),
        n_unlabeled=int((~labeled).sum()),
        test_ratio=float(np.mean([len(task.test) / len(task.labeled) for task in tasks])),
        confidence_level=confidence_level,
    )


def _methods(estimator: Any, baselines: Any, unlabeled_value: Any) -> dict[str, Method]:
    """Return the methods to compare by name, first the classifier and its twin."""
    caller = "The 'estimator' parameter of compare_with_labels_alone"
    method = method_of(estimator, unlabeled_value, caller)
    if not method.uses_unlabeled:
        raise TypeError(
            f"{caller} must learn from unlabeled rows, as SGANClassifier, LabelSpreading and "
            f"SelfTrainingClassifier do. Got {estimator!r}, which would take "
            f"{as_code(unlabeled_value)} for a class: wrap it in SelfTrainingClassifier, or pass "
            "it in baselines."
        )
    methods = {name_of(estimator): method, LABELS_ALONE: method.labels_alone}
    if isinstance(baselines, str) and baselines == "auto":
        others = baselines_for(estimator, unlabeled_value)
    elif baselines is None or isinstance(baselines, dict):
        others = {
            name: method_of(baseline, unlabeled_value, f"The baseline {name!r}")
            for name, baseline in (baselines or {}).items()
        }
    else:
        raise ValueError(
            "The 'baselines' parameter of compare_with_labels_alone must be 'auto', None or a dict "
            f"of names and classifiers. Got {baselines!r}."
        )
    if taken := set(methods) & set(others):
        raise ValueError(
            "The 'baselines' parameter of compare_with_labels_alone must have other names than "
            f"{sorted(methods)}. Got {sorted(taken)}."
        )
    return {**methods, **others}
