"""Plot of the score of classifiers by the number of labels."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._optional_dependencies import check_matplotlib_support

from sgan_sklearn._data.targets import plain_labels
from sgan_sklearn._runtime.random import RandomState
from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn.inspection._evaluation import (
    PartlyLabeled,
    Task,
    check_options,
    evaluate_scores,
    read_rows,
    score_name,
    split_tasks,
)
from sgan_sklearn.inspection._methods import method_of
from sgan_sklearn.model_selection import mask_labels

__all__ = ["LabelCostDisplay"]

# Number of sizes of "auto".
N_SIZES = 5


class LabelCostDisplay:
    """Plot of the score of classifiers by the number of labels, with all unlabeled rows.

    It is recommended to use :meth:`from_estimators` to create a display. It shows how many labels a
    better score would cost, and which classifier needs the fewest.

    .. versionadded:: 0.1

    Parameters
    ----------
    n_labels : array-like of shape (n_sizes,)
        Numbers of labels.
    scores : dict of str to array-like of shape (n_sizes, n_splits)
        Scores of each classifier.
    score_name : str, default="score"
        Name of the score.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the plot.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.
    lines_ : dict of str to matplotlib.lines.Line2D
        Line of each classifier.

    See Also
    --------
    compare_with_labels_alone : Differences with all labels, and a verdict.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.semi_supervised import SelfTrainingClassifier
    >>> from sgan_sklearn.inspection import LabelCostDisplay
    >>> from sgan_sklearn.model_selection import mask_labels
    >>> X, y = load_wine(return_X_y=True)
    >>> few_labels = mask_labels(y, per_class=10, random_state=0)
    >>> linear = LogisticRegression()
    >>> classifiers = {
    ...     "labels alone": make_pipeline(StandardScaler(), linear),
    ...     "self-training": make_pipeline(StandardScaler(), SelfTrainingClassifier(linear)),
    ... }
    >>> display = LabelCostDisplay.from_estimators(
    ...     classifiers, X, few_labels, n_labels=[6, 12, 24], random_state=0, verbose=0
    ... )
    >>> display.scores["labels alone"].shape
    (3, 10)
    """

    figure_: Any
    ax_: Any
    lines_: dict[str, Any]

    def __init__(self, n_labels: Any, scores: dict[str, Any], *, score_name: str = "score") -> None:
        self.n_labels = n_labels
        self.scores = scores
        self.score_name = score_name

    @classmethod
    def from_estimators(
        cls,
        estimators: Any,
        X: Any,
        y: Any,
        *,
        n_labels: Any = "auto",
        cv: Any = "auto",
        groups: Any = None,
        scoring: Any = "balanced_accuracy",
        unlabeled_value: Any = -1,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 1,
        ax: Any = None,
        **plot_kwargs: Any,
    ) -> LabelCostDisplay:
        """Score classifiers with parts of the labels, and plot the scores.

        The test rows are folds of the labeled rows. Some labels of the other folds are kept, and
        the remaining rows are unlabeled.

        Parameters
        ----------
        estimators : dict of str to classifier
            Names and classifiers. Those that do not learn from unlabeled rows are fitted on the
            labeled rows only.
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Labeled and unlabeled rows.
        y : array-like of shape (n_samples,)
            Labels, with `unlabeled_value` for unlabeled rows.
        n_labels : "auto" or array-like of int, default="auto"
            Numbers of labels, at least one for each class and at most those of the smallest
            training. "auto" is five, from two for each class on, at equal ratios.
        cv : "auto", int or splitter, default="auto"
            Folds of the labeled rows, as in `compare_with_labels_alone`.
        groups : array-like of shape (n_samples,), default=None
            Group of each row, for a `cv` that needs it.
        scoring : str, callable or None, default="balanced_accuracy"
            A single score, as in scikit-learn. None is that of the first classifier.
        unlabeled_value : int, float, str or None, default=-1
            Label of the unlabeled rows; NaN includes all missing values. None means that all rows
            are labeled, for classifiers that do not learn from unlabeled rows.
        n_jobs : int or None, default=None
            Number of processes; None means 1, unless in a ``joblib.parallel_backend`` context, and
            -1 all processors.
        random_state : int, RandomState instance or None, default=None
            Determines the folds, unless `cv` is a splitter, the labels that are kept, and all
            random states that are None.
        verbose : int, default=1
            1 prints how long it will take, and the progress; 0 prints nothing.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LabelCostDisplay
            The display.

        Raises
        ------
        ValueError
            If there are too few labels, or if a parameter is not as described.
        TypeError
            If one of `estimators` is not a classifier.
        ImportError
            If matplotlib is not installed.
        """
        caller = f"{cls.__name__}.from_estimators"
        check_matplotlib_support(caller)
        check_options(
            caller,
            unlabeled_value=unlabeled_value,
            n_jobs=n_jobs,
            random_state=random_state,
            verbose=verbose,
        )
        if not isinstance(estimators, dict) or not estimators:
            raise ValueError(
                f"The 'estimators' parameter of {caller} must be a dict of names and classifiers. "
                f"Got {estimators!r}."
            )
        methods = {
            name: method_of(estimator, unlabeled_value, f"The estimator {name!r}")
            for name, estimator in estimators.items()
        }
        if unlabeled_value is None and any(method.uses_unlabeled for method in methods.values()):
            raise ValueError(
                f"The 'unlabeled_value' parameter of {caller} must not be None for classifiers "
                "that learn from unlabeled rows: labels are hidden with it. Pass -1."
            )
        rows = read_rows(X, y, unlabeled_value, caller)
        rng = check_random_state(random_state)
        tasks = split_tasks(cv, rows, groups, rng)
        sizes = _sizes(n_labels, rows, tasks, caller)
        fewer = [_with_labels(task, rows, size) for size in sizes for task in tasks]
        scores, _ = evaluate_scores(
            methods,
            rows,
            fewer,
            scoring,
            required=list(methods),
            n_jobs=n_jobs,
            verbose=verbose,
        )
        scores = {name: values.reshape(len(sizes), -1) for name, values in scores.items()}
        name = score_name(scoring)
        return cls(sizes, scores, score_name=name).plot(ax=ax, **plot_kwargs)

    @with_plain_settings
    def plot(self, ax: Any = None, **line_kw: Any) -> LabelCostDisplay:
        """Plot the mean scores, and bands of one standard deviation of the splits.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        **line_kw : dict
            Passed to ``Axes.plot``, such as ``linewidth=1``.

        Returns
        -------
        display : LabelCostDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt
        from matplotlib.ticker import NullFormatter, ScalarFormatter

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_ = {}
        for name, scores in self.scores.items():
            mean, deviation = np.mean(scores, axis=1), np.std(scores, axis=1)
            style = {"label": name, "marker": "o", **line_kw}
            (line,) = ax.plot(self.n_labels, mean, **style)
            band = {"color": line.get_color(), "alpha": 0.15, "linewidth": 0}
            ax.fill_between(self.n_labels, mean - deviation, mean + deviation, **band)
            self.lines_[name] = line
        ax.set_xscale("log")
        ax.set(xlabel="number of labels", ylabel=self.score_name, xticks=self.n_labels)
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.legend()
        return self


