"""Plot of the differences of a comparison."""

from __future__ import annotations

from typing import Any

from sklearn.utils._optional_dependencies import check_matplotlib_support

from sgan_sklearn._runtime.settings import with_plain_settings
from sgan_sklearn.inspection._comparison import Comparison, compare_with_labels_alone

__all__ = ["ComparisonDisplay"]

COLORS = {"better": "tab:green", "worse": "tab:red", "unknown": "tab:gray"}


class ComparisonDisplay:
    """Plot of the difference of a classifier to the labels alone and to baselines.

    It is recommended to use :meth:`from_estimator` to create a display. A bar that is right of zero
    means that the classifier is better than the method; it is gray if the labels cannot tell.

    .. versionadded:: 0.1

    Parameters
    ----------
    comparison : Comparison
        The result of `compare_with_labels_alone`.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        Figure of the plot.
    ax_ : matplotlib.axes.Axes
        Axes of the plot.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.semi_supervised import LabelSpreading
    >>> from sgan_sklearn.inspection import ComparisonDisplay
    >>> from sgan_sklearn.model_selection import mask_labels
    >>> X, y = load_wine(return_X_y=True)
    >>> few_labels = mask_labels(y, per_class=10, random_state=0)
    >>> spreading = make_pipeline(StandardScaler(), LabelSpreading(kernel="knn"))
    >>> display = ComparisonDisplay.from_estimator(
    ...     spreading, X, few_labels, random_state=0, verbose=0
    ... )
    >>> display.comparison.n_labeled
    30
    """

    figure_: Any
    ax_: Any

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, ax: Any = None, **params: Any
    ) -> ComparisonDisplay:
        """Compare a classifier with the labels alone, and plot the differences.

        Parameters
        ----------
        estimator : classifier
            A classifier that learns from unlabeled rows.
        X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features), or images
            Labeled and unlabeled rows.
        y : array-like of shape (n_samples,)
            Labels, with `unlabeled_value` for unlabeled rows.
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.
        **params : dict
            Further parameters of `compare_with_labels_alone`.

        Returns
        -------
        display : ComparisonDisplay
            The display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        return cls(compare_with_labels_alone(estimator, X, y, **params)).plot(ax=ax)

    @with_plain_settings
    def plot(self, ax: Any = None) -> ComparisonDisplay:
        """Plot the differences with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to plot on. None creates a new figure.

        Returns
        -------
        display : ComparisonDisplay
            The display itself.
        """
        check_matplotlib_support(f"{type(self).__name__}.plot")
        import matplotlib.pyplot as plt

        comparison = self.comparison
        others = [name for name in comparison.scores if name != comparison.name]
        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 1.2 + 0.5 * len(others)), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        for place, name in enumerate(others):
            mean, low, high = difference = comparison.difference(name)
            color = (COLORS["unknown"], COLORS["better"], COLORS["worse"])[difference.sign]
            ax.plot([low, high], [place, place], color=color, linewidth=2)
            ax.plot(mean, place, "o", color=color)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set(
            yticks=range(len(others)),
            yticklabels=[f"{name} ({comparison.scores[name].mean():.3f})" for name in others],
            xlabel=f"{comparison.scoring} of {comparison.name} "
            f"({comparison.scores[comparison.name].mean():.3f}) minus that of the method",
            ylim=(len(others) - 0.5, -0.5),
        )
        return self