def _sizes(choice: Any, rows: PartlyLabeled, tasks: list[Task], caller: str) -> list[int]:
    """Return the numbers of labels, or raise ValueError if one is too small or too large."""
    n_classes = len(np.unique(rows.target.known_labels))
    most = min(len(task.labeled) for task in tasks)
    if isinstance(choice, str) and choice == "auto":
        least = min(2 * n_classes, most)
        return np.unique(np.geomspace(least, most, N_SIZES).round().astype(int)).tolist()
    sizes = list(choice) if np.iterable(choice) else [choice]
    fits = all(isinstance(size, Integral) and n_classes <= int(size) <= most for size in sizes)
    if not sizes or not fits:
        raise ValueError(
            f"The 'n_labels' parameter of {caller} must be 'auto' or hold integers from "
            f"{n_classes}, a label for each class, to {most}, the labels of the smallest training. "
            f"Got {choice!r}."
        )
    return sorted({int(size) for size in sizes})


def _with_labels(task: Task, rows: PartlyLabeled, n_labels: int) -> Task:
    """Return a task in which some labels of the training are hidden."""
    if n_labels >= len(task.labeled):
        return task
    labels = plain_labels(rows.y[task.labeled])
    codes = np.unique(labels, return_inverse=True)[1]
    kept = mask_labels(codes, n_labeled=n_labels, random_state=task.seed) >= 0
    return task._replace(labeled=task.labeled[kept])
